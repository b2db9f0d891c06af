"""Two gateways behind a real HAProxy, with the configuration of deploy/: each is restarted, and no call fails."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from support.gateway import Stubs, run_gateway
from support.mixed_load import Load
from support.ports import find_free_port

CONFIGURATION = Path(__file__).parents[3] / "deploy" / "haproxy" / "haproxy.cfg"
CALLS = int(os.environ.get("PORTRAIT_TEST_CALLS", "1000"))
"""Calls that are answered at least; the deployment's documentation has the figure of a longer run."""


@dataclass(frozen=True)
class Place:
    """The ports of a gateway, before and after its restart."""

    port: int
    probe: int

    def options(self, state: Path) -> tuple[str, ...]:
        ports = ("--port", str(self.port), "--metrics-port", str(self.probe))
        return (*ports, "--state", str(state), "--drain-seconds", "20")


@contextmanager
def run_haproxy(places: list[Place]) -> Iterator[str]:
    """Balance over gateways; yields the address for callers."""
    program = shutil.which("haproxy")
    if program is None:
        pytest.skip("there is no haproxy: it comes with the package of this name")
    address = f"127.0.0.1:{find_free_port()}"
    variables = {"PORTRAIT_BIND": address}
    for number, place in enumerate(places, start=1):
        variables |= {
            f"PORTRAIT_GATEWAY_{number}": f"127.0.0.1:{place.port}",
            f"PORTRAIT_PROBE_{number}": str(place.probe),
        }
    process = subprocess.Popen(
        [program, "-db", "-f", CONFIGURATION], env=os.environ | variables, stdout=subprocess.DEVNULL
    )
    try:
        yield address
    finally:
        process.kill()
        process.wait()


async def test_no_call_fails_while_each_gateway_is_restarted(repository: Path, tmp_path: Path) -> None:
    places = [Place(find_free_port(), find_free_port()) for _ in range(2)]
    with ExitStack() as closing:
        running = []
        for number, place in enumerate(places):
            gateway = run_gateway(repository, tmp_path / str(number), *place.options(tmp_path / "portrait.db"))
            running.append(closing.enter_context(gateway))
        address = closing.enter_context(run_haproxy(places))
        async with grpc.aio.insecure_channel(address) as channel:
            await asyncio.wait_for(channel.channel_ready(), 5)
            load = Load(Stubs.over(channel))
            calling = asyncio.create_task(load.run())
            await load.until_answered()
            for number, place in enumerate(places):
                assert await asyncio.to_thread(running[number].terminate) == 0
                await load.until_answered()
                gateway = run_gateway(
                    repository, tmp_path / f"{number}-again", *place.options(tmp_path / "portrait.db")
                )
                running[number] = await asyncio.to_thread(closing.enter_context, gateway)
                await load.until_answered()
                await asyncio.sleep(1.0)  # until HAProxy sends calls there again
            while load.answered < CALLS:
                await load.until_answered()
            load.stop()
            await calling
        assert load.refused == []
        for gateway in running:
            assert any(line["event"] == "rpc" for line in gateway.logged)
