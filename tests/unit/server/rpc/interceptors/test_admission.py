"""Admission round a service that does as it is told, over a real socket."""

import asyncio
from collections.abc import AsyncIterator, Callable

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from portrait.server.admission.costs import Workload
from portrait.server.admission.gate import Gate, Priority, Refusal
from portrait.server.admission.scheduler import CooperativeScheduler
from portrait.server.batching.caller_key import CallerKey, current_caller_key
from portrait.server.metrics.collectors import Metrics
from portrait.server.response_cache import ResponseCache
from portrait.server.rpc.context import Context
from portrait.server.rpc.interceptors.admission import admit_calls
from portrait.server.rpc.interceptors.chain import InterceptorChain
from portrait.server.rpc.interceptors.deadlines import enforce_deadline
from portrait.server.rpc.interceptors.errors import map_errors
from portrait.server.rpc.interceptors.load_shedding import shed_load
from portrait.server.rpc.interceptors.request_parser import parse_request
from portrait.server.rpc.interceptors.request_reader import read_request

RECOMMEND = "portrait.v1.RecommendationService/Recommend"
RECORD = "portrait.v1.EventService/RecordEvents"
HEALTH = "grpc.health.v1.Health/Check"
PLACES = 8


class Server:
    """Keeps every call until the test lets them go."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.held = 0
        self.shares: list[CallerKey] = []
        self.gates = {kind: Gate(PLACES, 0.5) for kind in Workload}
        self.metrics = Metrics(60.0)
        self.metrics.register_admission(self.gates)
        self.given = ResponseCache(1_000)
        turns = CooperativeScheduler()
        chain = InterceptorChain(
            [
                shed_load(self.gates, turns, self.given, self.metrics),
                map_errors,
                enforce_deadline(5, 5),
                read_request,
                admit_calls(self.gates, turns),
                parse_request,
            ]
        )
        self.grpc = grpc.aio.server(interceptors=[chain])
        handler = grpc.unary_unary_rpc_method_handler(self._hold, StringValue.FromString, StringValue.SerializeToString)
        for path in (RECOMMEND, RECORD, HEALTH):
            service, _, method = path.partition("/")
            self.grpc.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, {method: handler})])
        self.port = self.grpc.add_insecure_port("127.0.0.1:0")

    async def _hold(self, request: StringValue, context: Context) -> StringValue:
        self.held += 1
        self.shares.append(current_caller_key())
        await self.go.wait()
        return StringValue()

    def count(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"portrait_admission_{name}", labels) or 0.0


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    await server.grpc.start()
    yield server
    await server.grpc.stop(None)


@pytest.fixture
async def channel(server: Server) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield channel


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.005)


def ask(
    channel: grpc.aio.Channel, path: str = RECOMMEND, *metadata: tuple[str, str], size: int = 0
) -> "asyncio.Task[object]":
    call = channel.unary_unary(f"/{path}")(StringValue(value="x" * size).SerializeToString(), metadata=metadata)

    async def answer() -> object:
        return await call

    return asyncio.create_task(answer())


async def refusal(task: "asyncio.Task[object]") -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await task
    return refused.value


async def test_a_full_gateway_refuses_at_once_and_says_when_to_come_back(
    server: Server, channel: grpc.aio.Channel
) -> None:
    taken = [ask(channel, RECOMMEND, ("x-caller", f"c{n}")) for n in range(PLACES)]
    await until(lambda: server.held == PLACES)
    refused = await refusal(ask(channel, RECOMMEND, ("x-caller", "late")))
    assert refused.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    status = rpc_status.from_call(refused)
    assert status is not None
    info = error_details_pb2.RetryInfo()
    assert status.details[1].Unpack(info)
    assert 0 < info.retry_delay.ToTimedelta().total_seconds() < 1
    pushback = dict(refused.trailing_metadata())["grpc-retry-pushback-ms"]
    assert int(pushback) == round(1000 * info.retry_delay.ToTimedelta().total_seconds())
    assert server.count("refused_total", workload="models", priority="interactive", reason="limit") == 1
    assert server.count("running_units", workload="models") == PLACES
    # Events wait for the disk, not for models; health is never refused.
    others = [ask(channel, RECORD), *(ask(channel, HEALTH) for _ in range(50))]
    await until(lambda: server.held == PLACES + len(others))
    server.go.set()
    await asyncio.gather(*taken, *others)
    assert server.count("running_units", workload="models") == 0
    assert server.count("admitted_total", workload="models", priority="interactive") == PLACES


async def test_batch_calls_leave_room_for_interactive_ones(server: Server, channel: grpc.aio.Channel) -> None:
    batch = [ask(channel, RECOMMEND, ("x-priority", "batch")) for _ in range(PLACES)]
    await until(lambda: server.held == 6 and server.gates[Workload.MODELS].refused.total() == 2)
    interactive = [ask(channel, RECOMMEND, ("x-caller", "search")) for _ in range(2)]
    await until(lambda: server.held == PLACES)
    server.go.set()
    await asyncio.gather(*interactive)
    outcomes = await asyncio.gather(*batch, return_exceptions=True)
    assert sum(isinstance(outcome, grpc.aio.AioRpcError) for outcome in outcomes) == 2
    assert server.gates[Workload.MODELS].refused == {(Priority.BATCH, Refusal.LIMIT): 2}


async def test_a_caller_gets_its_share_while_others_call_and_all_of_it_while_none_does(
    server: Server, channel: grpc.aio.Channel
) -> None:
    first = ask(channel, RECOMMEND, ("x-caller", "mail"))
    await until(lambda: server.held == 1)
    greedy = [ask(channel, RECOMMEND, ("x-caller", "search")) for _ in range(PLACES)]
    await until(lambda: server.held + server.gates[Workload.MODELS].refused.total() == 1 + PLACES)
    assert server.held == 1 + PLACES // 2
    assert server.gates[Workload.MODELS].refused == {(Priority.INTERACTIVE, Refusal.CALLER): PLACES // 2}
    server.go.set()
    await asyncio.gather(first, *greedy, return_exceptions=True)


def _never_given_again(server: Server) -> bytes:
    """Have no answer found, so often that it is not worth looking; returns the key that was looked for."""
    key = server.given.key(RECOMMEND, b"request")
    for _ in range(1_000):
        server.given.get(key, None, 0.0)
    return key


@pytest.mark.parametrize("often_given_again", [False, True])
async def test_a_full_gateway_reads_no_calls_unless_many_are_answered_from_memory(
    server: Server, channel: grpc.aio.Channel, monkeypatch: pytest.MonkeyPatch, often_given_again: bool
) -> None:
    monkeypatch.setattr("portrait.server.admission.gate.MAX_WAIT_SECONDS", 60.0)
    key = _never_given_again(server)
    if often_given_again:
        server.given.put(key, b"answer", None, 1.0)
        for _ in range(100):
            server.given.get(key, None, 0.0)
    taken = [ask(channel, RECOMMEND, ("x-caller", f"c{n}")) for n in range(PLACES + 2)]
    await until(lambda: server.gates[Workload.MODELS].is_full)
    unread = channel.stream_unary(f"/{RECOMMEND}")(metadata=(("x-caller", "late"), ("x-priority", "batch")))
    if often_given_again:
        await asyncio.sleep(0.05)
        assert not unread.done()
        await unread.write(b"")
    assert await unread.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert server.count("refused_total", workload="models", priority="batch", reason="limit") == 1
    server.go.set()
    await asyncio.gather(*taken)


async def test_a_call_that_is_not_read_is_refused_and_counted_as_any_other(
    server: Server, channel: grpc.aio.Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portrait.server.admission.gate.MAX_WAIT_SECONDS", 60.0)
    _never_given_again(server)
    taken = [ask(channel, RECOMMEND, ("x-caller", f"c{n}")) for n in range(PLACES + 2)]
    await until(lambda: server.gates[Workload.MODELS].is_full)
    refused = [await refusal(ask(channel, RECOMMEND, ("x-caller", "late"))) for _ in range(3)]
    for each in refused:
        status = rpc_status.from_call(each)
        assert status is not None
        assert status.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
        info = error_details_pb2.RetryInfo()
        assert status.details[1].Unpack(info)
        pushback = dict(each.trailing_metadata())["grpc-retry-pushback-ms"]
        assert int(pushback) == round(1000 * info.retry_delay.ToTimedelta().total_seconds())
    counted = {"method": RECOMMEND, "code": "RESOURCE_EXHAUSTED"}
    assert server.metrics.registry.get_sample_value("portrait_rpcs_total", counted) == 3
    wrong = await refusal(ask(channel, RECOMMEND, ("x-priority", "urgent")))
    assert wrong.code() is grpc.StatusCode.INVALID_ARGUMENT
    server.go.set()
    await asyncio.gather(*taken)


@pytest.mark.parametrize(("key", "value"), [("x-priority", "urgent"), ("x-caller", "a name"), ("x-caller", "n" * 129)])
async def test_metadata_that_says_nonsense_is_refused(
    server: Server, channel: grpc.aio.Channel, key: str, value: str
) -> None:
    refused = await refusal(ask(channel, RECOMMEND, (key, value)))
    assert refused.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert key in str(refused.details())
    assert value not in str(refused.details())


async def test_what_a_call_makes_counts_for_its_caller_and_method(server: Server, channel: grpc.aio.Channel) -> None:
    server.go.set()
    await ask(channel, RECOMMEND, ("x-caller", "search"))
    await ask(channel, RECOMMEND, ("x-caller", "mail"), ("x-priority", "batch"))
    assert server.shares == [
        CallerKey(f"name search {RECOMMEND}"),
        CallerKey(f"name mail {RECOMMEND}", background=True),
    ]


async def test_a_caller_who_leaves_gives_its_place_back(server: Server, channel: grpc.aio.Channel) -> None:
    calls = [ask(channel) for _ in range(5)]
    await until(lambda: server.held == 5)
    for call in calls:
        call.cancel()
    await until(lambda: server.gates[Workload.MODELS].under_way == 0)
