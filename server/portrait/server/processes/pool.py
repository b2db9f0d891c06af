"""A pool of gateway processes on one port: it starts them, restarts those that die, and ends them together."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import structlog

from portrait.server.processes.worker_settings import WorkerSettings
from portrait.server.rollout.gateway_status import Gateway
from portrait.server.runtime.addresses import name_address_in_errors
from portrait.server.runtime.background import Background
from portrait.server.runtime.child_processes import end_with_parent

START_SECONDS = 120.0
"""Seconds for each shop within which a process must serve."""
_MIN_PAUSE_SECONDS, _MAX_PAUSE_SECONDS = 0.2, 10.0
_STABLE_SECONDS = 60.0
"""A process that ran this long is started again at once, one that keeps dying after growing pauses."""
_LATE_SECONDS = 5.0
"""Seconds beyond its drain after which a process is killed."""

_log = structlog.get_logger(__name__)


class ProcessError(Exception):
    """A gateway process did not come up."""


class ProcessPool:
    """Runs several processes of `portrait.server.worker`.

    Each has its own caches and its own admission limits; the kernel distributes connections.

    Args:
        settings: the settings of each process, which also say how many there are.
        repairs: by the URL of each supervised Triton, what restarts the processes of one of its models.
    """

    def __init__(self, settings: WorkerSettings, repairs: Mapping[str, Callable[[str], Awaitable[None]]]) -> None:
        self._told, self._repairs = settings.dump(), repairs
        self._count, self._drain_seconds = settings.gateway.processes, settings.gateway.drain_seconds
        self._start_seconds = START_SECONDS * len(settings.shops)
        self._processes: dict[int, asyncio.subprocess.Process] = {}
        self._metrics: dict[int, str] = {}
        self._pauses: dict[int, float] = {}
        """Seconds before a process that died is started again, by its place."""
        self._began: dict[int, float] = {}
        self._background = Background()
        self.restarts = 0
        """The number of restarts."""

    def list_metrics(self, tenant: str | None = None) -> Mapping[int, str]:
        """Return the URL of the metrics of each process that serves, or of those of one tenant, by process id."""
        path = "" if tenant is None else f"/{tenant}"
        return {pid: f"{url}{path}" for pid, url in dict(self._metrics).items()}

    def loaded_releases(self, tenant: str | None) -> frozenset[int]:
        """List the releases of a tenant that the processes hold, by their metrics.

        Args:
            tenant: its name; None in a gateway without tenants.

        Raises:
            GatewayError: a process does not show them.
        """
        return frozenset().union(*(Gateway.ask(url).loaded for url in self.list_metrics(tenant).values()))

    async def start(self) -> None:
        """Start all and wait until they serve.

        Raises:
            ProcessError: one does not.
        """
        await asyncio.gather(*map(self._start, range(self._count)))
        for place in range(self._count):
            self._background.repeat(f"gateway process {place}", partial(self._keep, place), 0.0)

    async def stop(self) -> None:
        """Drain and end all processes."""
        await self._background.stop()
        await asyncio.gather(*map(self._end, self._processes.values()))

    async def _start(self, place: int) -> None:
        began = self._began[place] = time.monotonic()
        # A file in memory, not a pipe: that would fail here if the process died before it was written to.
        with os.fdopen(os.memfd_create("settings"), "w+b") as told:
            told.write(self._told)
            told.seek(0)
            process = self._processes[place] = await asyncio.create_subprocess_exec(
                *end_with_parent([sys.executable, "-m", "portrait.server.worker"]),
                stdin=told,
                stdout=asyncio.subprocess.PIPE,
            )
        assert process.stdout is not None
        try:
            line = await asyncio.wait_for(process.stdout.readline(), self._start_seconds)
        except TimeoutError:
            line = b""
        if not line:
            await self._end(process)
            raise ProcessError(f"a gateway process ended with code {process.returncode} before it served")
        self._metrics[process.pid] = json.loads(line)["metrics"]
        _log.info("process_ready", pid=process.pid, seconds=round(time.monotonic() - began, 3))

    async def _keep(self, place: int) -> None:
        """Wait until a process dies, and start it again."""
        process = self._processes[place]
        repairing = asyncio.create_task(self._repair_models(process))
        try:
            code = await process.wait()
        finally:
            repairing.cancel()
        self._metrics.pop(process.pid, None)
        stable = time.monotonic() - self._began[place] > _STABLE_SECONDS
        pause = 0.0 if stable else min(max(2 * self._pauses.get(place, 0.0), _MIN_PAUSE_SECONDS), _MAX_PAUSE_SECONDS)
        self._pauses[place] = pause
        _log.error("process_died", pid=process.pid, exit_code=code, restart_in_seconds=pause)
        await asyncio.sleep(pause)
        self.restarts += 1
        try:
            await self._start(place)
        except (ProcessError, OSError) as error:
            _log.error("process_not_started", reason=str(error))

    async def _repair_models(self, process: asyncio.subprocess.Process) -> None:
        """Repair the models that a process reports as unhealthy, until the process ends."""
        assert process.stdout is not None
        async for line in process.stdout:
            found = json.loads(line)
            await self._repairs[found["triton"]](found["unhealthy"])

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        """End a process: asked first, killed when it takes too long."""
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), self._drain_seconds + _LATE_SECONDS)
        if process.returncode is None:
            _log.error("process_killed", pid=process.pid)
            process.kill()
            await process.wait()


def reserve_port(host: str, port: int) -> socket.socket:
    """Reserve a port for processes that share it; calls go to them, and none to this socket.

    Args:
        host: as in the settings.
        port: 0 for a free one.

    Raises:
        OSError: somebody else listens there, or the address is not of this machine.
    """
    family, _, _, _, address = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family) as probe, name_address_in_errors(host, port):
        # A socket that shares its port can also share a stranger's. So try first without sharing.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
        address = probe.getsockname()
    held = socket.socket(family)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    held.bind(address)
    return held
