"""Several gateway processes on one port, as `portrait serve --processes 2` starts them."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from grpc_health.v1 import health_pb2, health_pb2_grpc
from support.faults import killed, paused
from support.gateway import RunningGateway, Stubs, run_gateway, serve_command
from support.metric_lint import GAUGES, lint_metrics, list_gauges
from support.ports import find_free_port
from support.processes import count_connections, list_processes
from support.recording_proxy import Proxy, recording_proxy
from support.scrape import read_metrics, scrape

from portrait.client import Client, Event, EventType
from portrait.client.channels import OPTIONS
from portrait.server.rollout.gateway_status import Gateway
from portrait.server.rollout.replay import POLL_SECONDS
from portrait.server.rollout.traffic import Traffic
from portrait.server.triton.model_processes import find_model_processes
from portrait.v1 import event_pb2, shopper_pb2
from portrait.v1.catalogue_service_pb2 import GetItemRequest, UpsertItemsRequest
from portrait.v1.event_service_pb2 import RecordEventsRequest
from portrait.v1.profile_service_pb2 import GetProfileRequest
from portrait.v1.recommendation_service_pb2 import RecommendRequest, RecommendResponse

CONNECTIONS = 12
"""Enough that the kernel gives some to either process."""
SECONDS = 120.0
"""Far more than anything takes on a busy machine."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("processes")


@pytest.fixture(scope="module")
def models(two_releases: Path, folder: Path) -> Path:
    """A repository whose release 1 serves."""
    copied = Path(shutil.copytree(two_releases, folder / "models"))
    Traffic(1).write(copied)
    return copied


@pytest.fixture(scope="module")
def proxy() -> Iterator[Proxy]:
    with recording_proxy() as proxy:
        yield proxy


@pytest.fixture(scope="module")
def gateway(models: Path, folder: Path, proxy: Proxy) -> Iterator[RunningGateway]:
    """One gateway for all tests, in an environment that names a proxy: nothing here may ask it."""
    with ExitStack() as closing:
        with pytest.MonkeyPatch.context() as patch:
            set_variables(patch, proxy)
            patch.delenv("ORT_DISABLE_TELEMETRY")  # what runs here says so for itself
            served = closing.enter_context(run_gateway(models, folder, "--processes", "2"))
        yield served


def set_variables(patch: pytest.MonkeyPatch, proxy: Proxy) -> None:
    for name, value in proxy.environment.items():
        patch.setenv(name, value)


@pytest.fixture(scope="module")
def state(folder: Path) -> Path:
    """The state file of the gateway."""
    return folder / "portrait.db"


@asynccontextmanager
async def connected(address: str, count: int = CONNECTIONS) -> AsyncIterator[list[Stubs]]:
    """Stubs over so many connections."""
    channels = [
        grpc.aio.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)])
        for _ in range(count)
    ]
    await asyncio.gather(*(channel.channel_ready() for channel in channels))
    yield [Stubs.over(channel) for channel in channels]
    for channel in channels:
        await channel.close()


async def record(stubs: Stubs, shopper: str, event_id: str) -> None:
    event = event_pb2.Event(event_id=event_id, type=event_pb2.EVENT_TYPE_VIEW, item_id="i0", time=Timestamp())
    event.time.GetCurrentTime()
    response = await stubs.events.RecordEvents(
        RecordEventsRequest(events=[{"shopper_id": shopper, "event": event}]), timeout=SECONDS
    )
    assert response.accepted == 1


async def count(stubs: Stubs, shopper: str) -> int:
    request = GetProfileRequest(shopper={"shopper_id": shopper})
    # A connection whose process was killed may still be on its way to another one.
    response = await stubs.profiles.GetProfile(request, timeout=SECONDS, wait_for_ready=True)
    return response.profile.event_count


async def test_both_serve_and_one_scrape_gives_sums(gateway: RunningGateway) -> None:
    async with connected(gateway.address) as all_stubs:
        name = 'portrait_rpcs_total{code="OK",method="portrait.v1.EventService/RecordEvents"}'
        before = read_metrics(gateway).get(name, 0.0)
        for stubs in all_stubs:
            await record(stubs, "summed", f"summed-{id(stubs)}")
    await until(gateway, name, before + CONNECTIONS)  # a busy process may miss a scrape
    await until(gateway, "portrait_processes", 2)
    assert read_metrics(gateway)["portrait_release"] == 1
    served_by = {line["pid"] for line in gateway.lines("process_ready", 2)}
    assert len(served_by) == 2


def test_prometheus_finds_no_fault_with_the_sums(gateway: RunningGateway) -> None:
    text = scrape(gateway)
    assert list_gauges(text) <= GAUGES
    assert lint_metrics(text) == ""


def test_loopback_ignores_the_proxies_of_the_environment(
    gateway: RunningGateway, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_variables(monkeypatch, proxy)
    event = Event(EventType.VIEW, item_id="i0", time=datetime.now(UTC))
    with Client(gateway.address) as client:
        assert client.get_profile([event]).event_count == 1
    shown = Gateway.ask(gateway.line("ready")["metrics"])
    assert (shown.serving, shown.loaded) == (1, frozenset({1}))
    assert proxy.requests == []


async def test_an_event_counts_for_every_process_at_once(gateway: RunningGateway, shopper: str) -> None:
    async with connected(gateway.address) as all_stubs:
        for place, stubs in enumerate(all_stubs):
            await record(stubs, shopper, f"{shopper}-{place}")
            assert [await count(each, shopper) for each in all_stubs] == [place + 1] * CONNECTIONS


async def test_an_item_reaches_every_process(gateway: RunningGateway) -> None:
    request = UpsertItemsRequest(catalogue="ads", items=[{"item_id": "new", "title": "A new lamp"}])
    async with connected(gateway.address) as all_stubs:
        await all_stubs[0].catalogue.UpsertItems(request, timeout=SECONDS)
        async with asyncio.timeout(SECONDS):
            for stubs in all_stubs:
                while not await has_item(stubs, "new"):
                    await asyncio.sleep(0.01)
    assert POLL_SECONDS <= 0.5, "within a second on a machine that has time"


async def test_item_changes_of_others_arrive_again_after_a_fault_of_the_state_file(
    gateway: RunningGateway, state: Path
) -> None:
    async with connected(gateway.address) as all_stubs:
        await until_health(all_stubs, health_pb2.HealthCheckResponse.SERVING)
        with sqlite3.connect(state) as fault:
            fault.execute("ALTER TABLE item_changes RENAME TO away")
        try:
            await until_health(all_stubs, health_pb2.HealthCheckResponse.NOT_SERVING)
        finally:
            with sqlite3.connect(state) as fault:
                fault.execute("ALTER TABLE away RENAME TO item_changes")
        await until_health(all_stubs, health_pb2.HealthCheckResponse.SERVING)
        request = UpsertItemsRequest(catalogue="ads", items=[{"item_id": "later", "title": "A later lamp"}])
        await all_stubs[0].catalogue.UpsertItems(request, timeout=SECONDS)
        async with asyncio.timeout(SECONDS):
            for stubs in all_stubs:
                while not await has_item(stubs, "later"):
                    await asyncio.sleep(0.05)
    failed = gateway.lines("background_task_failed")
    assert {(line["task"], line["exception"]) for line in failed} == {("item changes", "OperationalError")}
    assert "item_changes" not in json.dumps(failed)


async def has_item(stubs: Stubs, item_id: str) -> bool:
    with contextlib.suppress(grpc.aio.AioRpcError):
        await stubs.catalogue.GetItem(GetItemRequest(catalogue="ads", item_id=item_id), timeout=SECONDS)
        return True
    return False


async def until_health(all_stubs: list[Stubs], status: int) -> None:
    """Wait until the gateway of every connection has a status."""
    async with asyncio.timeout(SECONDS):
        for stubs in all_stubs:
            health = health_pb2_grpc.HealthStub(stubs.channel)
            while (await health.Check(health_pb2.HealthCheckRequest(), timeout=SECONDS)).status != status:
                await asyncio.sleep(0.05)


def counters(served: RunningGateway) -> dict[str, float]:
    """All that is counted."""
    names = ("_total", "_count", "_sum", "_bucket")
    return {name: value for name, value in read_metrics(served).items() if name.partition("{")[0].endswith(names)}


def fallen(before: dict[str, float], after: dict[str, float]) -> list[str]:
    """Counters that are lower than they were, or gone."""
    return [name for name, value in before.items() if after.get(name, -1.0) < value]


async def test_a_killed_process_loses_no_accepted_event_and_comes_back(gateway: RunningGateway, shopper: str) -> None:
    accepted: list[str] = []
    failed: list[grpc.StatusCode] = []
    stop = asyncio.Event()

    async def send(place: int, stubs: Stubs) -> None:
        number = 0
        while not stop.is_set():
            event_id = f"{shopper}-{place}-{number}"
            try:
                await record(stubs, shopper, event_id)
                accepted.append(event_id)
            except grpc.aio.AioRpcError as error:
                failed.append(error.code())
                await asyncio.sleep(0.05)
            number += 1

    before = list_processes(gateway)
    async with connected(gateway.address) as all_stubs:
        for stubs in all_stubs:  # texts that no process has encoded
            words = {"type": event_pb2.EVENT_TYPE_SEARCH, "query": f"rug {id(stubs)}"}
            await stubs.recommendations.Recommend(
                RecommendRequest(shopper={"history": {"events": [words]}}), timeout=SECONDS
            )
        counted = counters(gateway)
        assert counted["portrait_text_cache_misses_total"] >= CONNECTIONS
        senders = [asyncio.create_task(send(place, stubs)) for place, stubs in enumerate(all_stubs)]
        await asyncio.sleep(0.5)
        os.kill(before[0], signal.SIGKILL)
        before_kill = len(accepted)
        async with asyncio.timeout(SECONDS):
            while len(accepted) < before_kill + 10:  # the port goes on serving
                await asyncio.sleep(0.05)
        stop.set()
        await asyncio.gather(*senders)
        assert set(failed) <= {grpc.StatusCode.UNAVAILABLE}
        # What failed may have been stored all the same: its answer was lost.
        assert len(accepted) <= await count(all_stubs[0], shopper) <= len(accepted) + len(failed)
        assert not fallen(counted, counters(gateway))
    await until(gateway, "portrait_processes", 2)
    assert not fallen(counted, counters(gateway))
    assert len(set(list_processes(gateway)) - set(before)) == 1
    assert read_metrics(gateway)["portrait_process_restarts_total"] == 1


async def test_a_model_process_that_hangs_is_replaced(gateway: RunningGateway) -> None:
    hung = next(each for each in find_model_processes(gateway.triton_pid()) if each.model == "ranker")
    with paused(hung.pid):
        async with connected(gateway.address, 4) as all_stubs, asyncio.timeout(SECONDS):
            while not await repaired(gateway, all_stubs):
                await asyncio.sleep(0.05)
    assert gateway.line("triton_killed")["model"] == "ranker"


async def repaired(gateway: RunningGateway, all_stubs: list[Stubs]) -> bool:
    """Tell whether every connection is answered after Triton was killed."""
    was_killed = any(line["event"] == "triton_killed" for line in gateway.logged)
    request = RecommendRequest(shopper={"history": {"events": [{"type": event_pb2.EVENT_TYPE_SEARCH, "query": "rug"}]}})
    calls = [stubs.recommendations.Recommend(request, timeout=10) for stubs in all_stubs]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    return was_killed and all(isinstance(answer, RecommendResponse) for answer in answers)


async def test_all_switch_to_a_promoted_release_and_keep_it_when_triton_dies(
    gateway: RunningGateway, models: Path
) -> None:
    Traffic(1).promoted(2).write(models)
    try:
        await until(gateway, "portrait_release", 2)
        request = RecommendRequest(shopper={"history": {"events": [{"type": 2, "item_id": "wool-rug-red"}]}})
        async with connected(gateway.address) as all_stubs:
            answers = [await stubs.recommendations.Recommend(request, timeout=SECONDS) for stubs in all_stubs]
            assert {answer.release for answer in answers} == {2}
            with killed(gateway.triton_pid()):
                for stubs in all_stubs:
                    assert (await patient(stubs, request)).release == 2
    finally:
        Traffic(1).write(models)
    await until(gateway, "portrait_release", 1)


async def until(served: RunningGateway, metric: str, value: float) -> None:
    async with asyncio.timeout(SECONDS):
        while read_metrics(served).get(metric) != value:
            await asyncio.sleep(0.2)


async def patient(stubs: Stubs, request: RecommendRequest) -> RecommendResponse:
    """An answer that was not given before, when Triton is back."""
    async with asyncio.timeout(SECONDS):
        while True:
            request.k += 1
            with contextlib.suppress(grpc.aio.AioRpcError):
                return await stubs.recommendations.Recommend(request, timeout=SECONDS)
            await asyncio.sleep(0.2)


def test_a_port_that_somebody_listens_on_is_refused(repository: Path, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        process = subprocess.Popen(
            serve_command(repository, tmp_path, "--processes", "2", "--port", port),
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        served = RunningGateway(process)
        served.read()
    assert served.process.wait(SECONDS) == 1
    assert "in use" in served.line("startup_failed")["reason"]


async def test_callers_spread_again_after_a_process_was_away_and_sigterm_ends_all(
    repository: Path, tmp_path: Path
) -> None:
    port = find_free_port()
    how = ("--processes", "2", "--host", "::1", "--metrics-host", "[::1]", "--connection-age-seconds", "1")
    how += ("--port", str(port), "--drain-seconds", "2")
    with run_gateway(repository, tmp_path, *how) as gateway:
        assert gateway.address == f"[::1]:{port}"
        stop = asyncio.Event()
        answered = 0

        async def call(channel: grpc.aio.Channel) -> None:
            nonlocal answered
            while not stop.is_set():
                try:
                    await count_of_nobody(Stubs.over(channel))
                except grpc.aio.AioRpcError as error:
                    if error.code() is not grpc.StatusCode.UNAVAILABLE:
                        raise
                    continue  # was under way on the killed process: it is made again
                answered += 1

        # As the client makes its channels, but each with a connection of its own.
        channels = [
            grpc.aio.insecure_channel(gateway.address, [*OPTIONS, ("grpc.use_local_subchannel_pool", 1)])
            for _ in range(CONNECTIONS)
        ]
        callers = asyncio.gather(*map(call, channels))
        gateway.process.send_signal(signal.SIGHUP)  # kills neither the one nor the other
        for worker in list_processes(gateway):
            os.kill(worker, signal.SIGHUP)
        victim = list_processes(gateway)[0]
        os.kill(victim, signal.SIGKILL)
        async with asyncio.timeout(SECONDS):
            while True:
                assert not callers.done()
                ready = {line["pid"] for line in gateway.logged if line["event"] == "process_ready"} - {victim}
                if len(ready) == 2 and all(count_connections(worker, port) for worker in ready):
                    break
                await asyncio.sleep(0.1)
        stop.set()
        await callers  # raises what else a call failed with
        assert answered > CONNECTIONS
        for channel in channels:
            await channel.close()
        assert await asyncio.to_thread(read_metrics, gateway)
        processes = list_processes(gateway)
        assert gateway.terminate() == 0
    assert not [process for process in processes if Path(f"/proc/{process}").exists()]
    with socket.socket(socket.AF_INET6) as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # closed connections may linger for a minute
        free.bind(("::1", port))
        free.listen()


async def count_of_nobody(stubs: Stubs) -> None:
    history = shopper_pb2.History(events=[{"type": event_pb2.EVENT_TYPE_VIEW, "item_id": "desk-lamp-red"}])
    # One that is made again waits for a connection instead of failing at once.
    request = GetProfileRequest(shopper=shopper_pb2.ShopperRef(history=history))
    await stubs.profiles.GetProfile(request, timeout=SECONDS, wait_for_ready=True)
