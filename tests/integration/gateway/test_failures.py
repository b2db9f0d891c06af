"""Triton dies, the gateway dies: nobody hangs, nothing that was accepted is lost."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from support.gateway import Stubs, run_gateway
from support.mixed_load import ANN, DEADLINE, Load, events

from portrait.v1 import shopper_pb2
from portrait.v1.catalogue_service_pb2 import DeleteItemsRequest, GetItemRequest, UpsertItemsRequest
from portrait.v1.event_service_pb2 import RecordEventsRequest
from portrait.v1.profile_service_pb2 import GetProfileRequest
from portrait.v1.recommendation_service_pb2 import RecommendRequest

SECONDS = 120.0


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while not holds():
            await asyncio.sleep(0.02)


async def collect_statuses(stubs: Stubs, service: str, seen: list[int]) -> None:
    """Note every status that a service has, for ever."""
    health = health_pb2_grpc.HealthStub(stubs.channel)
    async for answer in health.Watch(health_pb2.HealthCheckRequest(service=f"portrait.v1.{service}")):
        seen.append(answer.status)


def retry_seconds(error: grpc.aio.AioRpcError) -> float:
    status = rpc_status.from_call(error)
    assert status is not None
    for detail in status.details:
        info = error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            return float(info.retry_delay.ToTimedelta().total_seconds())
    raise AssertionError(f"no RetryInfo in {status}")


def _gone(pid: int) -> None:
    """Wait until a process has ended."""
    while _is_running(pid):
        time.sleep(0.05)


def _is_running(pid: int) -> bool:
    """Tell whether a process runs; a zombie does not, which stays if this process has adopted it."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(b")")[2].split()[0] != b"Z"


async def test_triton_killed_under_load(repository: Path, tmp_path: Path) -> None:
    with run_gateway(repository, tmp_path) as gateway:
        async with grpc.aio.insecure_channel(gateway.address) as channel:
            stubs = Stubs.over(channel)
            load = Load(stubs)
            running = asyncio.create_task(load.run())
            await load.until_answered()
            seen: dict[str, list[int]] = {"EventService": [], "ConsentService": [], "ProfileService": []}
            watching = [asyncio.create_task(collect_statuses(stubs, name, found)) for name, found in seen.items()]
            await until(lambda: all(seen.values()))  # a watch that begins later would miss what was before
            for deaths in (1, 2):
                os.kill(gateway.triton_pid(), signal.SIGKILL)
                await until(lambda: len(seen["ProfileService"]) >= 1 + 2 * deaths)  # noqa: B023 - ends before the next
                await load.until_answered()
            load.stop()
            await running
            for watch in watching:
                watch.cancel()

            up, down = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
            assert (seen["EventService"], seen["ConsentService"]) == ([up], [up])
            assert seen["ProfileService"] == [up, down, up, down, up]
            assert load.refused
            assert {error.code() for error in load.refused} == {grpc.StatusCode.UNAVAILABLE}
            assert all(retry_seconds(error) > 0 for error in load.refused)
            assert load.slowest < DEADLINE + 5.0
            profile = (await stubs.profiles.GetProfile(GetProfileRequest(shopper=ANN))).profile
            assert profile.event_count == load.recorded


async def test_a_killed_gateway_keeps_what_it_accepted(repository: Path, tmp_path: Path) -> None:
    new: dict[str, Any] = {"item_id": "new", "title": "Purple desk lamp", "category_path": ["Home"]}
    sent = events(0, 21)
    with run_gateway(repository, tmp_path) as gateway:
        async with grpc.aio.insecure_channel(gateway.address) as channel:
            stubs = Stubs.over(channel)
            assert (await stubs.events.RecordEvents(RecordEventsRequest(events=sent.events[:20]))).accepted == 20
            assert (await stubs.catalogue.UpsertItems(UpsertItemsRequest(items=[new]))).stored == 1
            help_ = UpsertItemsRequest(catalogue="help", items=[{"item_id": "h1", "title": "Returns"}])
            assert (await stubs.catalogue.UpsertItems(help_)).stored == 1
            gone = DeleteItemsRequest(item_ids=["desk-lamp-blue"])
            assert (await stubs.catalogue.DeleteItems(gone)).deleted == 1
        triton = gateway.triton_pid()
        gateway.process.kill()
        gateway.process.wait()
    await asyncio.to_thread(_gone, triton)

    with run_gateway(repository, tmp_path) as gateway:
        async with grpc.aio.insecure_channel(gateway.address) as channel:
            stubs = Stubs.over(channel)
            assert (await stubs.events.RecordEvents(sent)).duplicates == 20
            profile = (await stubs.profiles.GetProfile(GetProfileRequest(shopper=ANN))).profile
            assert profile.event_count == 21
            assert (await stubs.catalogue.GetItem(GetItemRequest(catalogue="help", item_id="h1"))).item.title
            asked = RecommendRequest(
                shopper=shopper_pb2.ShopperRef(shopper_id="nobody"), query="purple desk lamp", k=50
            )
            found = [ranked.item.item_id for ranked in (await stubs.recommendations.Recommend(asked)).items]
            assert "new" in found
            assert "desk-lamp-blue" not in found
