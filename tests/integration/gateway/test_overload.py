"""More than can be done, or no models: refusals at once, degraded answers in time, nothing left behind."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import TypeVar

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from support.faults import killed, paused
from support.gateway import RunningGateway, Stubs, run_gateway
from support.scrape import read_metrics

from portrait.client import AsyncClient, Event, EventType, Priority, UnavailableError
from portrait.v1 import event_pb2, shopper_pb2
from portrait.v1.profile_pb2 import Profile
from portrait.v1.profile_service_pb2 import GetProfileRequest
from portrait.v1.recommendation_service_pb2 import RecommendRequest, RecommendResponse

DEADLINE = 2.0
"""Seconds of a call for which the models will be late."""
AMPLE = 60.0
"""Far more seconds than anything takes on a busy machine."""
FRESH = ("--response-cache-ttl-seconds", "0")
"""Turns the response cache off: a cached answer costs nothing and is never refused nor degraded."""
VISIT = shopper_pb2.ShopperRef(history={"events": [{"type": event_pb2.EVENT_TYPE_VIEW, "item_id": "desk-lamp-red"}]})
ASKED = RecommendRequest(shopper=VISIT)
ALLOWED = RecommendRequest(shopper=VISIT, allow_degraded=True)
EMBEDDING = GetProfileRequest(shopper=VISIT, fields={"paths": ["embedding"]}, allow_degraded=True)
PENDING = 'portrait_model_pending_rows{model="text_encoder"}'

R = TypeVar("R")


@pytest.fixture(scope="module")
def fresh(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway that computes every answer anew."""
    with run_gateway(repository, tmp_path_factory.mktemp("fresh"), *FRESH) as served:
        yield served


@pytest.fixture(scope="module")
def small(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """One that runs 8 calls at a time."""
    folder = tmp_path_factory.mktemp("small")
    with run_gateway(repository, folder, "--max-concurrent-rpcs", "8", *FRESH) as served:
        yield served


@pytest.fixture
async def stubs(fresh: RunningGateway) -> AsyncIterator[Stubs]:
    async with grpc.aio.insecure_channel(fresh.address) as channel:
        yield Stubs.over(channel)


async def metrics(gateway: RunningGateway) -> dict[str, float]:
    return await asyncio.to_thread(read_metrics, gateway)


def retry_seconds(error: grpc.aio.AioRpcError) -> float:
    status = rpc_status.from_call(error)
    assert status is not None
    info = error_details_pb2.RetryInfo()
    assert any(detail.Unpack(info) for detail in status.details)
    return float(info.retry_delay.ToTimedelta().total_seconds())


async def refused(stubs: Stubs, request: RecommendRequest, seconds: float) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await stubs.recommendations.Recommend(request, timeout=seconds)
    return raised.value


async def serving(stubs: Stubs) -> None:
    health = health_pb2_grpc.HealthStub(stubs.channel)
    async with asyncio.timeout(AMPLE):
        async for answer in health.Watch(health_pb2.HealthCheckRequest()):
            if answer.status == health_pb2.HealthCheckResponse.SERVING:
                return


async def in_time(ask: Callable[[], Awaitable[R]]) -> R:
    """An answer within its deadline; on a busy machine one that was about to be given in time may come too late."""
    async with asyncio.timeout(AMPLE):
        while True:
            try:
                return await ask()
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED:
                    raise


@pytest.mark.parametrize("harm", [paused, killed])
async def test_without_triton_answers_are_degraded_where_that_is_allowed(
    fresh: RunningGateway, stubs: Stubs, harm: Callable[[int], AbstractContextManager[None]]
) -> None:
    # One that is dead refuses others at once; one that stands still may go on before their time is up.
    seconds = AMPLE if harm is killed else DEADLINE

    async def recommend() -> RecommendResponse:
        return await stubs.recommendations.Recommend(ALLOWED, timeout=seconds)

    async def read_profile() -> Profile:
        return (await stubs.profiles.GetProfile(EMBEDDING, timeout=seconds)).profile

    full = (await stubs.profiles.GetProfile(EMBEDDING)).profile
    assert not full.degraded
    cause = f'portrait_degraded_responses_total{{cause="{"unavailable" if harm is killed else "late"}"}}'
    before = (await metrics(fresh))[cause]
    with harm(fresh.triton_pid()):
        error, profile, *answers = await asyncio.gather(
            refused(stubs, ASKED, seconds), in_time(read_profile), *(in_time(recommend) for _ in range(10))
        )
        assert all(answer.degraded and len(answer.items) == 10 for answer in answers)
        assert (profile.degraded, profile.embedding) == (True, full.embedding)
        if harm is killed:
            assert error.code() is grpc.StatusCode.UNAVAILABLE
            assert retry_seconds(error) > 0
        else:
            assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert (await metrics(fresh))[cause] >= before + 10
    await serving(stubs)
    async with asyncio.timeout(AMPLE):
        while (await stubs.recommendations.Recommend(ALLOWED, timeout=AMPLE)).degraded:
            await asyncio.sleep(0.05)
    assert (await stubs.recommendations.Recommend(ASKED, timeout=AMPLE)).items


async def test_a_storm_of_callers_who_leave_costs_little_and_leaves_nothing(
    fresh: RunningGateway, stubs: Stubs
) -> None:
    chance = random.Random(1)

    async def storm(leaving: float) -> None:
        async def one() -> None:
            request = RecommendRequest(shopper=VISIT, query=f"lamp {chance.random()}")
            call = stubs.recommendations.Recommend(request, timeout=AMPLE)
            if chance.random() < leaving:
                await asyncio.sleep(chance.uniform(0, 0.01))
                call.cancel()
            with suppress(asyncio.CancelledError, grpc.aio.AioRpcError):
                await call
            while not leaving and await call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:  # on a busy machine
                await asyncio.sleep(0.1)
                call = stubs.recommendations.Recommend(request, timeout=AMPLE)
                await call.code()

        for _ in range(10):
            await asyncio.gather(*(one() for _ in range(40)))

    async def until_nothing_is_left() -> None:
        """Wait until the gateway has heard who left."""
        left = ('portrait_admission_running_units{workload="models"}', PENDING)
        async with asyncio.timeout(AMPLE):
            while any(map((await metrics(fresh)).__getitem__, left)):
                await asyncio.sleep(0.01)

    async def encoded() -> float:
        return (await metrics(fresh))['portrait_model_rows_total{model="text_encoder"}']

    before = await encoded()
    await storm(0.0)
    stayed = await encoded() - before
    await storm(0.9)
    await until_nothing_is_left()
    left = await encoded() - before - stayed
    assert stayed == 400
    assert left < 0.8 * stayed
    assert (await stubs.recommendations.Recommend(ASKED, timeout=AMPLE)).items


class Crowd:
    """Calls of one caller, and what became of them."""

    def __init__(self, gateway: RunningGateway, caller: str, priority: Priority = Priority.INTERACTIVE) -> None:
        self.client = AsyncClient(gateway.address, caller=caller, priority=priority, timeout=AMPLE)
        self.outcomes: Counter[str] = Counter()

    async def ask(self, count: int) -> None:
        """So many calls at one moment."""
        await asyncio.gather(*(self._one() for _ in range(count)))

    async def _one(self) -> None:
        try:
            await self.client.recommend([Event(EventType.VIEW, item_id="desk-lamp-red")])
            self.outcomes["good"] += 1
        except UnavailableError as error:
            refused = error.code is grpc.StatusCode.RESOURCE_EXHAUSTED and bool(error.retry_after)
            self.outcomes["refused" if refused else "failed"] += 1


async def admission(gateway: RunningGateway) -> dict[str, float]:
    """Metrics of the gate of the models, by name and the labels beside its workload."""
    found = {}
    for name, value in (await metrics(gateway)).items():
        if name.startswith("portrait_admission_") and 'workload="models"' in name:
            found[name.removeprefix("portrait_admission_").replace('workload="models"', "").replace(",}", "}")] = value
    return found


async def test_who_is_refused_and_why_while_nothing_ends(small: RunningGateway) -> None:
    """A caller gets 4 of 8 places, and batch work those up to the 6th: exact, since no answer frees a place."""
    greedy, modest, batch = Crowd(small, "search"), Crowd(small, "mail"), Crowd(small, "ads", Priority.BATCH)
    for crowd in (greedy, modest, batch):
        await crowd.ask(1)

    async def until(name: str, value: float) -> dict[str, float]:
        async with asyncio.timeout(AMPLE):
            while (shown := await admission(small)).get(name) != value:
                await asyncio.sleep(0.005)
        return shown

    with paused(small.triton_pid()):
        held = [asyncio.create_task(modest.ask(1))]
        await until("running_units{}", 1)
        held.append(asyncio.create_task(greedy.ask(20)))
        await until('refused_total{priority="interactive",reason="caller"}', 16)
        held.append(asyncio.create_task(batch.ask(20)))
        shown = await until('refused_total{priority="batch",reason="limit"}', 19)
        assert shown["running_units{}"] == 6
        assert {name for name in shown if name.startswith("refused_total")} == {
            'refused_total{priority="interactive",reason="caller"}',
            'refused_total{priority="batch",reason="limit"}',
        }
    await asyncio.gather(*held)
    assert (greedy.outcomes["refused"], batch.outcomes["refused"], modest.outcomes["refused"]) == (16, 19, 0)
    assert (await admission(small))["running_units{}"] == 0
    for crowd in (greedy, modest, batch):
        await crowd.client.close()


async def test_more_than_can_be_done_is_refused_by_priority_and_by_caller(small: RunningGateway) -> None:
    greedy, modest, batch = Crowd(small, "search"), Crowd(small, "mail"), Crowd(small, "ads", Priority.BATCH)
    crowds = (greedy, modest, batch)
    for crowd in crowds:
        await crowd.ask(1)

    async def again(crowd: Crowd, count: int) -> None:
        for _ in range(40):
            await crowd.ask(count)

    await asyncio.gather(again(greedy, 40), again(modest, 1), again(batch, 40))
    assert greedy.outcomes["refused"]
    assert batch.outcomes["refused"]
    assert modest.outcomes["good"] >= 30
    assert not any(crowd.outcomes["failed"] for crowd in crowds)
    shown = await admission(small)
    assert shown["limit_units{}"] <= 8
    assert shown["running_units{}"] == 0
    for crowd in crowds:
        await crowd.client.close()
