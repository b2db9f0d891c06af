"""The `tritonserver` binary as a process that starts, dies and ends together with all it started."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import IO

from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from portrait.server.runtime.child_processes import end_with_parent
from portrait.server.triton.connection import open_client
from portrait.server.triton.errors import TritonError

START_SECONDS = 60.0
_LOG_TAIL_LINES = 20
_POLL_SECONDS = 0.05
_RECONNECT = (
    # gRPC would otherwise wait a second after a refused connection, and longer after the next.
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 50),
    # Connections to one address are shared in a process, and with them how long they still wait.
    ("grpc.use_local_subchannel_pool", 1),
)


class ServerProcess:
    """One server process at a time; it may be started again after it ended.

    Args:
        command: program and arguments.
        environment: all of its environment.
        url: where it will answer gRPC, host:port or unix:PATH.
        log: file for what it prints, open to this user alone; the one of the run before is kept as `<log>.1`.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], url: str, log: Path) -> None:
        self._command, self._environment, self._url, self._log = command, environment, url, log
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the latest run; None before the first."""
        return self._process.pid if self._process else None

    @property
    def is_running(self) -> bool:
        """True while the latest run has not ended."""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            TritonError: it does not; the message ends with the last lines of its log.
        """
        self._log.parent.mkdir(parents=True, exist_ok=True)
        if self._log.exists():
            self._log.replace(self._log.with_name(f"{self._log.name}.1"))
        with _open_private(self._log) as log:
            self._process = await asyncio.create_subprocess_exec(
                *end_with_parent(self._command, umask=0o077),
                env=self._environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._until_live(self._process)
        except TimeoutError:
            raise TritonError(f"Triton did not start in {START_SECONDS:.0f} s:\n{self._tail()}") from None

    async def wait(self) -> int:
        """Wait until it is dead; returns its exit code."""
        assert self._process is not None
        return await self._process.wait()

    async def end(self) -> None:
        """End it and all it started.

        It is killed, not asked: its own exit takes about 4 s to unload models, of which nothing outlives the process
        but shared memory, and the workspace removes that. Whoever ends it has let the calls end before.
        """
        if self._process is not None:
            self.kill()
            await self._process.wait()

    def kill(self) -> None:
        """Kill it and all it started, at once."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def _until_live(self, process: asyncio.subprocess.Process) -> None:
        async with connect(self._url) as client:
            while process.returncode is None:
                with contextlib.suppress(InferenceServerException):
                    if await client.is_server_live():
                        return
                await asyncio.sleep(_POLL_SECONDS)
        raise TritonError(f"Triton ended with code {process.returncode}:\n{self._tail()}")

    def _tail(self) -> str:
        return "\n".join(self._log.read_text(errors="replace", encoding="utf-8").splitlines()[-_LOG_TAIL_LINES:])


def connect(url: str) -> InferenceServerClient:
    """A client of its own connection, which sees at once that a server is back."""
    return open_client(url, *_RECONNECT)


def _open_private(path: Path) -> IO[bytes]:
    """Open a file for writing that only this user may read."""
    return open(path, "wb", opener=partial(os.open, mode=0o600))
