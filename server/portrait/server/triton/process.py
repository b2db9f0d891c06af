"""The embedded Triton as a supervised process."""

import asyncio
import contextlib
import ctypes
import logging
import os
import signal
import socket
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from portrait.features.release import MODELS
from portrait.server.triton.configuration import load_options
from portrait.server.triton.installation import TritonError, assemble_backends, environment, find

_log = logging.getLogger(__name__)

START_SECONDS = 60.0
STOP_SECONDS = 10.0
LOAD_SECONDS = 180.0
_FIRST_BACKOFF, _LONGEST_BACKOFF = 0.2, 10.0
_LOG_TAIL_LINES = 20
_SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)


class EmbeddedTriton:
    """A Triton server on loopback, restarted with its releases whenever it dies.

    Args:
        repository: the model repository.
        log: file for Triton's own log; emptied at each start.
    """

    def __init__(self, repository: Path, log: Path) -> None:
        self._repository = repository.resolve()
        self._log = log
        self._installation = find()
        self._process: asyncio.subprocess.Process | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._releases: list[int] = []
        self._folder = tempfile.TemporaryDirectory(prefix="portrait-triton-")
        self._port = _free_port()
        self._metrics_port = _free_port()
        self.ready = False
        """Whether the server runs and every release is loaded."""
        self.restarts = 0
        """How often it had to be started again."""

    @property
    def url(self) -> str:
        """Where it listens for gRPC; the same over its restarts."""
        return f"127.0.0.1:{self._port}"

    @property
    def metrics_url(self) -> str:
        """Where it serves its Prometheus metrics."""
        return f"http://127.0.0.1:{self._metrics_port}/metrics"

    @property
    def version(self) -> str:
        """Triton's version."""
        return self._installation.version

    @property
    def pid(self) -> int | None:
        """Process id of the running server."""
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Start the server and wait until it answers.

        Raises:
            TritonError: it does not; the message ends with the last lines of its log.
        """
        assemble_backends(self._installation, Path(self._folder.name))
        await self._spawn()
        self._supervisor = asyncio.create_task(self._supervise(), name="triton-supervisor")

    async def load(self, release: int) -> None:
        """Load a release beside those that are loaded; requests go on meanwhile.

        Raises:
            TritonError: a model can't be loaded.
        """
        wanted = [*self._releases, *([release] if release not in self._releases else [])]
        await self._load(wanted)
        self._releases = wanted
        self.ready = True

    async def stop(self) -> None:
        """Stop the server and all it started."""
        self.ready = False
        if self._supervisor:
            self._supervisor.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._supervisor
        await self._end()
        self._folder.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _supervise(self) -> None:
        backoff = _FIRST_BACKOFF
        while True:
            assert self._process is not None
            code = await self._process.wait()
            self.ready = False
            self.restarts += 1
            _log.error("triton died", extra={"exit_code": code, "restarts": self.restarts})
            await self._end()
            try:
                await self._spawn()
                await self._load(self._releases)
            except TritonError:
                _log.exception("triton could not be restarted", extra={"retry_in_seconds": backoff})
                await asyncio.sleep(backoff)
                backoff = min(2 * backoff, _LONGEST_BACKOFF)
            else:
                self.ready = True
                backoff = _FIRST_BACKOFF

    async def _spawn(self) -> None:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                str(self._installation.server),
                *self._arguments(),
                env=environment(self._installation),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._until_live()
        except TimeoutError:
            raise TritonError(f"Triton did not start in {START_SECONDS:.0f} s:\n{self._tail()}") from None

    def _arguments(self) -> Sequence[str]:
        # The embedded build predates fixes of its HTTP endpoint and shared memory: gRPC on loopback only.
        return (
            f"--model-repository={self._repository}",
            "--model-control-mode=explicit",
            f"--backend-directory={self._folder.name}",
            f"--cache-directory={self._installation.caches}",
            f"--backend-config=python,shm-region-prefix-name={self._shared_memory_prefix}",
            "--allow-http=false",
            "--allow-grpc=true",
            "--grpc-address=127.0.0.1",
            f"--grpc-port={self._port}",
            "--allow-metrics=true",
            "--metrics-address=127.0.0.1",
            f"--metrics-port={self._metrics_port}",
            "--disable-auto-complete-config",
        )

    @property
    def _shared_memory_prefix(self) -> str:
        return f"portrait_{os.getpid()}_{self._port}_"

    async def _until_live(self) -> None:
        async with InferenceServerClient(self.url) as client:
            while True:
                assert self._process is not None
                if self._process.returncode is not None:
                    raise TritonError(f"Triton ended with code {self._process.returncode}:\n{self._tail()}")
                with contextlib.suppress(InferenceServerException):
                    if await client.is_server_live():
                        return
                await asyncio.sleep(0.05)

    async def _load(self, releases: list[int]) -> None:
        async with InferenceServerClient(self.url) as client:
            for model in MODELS if releases else ():
                try:
                    await client.load_model(
                        model, config=load_options(self._repository, model, releases), client_timeout=LOAD_SECONDS
                    )
                except InferenceServerException as error:
                    raise TritonError(f"Triton can't load {model} {releases}: {error.message()}") from error

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            if process.returncode is None:
                process.terminate()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(process.wait(), STOP_SECONDS)
            # Stubs of a server that was killed would live on.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        self._free_shared_memory()

    def _free_shared_memory(self) -> None:
        for region in Path("/dev/shm").glob(f"{self._shared_memory_prefix}*"):  # noqa: S108
            region.unlink(missing_ok=True)

    def _tail(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGTERM)
