"""The load generator's own client, before a real server."""

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest

from benchmarks.common.load import wire
from benchmarks.common.load.generator import Call, Load, run_load

Context = grpc.aio.ServicerContext


class Server:
    """Echoes; or fails, or hangs, as the method's name says."""

    def __init__(self) -> None:
        self.began, self.left = asyncio.Event(), asyncio.Event()
        self.metadata: dict[str, str | bytes] = {}
        self.seconds: float | None = None
        self.grpc = grpc.aio.server(options=[("grpc.max_receive_message_length", 8 * 2**20)])
        methods = {"Echo": self._echo, "Refuse": self._refuse, "Hang": self._hang}
        handlers = {name: grpc.unary_unary_rpc_method_handler(method) for name, method in methods.items()}
        self.grpc.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("test", handlers)])
        self.address = f"127.0.0.1:{self.grpc.add_insecure_port('127.0.0.1:0')}"

    async def _echo(self, request: bytes, context: "Context[bytes, bytes]") -> bytes:
        self.metadata = dict(context.invocation_metadata() or ())
        self.seconds = context.time_remaining()
        return request

    async def _refuse(self, request: bytes, context: "Context[bytes, bytes]") -> bytes:
        await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "no", (("grpc-status-details-bin", b"details"),))
        raise AssertionError

    async def _hang(self, request: bytes, context: "Context[bytes, bytes]") -> bytes:
        self.began.set()
        try:
            await asyncio.sleep(60)
        finally:
            self.left.set()
        return b""


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    await server.grpc.start()
    yield server
    await server.grpc.stop(None)


@pytest.fixture
async def connection(server: Server) -> AsyncIterator[wire.Connection]:
    connection = await wire.connect(server.address)
    yield connection
    connection.close()


async def ask(
    server: Server, connection: wire.Connection, method: str, request: bytes = b"", seconds: float = 10.0
) -> str:
    ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    head = wire.encode_headers(server.address, f"/test/{method}", seconds, (("x-caller", "n" * 300),))
    connection.call(head, request, seconds, ended.set_result)
    async with asyncio.timeout(20):
        return await ended


async def test_calls_end_with_their_status(server: Server, connection: wire.Connection) -> None:
    assert await ask(server, connection, "Echo", b"x" * 40_000) == wire.OK
    assert server.metadata["x-caller"] == "n" * 300
    assert server.seconds is not None
    assert server.seconds <= 10.0
    assert await ask(server, connection, "Refuse") == wire.RESOURCE_EXHAUSTED
    assert await ask(server, connection, "Unknown") == "UNIMPLEMENTED"
    assert await ask(server, connection, "Hang", seconds=0.05) == wire.DEADLINE_EXCEEDED


async def test_many_calls_at_one_time_stay_within_the_windows(server: Server, connection: wire.Connection) -> None:
    asked = (ask(server, connection, "Echo", bytes(size)) for size in range(0, 60_000, 300))
    assert set(await asyncio.gather(*asked)) == {wire.OK}


async def test_a_call_that_is_taken_back_ends_at_the_server_too(server: Server, connection: wire.Connection) -> None:
    ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    stream = connection.call(wire.encode_headers(server.address, "/test/Hang", 10.0), b"", 10.0, ended.set_result)
    await server.began.wait()
    connection.cancel(stream)
    connection.cancel(stream)
    assert await ended == wire.CANCELLED
    async with asyncio.timeout(60):
        await server.left.wait()
    assert await ask(server, connection, "Echo") == wire.OK


async def test_a_server_that_ends_ends_the_calls(server: Server, connection: wire.Connection) -> None:
    asked = asyncio.create_task(ask(server, connection, "Hang"))
    await server.began.wait()
    await server.grpc.stop(None)
    assert await asked in (wire.UNAVAILABLE, wire.CANCELLED)
    with pytest.raises(ConnectionError):
        connection.call(b"", b"", 1.0, print)


async def test_loads_send_what_they_say(server: Server) -> None:
    calls = [Call("/test/Echo", b"x")]
    closed = await asyncio.to_thread(run_load, Load(server.address, calls, 30.0, 5.0, in_flight=8, count=200))
    assert [each.code for each in closed] == [wire.OK] * 200
    opened = await asyncio.to_thread(run_load, Load(server.address, calls, 30.0, 5.0, rate=1000.0, count=200))
    assert [each.code for each in opened] == [wire.OK] * 200
    hanging = [Call("/test/Hang", b"x")]
    storm = Load(server.address, hanging, 30.0, 5.0, in_flight=50, count=100, leaving=1.0, leave_seconds=0.1)
    assert {each.code for each in await asyncio.to_thread(run_load, storm)} == {wire.CANCELLED}
