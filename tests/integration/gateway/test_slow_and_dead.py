"""A machine that is slow fails no call that has time; a model's process that is dead is noticed and replaced."""

import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from uuid import uuid4

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from support.faults import paused
from support.gateway import RunningGateway, Stubs, run_gateway

from portrait.server.triton.model_processes import ModelProcess, find_model_processes
from portrait.v1 import event_pb2, shopper_pb2
from portrait.v1.profile_service_pb2 import GetProfileRequest
from portrait.v1.recommendation_service_pb2 import RecommendRequest

AMPLE = 30.0
"""Seconds that a caller gives a call."""
SECONDS = 120.0
"""Far more than anything takes on a busy machine."""
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Load:
    """Callers that use every graph, without a pause, with words that no cache knows."""

    def __init__(self, stubs: Stubs) -> None:
        self._stubs = stubs
        self.answered: list[float] = []
        """Moments of answers."""
        self.failed: list[grpc.aio.AioRpcError] = []

    async def ask(self) -> None:
        word = uuid4().hex
        event = {"type": event_pb2.EVENT_TYPE_SEARCH, "query": f"rug {word}"}
        shopper = shopper_pb2.ShopperRef(history={"events": [event]})
        try:
            recommend = RecommendRequest(shopper=shopper, query=f"lamp {word}")
            await self._stubs.recommendations.Recommend(recommend, timeout=AMPLE)
            traits = GetProfileRequest(shopper=shopper, fields={"paths": ["embedding", "traits"]})
            await self._stubs.profiles.GetProfile(traits, timeout=AMPLE)
            self.answered.append(time.monotonic())
        except grpc.aio.AioRpcError as error:
            self.failed.append(error)
            await asyncio.sleep(0.05)

    async def ask_on(self) -> None:
        while True:
            await self.ask()

    async def until_answered(self, seconds: float = SECONDS) -> None:
        """Wait until a call that begins now is answered."""
        async with asyncio.timeout(seconds):
            before = len(self.answered)
            while len(self.answered) == before:
                await self.ask()


@asynccontextmanager
async def loaded(gateway: RunningGateway, callers: int = 8) -> AsyncIterator[Load]:
    """A gateway under load."""
    async with grpc.aio.insecure_channel(gateway.address, [("grpc.enable_retries", 0)]) as channel:
        load = Load(Stubs.over(channel))
        await load.ask()
        assert load.answered, load.failed
        tasks = [asyncio.create_task(load.ask_on()) for _ in range(callers)]
        await asyncio.sleep(0.5)
        yield load
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def saturated(processes: int) -> Iterator[None]:
    """Keep the cores busy with so many processes."""
    busy = [multiprocessing.get_context("spawn").Process(target=_spin, daemon=True) for _ in range(processes)]
    for each in busy:
        each.start()
    try:
        yield
    finally:
        for each in busy:
            each.kill()
            each.join()


def _spin() -> None:
    while True:
        pass


async def test_a_triton_that_stands_still_for_a_while_fails_no_call_that_has_time(gateway: RunningGateway) -> None:
    async with loaded(gateway, callers=16) as load:
        triton = gateway.triton_pid()
        with paused(triton):
            await asyncio.sleep(3.0)
        went_on = time.monotonic()
        async with asyncio.timeout(SECONDS):
            while load.answered[-1] < went_on:
                await asyncio.sleep(0.05)
        await load.until_answered()
    assert not load.failed
    assert gateway.triton_pid() == triton


async def test_busy_cores_fail_no_call_that_has_time(gateway: RunningGateway) -> None:
    triton = gateway.triton_pid()
    with saturated(4 * (os.cpu_count() or 2)):
        async with loaded(gateway) as load:
            await asyncio.sleep(3.0)
            await load.until_answered()
    assert not load.failed
    assert gateway.triton_pid() == triton


@pytest.mark.parametrize("model", ["text_encoder", "profile_encoder", "ranker", "trait_heads"])
async def test_a_killed_model_process_is_replaced(gateway: RunningGateway, model: str) -> None:
    """The shipped configuration has two text encoders, of which one is killed."""
    async with loaded(gateway, callers=2) as load:
        said: list[int] = []
        watch = asyncio.create_task(_note_health(load, said))
        server = gateway.triton_pid()
        before = find_model_processes(server)
        victim = next(each for each in before if each.model == model)
        os.kill(victim.pid, signal.SIGKILL)
        await _until(lambda: any(line["event"] == "model_process_died" for line in _lines_of(gateway, victim)))
        await _until(lambda: len(_living(gateway, server)) == len(before))
        await load.until_answered()
        await _until(lambda: said[-1:] == [SERVING])
        watch.cancel()
    assert NOT_SERVING in said or not load.failed
    assert {error.code() for error in load.failed} <= {grpc.StatusCode.UNAVAILABLE}
    await _until(lambda: not victim.is_zombie())
    [line] = [line for line in _lines_of(gateway, victim) if line["event"] == "model_process_died"]
    assert (line["model"], line["release"]) == (model, victim.release)


async def _note_health(load: Load, said: list[int]) -> None:
    health = health_pb2_grpc.HealthStub(load._stubs.channel)
    async for answer in health.Watch(health_pb2.HealthCheckRequest()):
        said.append(answer.status)


def _lines_of(gateway: RunningGateway, process: ModelProcess) -> list[dict[str, object]]:
    return [line for line in gateway.logged if line.get("pid") == process.pid]


def _living(gateway: RunningGateway, before: int) -> list[ModelProcess]:
    """The living model processes of a server that runs in place of another one."""
    try:
        server = gateway.triton_pid()
    except ValueError:
        return []  # it is being started
    return [] if server == before else [each for each in find_model_processes(server) if not each.is_zombie()]


async def _until(holds: Callable[[], bool], seconds: float = SECONDS) -> None:
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.05)


_OWNER = """
import asyncio, sys
from pathlib import Path
from portrait.server.triton import EmbeddedTriton

async def own(repository, log):
    async with EmbeddedTriton(repository, log) as triton:
        print(triton.pid, triton.url, flush=True)
        await asyncio.sleep(600)

asyncio.run(own(*map(Path, sys.argv[1:])))
"""


@contextmanager
def nobodys_triton(repository: Path, folder: Path) -> Iterator[tuple[int, str]]:
    """A Triton whose owner sleeps, so that nobody looks after it; yields its process id and address."""
    program = [sys.executable, "-c", _OWNER, str(repository), str(folder / "nobodys.log")]
    with subprocess.Popen(program, stdout=subprocess.PIPE, encoding="utf-8") as owner:
        assert owner.stdout is not None
        pid, url = owner.stdout.readline().split()
        try:
            with paused(owner.pid):
                yield int(pid), url
        finally:
            owner.terminate()


async def test_a_remote_triton_is_told_to_load_a_model_again_whose_process_died(
    repository: Path, tmp_path: Path
) -> None:
    with (
        nobodys_triton(repository, tmp_path) as (triton, url),
        run_gateway(repository, tmp_path, "--triton-url", url) as gateway,
    ):
        async with loaded(gateway, callers=2) as load:
            said: list[int] = []
            watch = asyncio.create_task(_note_health(load, said))
            [victim] = [each for each in find_model_processes(triton) if each.model == "ranker"]
            os.kill(victim.pid, signal.SIGKILL)
            await _until(lambda: any(line["event"] == "model_reloaded" for line in gateway.logged))
            await load.until_answered()
            await _until(lambda: said[-1:] == [SERVING])
            watch.cancel()
        assert NOT_SERVING in said or not load.failed
        assert gateway.line("model_reloaded")["model"] == "ranker"
