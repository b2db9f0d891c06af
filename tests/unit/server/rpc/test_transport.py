"""The end of the port, and the number of calls that may be open."""

import asyncio
import socket

import grpc
from google.protobuf.wrappers_pb2 import StringValue
from hyperframe.frame import SettingsFrame

from benchmarks.common.fuzzing.http2 import PREFACE
from portrait.server.metrics.collectors import Metrics
from portrait.server.rpc.context import Context
from portrait.server.rpc.interceptors.chain import InterceptorChain
from portrait.server.rpc.interceptors.open_calls import OpenCallLimit, OpenCallLimits, Rejection, limit_open_calls
from portrait.server.rpc.interceptors.request_parser import parse_request
from portrait.server.rpc.interceptors.request_reader import read_request
from portrait.server.rpc.transport import stop_server

METHOD = "portrait.v1.Test/Do"


async def test_the_end_waits_for_calls_but_not_for_callers_who_are_gone() -> None:
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def answer(request: StringValue, context: Context) -> StringValue:
        begun.set()
        await may_end.wait()
        return request

    rooms = OpenCallLimits(10)
    server = grpc.aio.server(
        interceptors=[InterceptorChain([limit_open_calls(rooms, Metrics(60.0)), read_request, parse_request])]
    )
    service, _, name = METHOD.partition("/")
    handler = grpc.unary_unary_rpc_method_handler(answer, StringValue.FromString, StringValue.SerializeToString)
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, {name: handler})])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    with socket.create_connection(("127.0.0.1", port)) as gone:
        gone.sendall(PREFACE + SettingsFrame(0).serialize())  # and never a word again, not even to a ping
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            call = channel.unary_unary(f"/{METHOD}")(b"")
            await begun.wait()
            assert rooms.running == 1
            stopping = asyncio.create_task(stop_server(server, lambda: rooms.running, 300.0))
            assert not (await asyncio.wait({stopping}, timeout=0.3))[0]
            may_end.set()
            async with asyncio.timeout(15):  # gRPC itself takes 20 s
                assert await call == b""
                await stopping
    assert rooms.running == 0


def test_a_room_is_shared_and_given_back() -> None:
    room = OpenCallLimit(3, 2)
    assert [room.enter(caller) for caller in ("a", "a", "a", "b", "b")] == [
        None, None, Rejection.CALLER, None, Rejection.LIMIT,
    ]  # fmt: skip
    assert room.refused == {Rejection.CALLER: 1, Rejection.LIMIT: 1}
    room.leave("a")
    assert room.enter("c") is None
    for caller in ("a", "b", "c"):
        room.leave(caller)
    assert room.open == 0
