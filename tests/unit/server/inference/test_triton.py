"""Several Triton servers: the work goes to the one with least to do, and moves on from one that can't answer."""

import asyncio
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import InferenceFailed, Overloaded, PortraitError, Unavailable
from portrait.server.inference.liveness import ModelStatus
from portrait.server.inference.triton import TritonModels, UnhealthyModel
from portrait.server.triton.errors import TritonError

GONE = Unavailable("gone", 1.0, ErrorReason.MODELS_UNAVAILABLE)
BUSY = Overloaded("busy", 1.0, ErrorReason.MODELS_BUSY)


class Server:
    """A server that answers with its name, or fails, after it is told to."""

    def __init__(self, url: str, failure: PortraitError | None = None) -> None:
        self.url, self.failure = url, failure
        self.is_down = False
        self.outstanding = 0
        self.calls = 0
        self.retried: list[bool] = []
        self.may_answer = asyncio.Event()
        self.status = ModelStatus.READY
        self.instances: dict[str, int] | None = {"ranker": 2}

    async def run(self, *_: object, retry: bool) -> Any:
        self.calls += 1
        self.outstanding += 1
        self.retried.append(retry)
        try:
            await self.may_answer.wait()
        finally:
            self.outstanding -= 1
        if self.failure is not None:
            raise self.failure
        return self.url

    async def check_models(self, seconds: float) -> ModelStatus:
        return self.status

    async def count_instances(self) -> dict[str, int]:
        if self.instances is None:
            raise TritonError("no answer")
        return self.instances

    def pop_unhealthy(self) -> list[str]:
        return ["ranker"] if self.is_down else []


def fleet(*servers: Server, hedge_seconds: float | None = None) -> TritonModels:
    models = TritonModels([], 1, ["ranker"], hedge_seconds=hedge_seconds)
    models.servers = cast(Any, list(servers))
    return models


async def ask(models: TritonModels) -> Any:
    return await models.run("ranker", {}, {}, None)


def answer_at_once(*servers: Server) -> None:
    for server in servers:
        server.may_answer.set()


@given(st.lists(st.sampled_from(["ask", "answer"]), max_size=40))
def test_no_server_has_two_calls_more_than_another(steps: list[str]) -> None:
    async def run() -> None:
        servers = [Server(name) for name in "abc"]
        models = fleet(*servers)
        tasks: list[asyncio.Task[Any]] = []
        for step in steps:
            if step == "ask":
                tasks.append(asyncio.create_task(ask(models)))
            elif tasks:
                tasks.pop(0).cancel()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            under_way = [server.outstanding for server in servers]
            assert sum(under_way) == len(tasks)
            if step == "ask":  # an end may leave one server behind, and the next calls go there
                least = min(under_way)
                assert max(under_way) - least <= 1 or under_way.count(max(under_way)) < len(servers)
        for task in tasks:
            task.cancel()

    asyncio.run(run())


async def test_servers_that_have_nothing_to_do_take_turns() -> None:
    servers = [Server(name) for name in "abc"]
    answer_at_once(*servers)
    models = fleet(*servers)
    assert {await ask(models) for _ in range(3)} == {"a", "b", "c"}


@pytest.mark.parametrize("failure", [GONE, BUSY])
async def test_a_call_goes_on_to_the_next_server(failure: PortraitError) -> None:
    servers = [Server("a", failure), Server("b", failure), Server("c")]
    answer_at_once(*servers)
    models = fleet(*servers)
    assert [await ask(models) for _ in range(6)] == ["c"] * 6
    assert models.failovers == servers[0].calls + servers[1].calls > 0
    assert not any(servers[0].retried)  # there is another one to try


async def test_the_last_server_is_tried_again_and_its_error_is_told() -> None:
    servers = [Server("a", GONE), Server("b", GONE)]
    answer_at_once(*servers)
    with pytest.raises(Unavailable):
        await ask(fleet(*servers))
    assert sorted(retried for server in servers for retried in server.retried) == [False, True]


async def test_a_fault_of_the_model_is_not_tried_elsewhere() -> None:
    servers = [Server("a", InferenceFailed("bad")), Server("b", InferenceFailed("bad"))]
    answer_at_once(*servers)
    with pytest.raises(InferenceFailed):
        await ask(fleet(*servers))
    assert sum(server.calls for server in servers) == 1


async def test_a_server_that_is_down_gets_no_calls_unless_all_are() -> None:
    servers = [Server("a"), Server("b")]
    answer_at_once(*servers)
    servers[0].is_down = True
    models = fleet(*servers)
    assert [await ask(models) for _ in range(4)] == ["b"] * 4
    servers[1].is_down = True
    assert {await ask(models) for _ in range(4)} == {"a", "b"}


async def test_a_slow_server_is_overtaken_by_a_second_one() -> None:
    slow, quick = Server("slow"), Server("quick")
    answer_at_once(quick)
    models = fleet(slow, quick, hedge_seconds=0.01)
    assert [await ask(models) for _ in range(4)] == ["quick"] * 4
    assert models.hedges == slow.calls > 0
    await asyncio.sleep(0)
    assert slow.outstanding == 0  # its calls are cancelled


async def test_a_hedged_call_fails_only_if_both_servers_do() -> None:
    slow, broken = Server("slow"), Server("broken", GONE)
    answer_at_once(broken)
    models = fleet(slow, broken, hedge_seconds=0.01)
    calls = [asyncio.create_task(ask(models)) for _ in range(4)]
    await asyncio.sleep(0.05)
    answer_at_once(slow)
    assert await asyncio.gather(*calls) == ["slow"] * 4
    slow.failure = GONE
    with pytest.raises(Unavailable):
        await ask(models)


async def test_the_status_is_that_of_the_best_server() -> None:
    servers = [Server("a"), Server("b")]
    models = fleet(*servers)
    for first, second, expected in (
        (ModelStatus.DEAD, ModelStatus.READY, ModelStatus.READY),
        (ModelStatus.DEAD, ModelStatus.SILENT, ModelStatus.SILENT),
        (ModelStatus.DEAD, ModelStatus.DEAD, ModelStatus.DEAD),
    ):
        servers[0].status, servers[1].status = first, second
        assert await models.check_models(1.0) is expected


async def test_instances_of_a_server_that_is_away_are_estimated() -> None:
    servers = [Server("a"), Server("b"), Server("c")]
    models = fleet(*servers)
    assert await models.count_instances() == {"ranker": 6}
    servers[0].instances = None
    assert await models.count_instances() == {"ranker": 6}
    for server in servers:
        server.instances = None
    with pytest.raises(TritonError):
        await models.count_instances()


async def test_an_unhealthy_model_is_told_with_its_server() -> None:
    servers = [Server("a"), Server("b")]
    servers[1].is_down = True
    assert fleet(*servers).pop_unhealthy() == [UnhealthyModel("ranker", "b")]
