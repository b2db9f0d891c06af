"""Three real Triton servers behind one gateway: one dies and no call fails; a release serves once all have it."""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import grpc
import pytest
from support.gateway import RunningGateway, Stubs, run_gateway
from support.mixed_load import Load
from support.scrape import scrape
from tritonclient.grpc.aio import InferenceServerClient
from typer.testing import CliRunner

from portrait.features.release.layout import MODELS
from portrait.server.rollout.commands import release
from portrait.server.rollout.traffic import Traffic
from portrait.server.triton import EmbeddedTriton

SECONDS = 60.0


@pytest.fixture(scope="module")
async def servers(two_releases: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[list[EmbeddedTriton]]:
    """Servers that hold what gateways have asked them to, and nothing after a restart."""
    folder = tmp_path_factory.mktemp("fleet")
    async with AsyncExitStack() as closing:
        yield [
            await closing.enter_async_context(EmbeddedTriton(two_releases, folder / f"triton-{number}.log"))
            for number in range(3)
        ]


def shown(gateway: RunningGateway, name: str) -> dict[str, float]:
    """The values of a metric, by its labels."""
    lines = scrape(gateway).splitlines()
    found = (line.removeprefix(name).rpartition(" ") for line in lines if line.startswith((f"{name}{{", f"{name} ")))
    return {labels: float(value) for labels, _, value in found}


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while not await asyncio.to_thread(holds):
            await asyncio.sleep(0.05)


async def until_held(server: EmbeddedTriton, release: int) -> None:
    """Wait until a server has all models of a release."""
    async with InferenceServerClient(server.url) as client, asyncio.timeout(SECONDS):
        while not all([await client.is_model_ready(model, str(release)) for model in MODELS]):
            await asyncio.sleep(0.05)


async def test_a_server_that_dies_fails_no_call(
    two_releases: Path, tmp_path: Path, servers: list[EmbeddedTriton]
) -> None:
    url = ",".join(server.url for server in servers)
    options = ("--triton-url", url, "--release", "1")
    with run_gateway(two_releases, tmp_path / "gateway", *options) as gateway:
        async with grpc.aio.insecure_channel(gateway.address) as channel:
            load = Load(Stubs.over(channel))
            running = asyncio.create_task(load.run())
            await load.until_answered()
            for victim in servers[:2]:
                assert victim.pid is not None
                os.kill(victim.pid, signal.SIGKILL)
                await load.until_answered()
                await until(lambda: victim.restarts == 1 and victim.is_running())  # noqa: B023 - ends before the next
                await until(lambda: set(shown(gateway, "portrait_triton_up").values()) == {1.0})
                await load.until_answered()
            load.stop()
            await running
        assert load.refused == []
        assert shown(gateway, "portrait_triton_failovers_total")[""] > 0
        assert len(shown(gateway, "portrait_triton_up")) == 3
        for server in servers:  # those that died were empty when they were back
            await until_held(server, 1)


async def test_a_release_serves_once_all_servers_have_it(
    two_releases: Path, tmp_path: Path, servers: list[EmbeddedTriton]
) -> None:
    repository = tmp_path / "repository"
    shutil.copytree(two_releases, repository)
    Traffic(1).write(repository)
    late = tmp_path / "late.sock"  # the address of the third server, which is not there yet
    url = ",".join((servers[0].url, servers[1].url, f"unix:{late}"))
    with run_gateway(repository, tmp_path / "gateway", "--triton-url", url) as gateway:
        assert gateway.line("triton_left_out")["triton"] == f"unix:{late}"
        words = ("promote", "2", "--repository", str(repository), "--gateway", str(gateway.line("ready")["metrics"]))
        promoting = asyncio.create_task(asyncio.to_thread(CliRunner().invoke, release, words))
        assert str(late) in (await asyncio.to_thread(gateway.line, "release_delayed", release=2))["reason"]
        await asyncio.sleep(2.0)  # within which a refusal ends the command
        assert not promoting.done()
        assert shown(gateway, "portrait_release") == {"": 1.0}
        assert list(shown(gateway, "portrait_release_delayed").values()) == [1.0]
        assert not shown(gateway, "portrait_release_refused")
        late.symlink_to(servers[2].url.removeprefix("unix:"))
        done = await promoting
        assert done.exit_code == 0, done.output
        assert shown(gateway, "portrait_release") == {"": 2.0}
        assert not shown(gateway, "portrait_release_delayed")
        async with InferenceServerClient(servers[2].url) as client:
            assert all([await client.is_model_ready(model, "2") for model in MODELS])
