"""More than can be done, or no models: refusals at once, degraded answers in time, nothing left behind."""

import asyncio
import random
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from support.faults import killed, paused
from support.gateway import RunningGateway, Stubs, run_gateway

from portrait.client import AsyncClient, Event, EventType, Priority, UnavailableError
from portrait.v1 import event_pb2, shopper_pb2
from portrait.v1.profile_service_pb2 import GetProfileRequest
from portrait.v1.recommendation_service_pb2 import RecommendRequest

DEADLINE = 5.0
FRESH = ("--response-cache-ttl-seconds", "0")
"""Turns the response cache off: a cached answer costs nothing and is never refused nor degraded."""
VISIT = shopper_pb2.ShopperRef(history={"events": [{"type": event_pb2.EVENT_TYPE_VIEW, "item_id": "desk-lamp-red"}]})
ASKED = RecommendRequest(shopper=VISIT)
ALLOWED = RecommendRequest(shopper=VISIT, allow_degraded=True)


async def metrics(gateway: RunningGateway) -> dict[str, float]:
    url = gateway.line("ready")["metrics"]
    text = await asyncio.to_thread(lambda: urllib.request.urlopen(url, timeout=5).read().decode())
    pairs = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


def retry_seconds(error: grpc.aio.AioRpcError) -> float:
    status = rpc_status.from_call(error)
    assert status is not None
    info = error_details_pb2.RetryInfo()
    assert any(detail.Unpack(info) for detail in status.details)
    return float(info.retry_delay.ToTimedelta().total_seconds())


async def refused(stubs: Stubs, request: RecommendRequest) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await stubs.recommendations.Recommend(request, timeout=DEADLINE)
    return raised.value


async def serving(stubs: Stubs) -> None:
    health = health_pb2_grpc.HealthStub(stubs.channel)
    async with asyncio.timeout(30):
        async for answer in health.Watch(health_pb2.HealthCheckRequest()):
            if answer.status == health_pb2.HealthCheckResponse.SERVING:
                return


@pytest.mark.parametrize("harm", [killed, paused])
async def test_without_triton_answers_are_degraded_where_that_is_allowed(
    repository: Path, tmp_path: Path, harm: Callable[[int], AbstractContextManager[None]]
) -> None:
    with run_gateway(repository, tmp_path, *FRESH) as gateway:
        async with grpc.aio.insecure_channel(gateway.address) as channel:
            stubs = Stubs.over(channel)
            embedding = GetProfileRequest(shopper=VISIT, fields={"paths": ["embedding"]}, allow_degraded=True)
            full = (await stubs.profiles.GetProfile(embedding)).profile
            assert not full.degraded
            with harm(gateway.triton_pid()):
                began = time.monotonic()
                asked = [stubs.recommendations.Recommend(ALLOWED, timeout=DEADLINE) for _ in range(10)]
                answers = await asyncio.gather(*asked)
                assert time.monotonic() - began < DEADLINE + 5.0
                assert all(answer.degraded and len(answer.items) == 10 for answer in answers)
                # One that is dead refuses others at once; one that stands still may go on before their time is up.
                error = await refused(stubs, ASKED)
                if harm is killed:
                    assert error.code() is grpc.StatusCode.UNAVAILABLE
                    assert retry_seconds(error) > 0
                else:
                    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
                    profile = (await stubs.profiles.GetProfile(embedding, timeout=DEADLINE)).profile
                    assert (profile.degraded, profile.embedding) == (True, full.embedding)
                cause = "unavailable" if harm is killed else "late"
                assert (await metrics(gateway))[f'portrait_degraded_responses_total{{cause="{cause}"}}'] >= 10
            await serving(stubs)
            async with asyncio.timeout(10):
                while (await stubs.recommendations.Recommend(ALLOWED, timeout=DEADLINE)).degraded:
                    await asyncio.sleep(0.05)
            assert (await stubs.recommendations.Recommend(ASKED, timeout=DEADLINE)).items


class Crowd:
    """Calls of one caller, and what became of them."""

    def __init__(self, gateway: RunningGateway, caller: str, priority: Priority = Priority.INTERACTIVE) -> None:
        self.client = AsyncClient(gateway.address, caller=caller, priority=priority)
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


async def test_more_than_can_be_done_is_refused_by_priority_and_by_caller(repository: Path, tmp_path: Path) -> None:
    with run_gateway(repository, tmp_path, "--max-concurrent-rpcs", "8", *FRESH) as gateway:
        greedy, modest, batch = Crowd(gateway, "search"), Crowd(gateway, "mail"), Crowd(gateway, "ads", Priority.BATCH)
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
        shown = await admission(gateway)
        assert shown["limit_units{}"] <= 8
        assert shown["running_units{}"] == 0
        for crowd in crowds:
            await crowd.client.close()


async def test_who_is_refused_and_why_while_nothing_ends(repository: Path, tmp_path: Path) -> None:
    """A caller gets 4 of 8 places, and batch work those up to the 6th: exact, since no answer frees a place."""
    with run_gateway(repository, tmp_path, "--max-concurrent-rpcs", "8", *FRESH) as gateway:
        greedy, modest, batch = Crowd(gateway, "search"), Crowd(gateway, "mail"), Crowd(gateway, "ads", Priority.BATCH)
        for crowd in (greedy, modest, batch):
            await crowd.ask(1)

        async def until(name: str, value: float) -> dict[str, float]:
            async with asyncio.timeout(5):
                while (shown := await admission(gateway)).get(name) != value:
                    await asyncio.sleep(0.005)
            return shown

        with paused(gateway.triton_pid()):
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
        assert (await admission(gateway))["running_units{}"] == 0
        for crowd in (greedy, modest, batch):
            await crowd.client.close()


async def test_a_storm_of_callers_who_leave_costs_little_and_leaves_nothing(repository: Path, tmp_path: Path) -> None:
    chance = random.Random(1)
    with run_gateway(repository, tmp_path, *FRESH) as gateway:
        async with grpc.aio.insecure_channel(gateway.address) as channel:
            stubs = Stubs.over(channel)

            async def storm(leaving: float) -> None:
                async def one() -> None:
                    query = f"lamp {chance.random()}"
                    request = RecommendRequest(shopper=VISIT, query=query)
                    call = stubs.recommendations.Recommend(request, timeout=10.0)
                    if chance.random() < leaving:
                        await asyncio.sleep(chance.uniform(0, 0.01))
                        call.cancel()
                    with suppress(asyncio.CancelledError, grpc.aio.AioRpcError):
                        await call
                    while not leaving and await call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:  # on a busy machine
                        await asyncio.sleep(0.1)
                        call = stubs.recommendations.Recommend(request, timeout=10.0)
                        await call.code()

                for _ in range(10):
                    await asyncio.gather(*(one() for _ in range(40)))

            async def encoded() -> float:
                return (await metrics(gateway))['portrait_model_rows_total{model="text_encoder"}']

            before = await encoded()
            await storm(0.0)
            stayed = await encoded() - before
            await storm(0.9)
            left = await encoded() - before - stayed
            assert stayed == 400
            assert left < 0.8 * stayed
            after = await metrics(gateway)
            assert after['portrait_admission_running_units{workload="models"}'] == 0
            assert after['portrait_model_pending_rows{model="text_encoder"}'] == 0
            assert (await stubs.recommendations.Recommend(ASKED, timeout=DEADLINE)).items
