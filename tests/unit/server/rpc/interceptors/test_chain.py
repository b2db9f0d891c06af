"""The interceptors round a service that does as it is told, over a real socket."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import (
    DeadlineExceeded,
    DiskFull,
    FailedPrecondition,
    InferenceFailed,
    InvalidRequest,
    NotFound,
    Overloaded,
    PortraitError,
    StateDamaged,
    Unavailable,
    Violation,
)
from portrait.server.metrics.collectors import Metrics
from portrait.server.rpc.context import Context, current_deadline
from portrait.server.rpc.interceptors.access_log import log_access
from portrait.server.rpc.interceptors.chain import InterceptorChain
from portrait.server.rpc.interceptors.deadlines import enforce_deadline
from portrait.server.rpc.interceptors.errors import map_errors
from portrait.server.rpc.interceptors.metrics import record_metrics
from portrait.server.rpc.interceptors.request_ids import assign_request_id
from portrait.server.rpc.interceptors.request_parser import parse_request
from portrait.server.rpc.interceptors.request_reader import read_request

METHOD = "portrait.test/Do"
STREAMING = "portrait.v1.Test/Do"
DEFAULT, MAXIMUM = 0.2, 2.0

Answer = Callable[[], Awaitable[str]]


class Server:
    """Answers one method with whatever a test puts into `answer`."""

    def __init__(self) -> None:
        self.answer: Answer
        self.metrics = Metrics(60.0)
        interceptors = [
            assign_request_id,
            log_access,
            record_metrics(self.metrics),
            map_errors,
            enforce_deadline(DEFAULT, MAXIMUM),
            read_request,
            parse_request,
        ]
        self.grpc = grpc.aio.server(interceptors=[InterceptorChain(interceptors)])
        handler = grpc.unary_unary_rpc_method_handler(
            self._behaviour, StringValue.FromString, StringValue.SerializeToString
        )
        service, _, method = METHOD.partition("/")
        self.grpc.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, {method: handler})])
        handler = grpc.unary_stream_rpc_method_handler(
            self._pages, StringValue.FromString, StringValue.SerializeToString
        )
        service, _, method = STREAMING.partition("/")
        self.grpc.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, {method: handler})])
        self.port = self.grpc.add_insecure_port("127.0.0.1:0")

    async def _behaviour(self, request: StringValue, context: Context) -> StringValue:
        return StringValue(value=await self.answer())

    async def _pages(self, request: StringValue, context: Context) -> None:
        """One page, the answer, one page."""
        await context.write(StringValue(value="first"))
        await context.write(StringValue(value=await self.answer()))
        await context.write(StringValue(value="last"))

    def count(self, code: str, method: str = METHOD) -> float:
        return self.metrics.registry.get_sample_value("portrait_rpcs_total", {"method": method, "code": code}) or 0.0


Call = Callable[..., Awaitable[bytes]]


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    await server.grpc.start()
    yield server
    await server.grpc.stop(None)


@pytest.fixture
async def call(server: Server) -> AsyncIterator[Call]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield channel.unary_unary(f"/{METHOD}")


def raising(error: BaseException) -> Answer:
    async def answer() -> str:
        raise error

    return answer


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what the interceptors do after the caller has heard of the error."""
    async with asyncio.timeout(60.0):
        while not condition():
            await asyncio.sleep(0.005)


async def refusal(call: Call, **options: float) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call(b"", **options)
    return raised.value


EXPECTED = [
    (InvalidRequest([Violation("k", "sent -1")]), grpc.StatusCode.INVALID_ARGUMENT),
    (NotFound("catalogue", "there is none", ErrorReason.CATALOGUE_UNKNOWN), grpc.StatusCode.NOT_FOUND),
    (
        FailedPrecondition("not so", ErrorReason.CONSENT_MISSING, "shopper_id"),
        grpc.StatusCode.FAILED_PRECONDITION,
    ),
    (Overloaded("the queue is full", 0.5, ErrorReason.MODELS_BUSY), grpc.StatusCode.RESOURCE_EXHAUSTED),
    (DiskFull("the disk is full", 0.5), grpc.StatusCode.RESOURCE_EXHAUSTED),
    (StateDamaged("a page is damaged"), grpc.StatusCode.DATA_LOSS),
    (Unavailable("Triton is down", 0.5, ErrorReason.MODELS_UNAVAILABLE), grpc.StatusCode.UNAVAILABLE),
    (DeadlineExceeded("too late"), grpc.StatusCode.DEADLINE_EXCEEDED),
]


@pytest.mark.parametrize(("error", "code"), EXPECTED, ids=lambda value: getattr(value, "name", type(value).__name__))
async def test_an_expected_error_has_its_status_and_details(
    server: Server, call: Call, error: PortraitError, code: grpc.StatusCode
) -> None:
    server.answer = raising(error)
    refused = await refusal(call)
    assert (refused.code(), refused.details()) == (code, str(error))
    status = rpc_status.from_call(refused)
    assert status is not None
    kinds = {detail.type_url.rpartition(".")[2] for detail in status.details}
    match error:
        case InvalidRequest() | NotFound() | FailedPrecondition():
            assert kinds == {"ErrorInfo", "BadRequest"}
        case Overloaded() | Unavailable() | DiskFull():
            assert kinds == {"ErrorInfo", "RetryInfo"}
        case _:
            assert kinds == {"ErrorInfo"}
    info = error_details_pb2.ErrorInfo()
    status.details[0].Unpack(info)
    assert info.reason == error.reason
    if isinstance(error, InvalidRequest | NotFound | FailedPrecondition):
        bad = error_details_pb2.BadRequest()
        status.details[1].Unpack(bad)
        assert [f"{each.field}: {each.description}" for each in bad.field_violations] == [str(error)]
    assert info.metadata["request_id"] == dict(refused.trailing_metadata())["x-request-id"]
    await until(lambda: server.count(code.name) == 1)


@pytest.mark.parametrize("error", [ValueError("a lamp for ann"), InferenceFailed("a lamp for ann"), KeyError("ann")])
async def test_a_fault_of_ours_tells_the_caller_nothing_but_the_request_id(
    server: Server, call: Call, error: Exception, log: io.StringIO
) -> None:
    server.answer = raising(error)
    refused = await refusal(call)
    request_id = dict(refused.trailing_metadata())["x-request-id"]
    assert refused.code() is grpc.StatusCode.INTERNAL
    assert refused.details() == f"internal error; request id {request_id!s}"
    await until(lambda: log.getvalue().count("\n") == 2)
    written = log.getvalue()
    assert "ann" not in written
    fault, access = map(json.loads, written.splitlines())
    assert (fault["event"], fault["exception"]) == ("internal_error", type(error).__name__)
    assert fault["request_id"] == access["request_id"] == request_id
    assert access["code"] == "INTERNAL"


async def test_work_that_is_cancelled_from_within_does_not_hang_the_caller(server: Server, call: Call) -> None:
    server.answer = raising(asyncio.CancelledError())
    assert (await refusal(call)).code() is grpc.StatusCode.UNAVAILABLE


async def test_a_caller_who_leaves_is_counted_as_one(server: Server, call: Call) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def answer() -> str:
        begun.set()
        try:
            await asyncio.sleep(10)
        finally:
            ended.set()
        return ""

    server.answer = answer
    left = asyncio.ensure_future(call(b"", timeout=10.0))
    await begun.wait()
    left.cancel()
    await asyncio.wait_for(ended.wait(), 60.0)
    await until(lambda: server.count("CANCELLED") == 1)


@pytest.mark.parametrize(("asked", "granted"), [(None, DEFAULT), (60.0, MAXIMUM), (0.1, 0.1)])
async def test_every_call_has_a_deadline(server: Server, call: Call, asked: float | None, granted: float) -> None:
    left: list[float] = []

    async def answer() -> str:
        deadline = current_deadline()
        assert deadline is not None
        left.append(deadline - asyncio.get_running_loop().time())
        await asyncio.sleep(10)
        return ""

    server.answer = answer
    options = {} if asked is None else {"timeout": asked}
    refused = await refusal(call, **options)
    assert refused.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert all(each <= granted + 0.08 for each in left)  # less where the machine is busy
    if granted != asked:
        assert refused.details() == f"not done within {granted:.3g} s"


async def test_a_timeout_within_is_no_deadline(server: Server, call: Call) -> None:
    server.answer = raising(TimeoutError())
    assert (await refusal(call)).code() is grpc.StatusCode.INTERNAL


async def test_an_answer_carries_the_callers_request_id(server: Server, call: Call) -> None:
    async def answer() -> str:
        return "done"

    server.answer = answer
    made = call(b"", metadata=(("x-request-id", "order-17"),))
    assert StringValue.FromString(await made).value == "done"
    assert dict(await made.trailing_metadata())["x-request-id"] == "order-17"  # type: ignore[attr-defined]
    await until(lambda: server.count("OK") == 1)


async def test_a_call_without_a_message_is_refused(server: Server) -> None:
    server.answer = raising(AssertionError("never asked"))
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await channel.stream_unary(f"/{METHOD}")(iter(()))
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    await until(lambda: server.count("INVALID_ARGUMENT") == 1)  # counted after the caller has its status


async def test_a_message_that_never_comes_is_not_waited_for_longer_than_the_deadline(server: Server) -> None:
    async def nothing() -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await channel.stream_unary(f"/{METHOD}")(nothing())
    assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await until(lambda: server.count("DEADLINE_EXCEEDED") == 1)


async def test_a_caller_who_does_not_take_the_answer_is_no_error_of_ours(server: Server, log: io.StringIO) -> None:
    async def long() -> str:
        return "x" * 20_000_000

    server.answer = long
    options = [("grpc.max_receive_message_length", 1000)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}", options) as channel:
        for _ in range(5):
            refused = await refusal(channel.unary_unary(f"/{METHOD}"))
            assert refused.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    await server.grpc.stop(1.0)
    assert log.getvalue().count('"event": "rpc"') == 5
    assert "Traceback" not in log.getvalue()


@pytest.fixture
async def stream(server: Server) -> AsyncIterator[Callable[..., grpc.aio.UnaryStreamCall[bytes, bytes]]]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield channel.unary_stream(f"/{STREAMING}")


async def test_a_stream_is_answered_page_by_page(
    server: Server, stream: Callable[..., grpc.aio.UnaryStreamCall[bytes, bytes]]
) -> None:
    async def answer() -> str:
        return "second"

    server.answer = answer
    pages = [StringValue.FromString(page).value async for page in stream(b"")]
    assert pages == ["first", "second", "last"]
    await until(lambda: server.count("OK", STREAMING) == 1)


@pytest.mark.parametrize(("error", "code"), [*EXPECTED, (ValueError("ann"), grpc.StatusCode.INTERNAL)])
async def test_a_stream_that_fails_has_its_status_behind_its_pages(
    server: Server,
    stream: Callable[..., grpc.aio.UnaryStreamCall[bytes, bytes]],
    error: Exception,
    code: grpc.StatusCode,
) -> None:
    server.answer = raising(error)
    call = stream(b"")
    assert StringValue.FromString(await call.read()).value == "first"
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call.read()
    assert raised.value.code() is code
    assert "ann" not in str(raised.value.details())
    await until(lambda: server.count(code.name, STREAMING) == 1)


async def test_a_stream_ends_with_its_deadline_and_with_its_caller(
    server: Server, stream: Callable[..., grpc.aio.UnaryStreamCall[bytes, bytes]]
) -> None:
    ended = asyncio.Event()

    async def answer() -> str:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()
        return ""

    server.answer = answer
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        async for _ in stream(b""):
            pass
    assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert ended.is_set()
    ended.clear()
    left = stream(b"")
    await left.read()
    left.cancel()
    async with asyncio.timeout(60.0):
        await ended.wait()
