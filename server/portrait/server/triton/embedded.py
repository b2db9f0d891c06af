"""The embedded Triton: a supervised server and the releases that it holds."""

import asyncio
import contextlib
import logging
import random
import re
import socket
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from portrait.features.release.layout import MODELS, TRAIT_HEADS, list_models
from portrait.server.runtime.background import Background
from portrait.server.triton.configuration import adapt_to_this_machine, load_model
from portrait.server.triton.errors import TritonDown, TritonError
from portrait.server.triton.installation import Installation, assemble_backends, environment, find
from portrait.server.triton.model_processes import ModelProcess, find_model_processes
from portrait.server.triton.process import ServerProcess, connect
from portrait.server.triton.shared_memory import require_shared_memory
from portrait.server.triton.workspace import Workspace

_log = logging.getLogger(__name__)

_SPECIAL = re.compile(r"[\s\"'`$&|;<>()*?\\]")
"""Triton starts the processes of models by a shell, and does not quote their paths."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 10.0
_STABLE_SECONDS = 5.0
"""A server that ran this long with its releases is restarted at once, one that keeps dying after growing pauses."""
_POLL_SECONDS = 0.25
"""Seconds between checks of the model processes. A process that is dead in two checks was not ended by Triton."""
_FIRST_LOAD_SECONDS = 30.0
"""A first release that is not loaded in this time is loaded once more by a new server, which gets all the time."""
_DEATH_SECONDS = 2.0
"""A server that dies while it loads is gone so soon."""
_PORTS = range(20_000, 32_000)
"""Below those that Linux gives to outgoing connections: one of these could hold the port when Triton restarts."""


class EmbeddedTriton:
    """A Triton server that only its own user can reach, restarted with its releases when it or a model process dies.

    It ends with the thread that started it, even if that is killed.

    Args:
        repository: the model repository.
        log: file for Triton's own log; the one of the run before is kept as `<log>.1`.
    """

    def __init__(self, repository: Path, log: Path) -> None:
        self._repository = repository.resolve()
        self._log = log
        self._workspace: Workspace | None = None
        self._process: ServerProcess | None = None
        self._background = Background()
        self._began = self._pause = 0.0
        self._model_processes: list[ModelProcess] = []
        self._zombies: set[ModelProcess] = set()
        """Model processes that were dead in the last look."""
        self._releases: list[int] = []
        self._changing = asyncio.Lock()
        self._metrics_port = _free_port()
        self._revived = asyncio.Event()
        """Set when the server has been started again, or could not be."""
        self.ready = False
        """True while the server runs with every release loaded."""
        self.restarts = 0
        """Number of restarts."""
        self.model_process_deaths = 0
        """Number of model processes that died while Triton ran; each led to a restart."""

    @property
    def url(self) -> str:
        """unix:PATH of the socket where it listens for gRPC, once it was started; the same over its restarts."""
        assert self._workspace is not None
        return self._workspace.url

    @property
    def urls(self) -> Sequence[str]:
        """The same, as the only one of all servers."""
        return (self.url,)

    @property
    def metrics_url(self) -> str:
        """URL of Triton's own Prometheus metrics."""
        return f"http://127.0.0.1:{self._metrics_port}/metrics"

    @property
    def pid(self) -> int | None:
        """Process id of the server; None before it was started."""
        return self._process.pid if self._process else None

    def is_running(self) -> bool:
        """Tell whether the server's process runs; its models may still be on their way."""
        return self._process is not None and self._process.is_running

    async def start(self) -> None:
        """Start the server, with no model loaded, and wait until it answers.

        Raises:
            TritonError: it does not; the message says what is missing, or ends with the last lines of its log.
        """
        if _SPECIAL.search(str(self._repository)):
            raise TritonError(
                f"Triton can't run models of {self._repository}: a path without spaces, quotes and other characters "
                "that mean something to a shell is wanted"
            )
        installation = find()
        self._workspace = Workspace.create()
        backends = self._workspace.folder / "backends"
        assemble_backends(installation, backends)
        command = self._command(installation, backends, self._workspace)
        self._process = ServerProcess(command, environment(installation), self.url, self._log)
        try:
            await self._process.start()
        except BaseException:
            await self.stop()
            raise
        self._began = time.monotonic()
        self._background.repeat("triton", partial(self._revive, self._process, self._workspace), 0.0)
        self._background.repeat("model processes", partial(self._check_models, self._process), _POLL_SECONDS)

    async def load(self, release: int) -> None:
        """Load a release beside those that are loaded, which go on answering meanwhile.

        If the server dies of the first one, or hangs, it is loaded once more: now and then a process of a model crashes
        while it starts, and the server with it, or waits for ever. A start must not fail for that; later releases are
        for the caller to try again.

        Raises:
            TritonError: a model can't be loaded; those that were loaded before still are. TritonDown: the server is
                started again just now.
        """
        self._revived.clear()
        restarts = self.restarts
        try:
            async with asyncio.timeout(None if self._releases else _FIRST_LOAD_SECONDS):
                await self._add(release)
        except TimeoutError:
            assert self._process is not None
            _log.error("triton_killed", extra={"reason": "a model was not loaded in time", "release": release})
            self._process.kill()
        except TritonError:
            if self._releases or not await self._has_died(restarts):
                raise
        if release not in self._releases:
            _log.warning("first_release_loaded_again", extra={"release": release})
            await self._revived.wait()
            await self._add(release)

    async def _has_died(self, restarts: int) -> bool:
        """Tell whether the server, whose models could not be loaded, has died or is about to die.

        Args:
            restarts: those before the load. A server that was restarted since runs again, and has no death to wait for.
        """
        assert self._process is not None
        if self.restarts == restarts:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), _DEATH_SECONDS)
        return self.restarts != restarts or not self._process.is_running

    async def _add(self, release: int) -> None:
        """Load a release beside the others; see `load`."""
        async with self._changing:
            if self._releases and not self.ready:
                raise TritonDown("Triton has died and is not there again yet")
            if release in self._releases:
                return
            require_shared_memory(self._repository, release)
            try:
                await self._load([*self._releases, release])
            except TritonError:
                # The models before the one that failed.
                with contextlib.suppress(TritonError):
                    await self._load(self._releases)
                raise
            self._releases = [*self._releases, release]
            self.ready = True

    async def unload(self, release: int) -> None:
        """Let go of a release that nobody asks any more; the others go on answering.

        Raises:
            TritonError: the server does not answer; it is not loaded again when the server restarts.
        """
        async with self._changing:
            if release in self._releases:
                self._releases = [other for other in self._releases if other != release]
                await self._load(self._releases)

    def prefer(self, release: int) -> None:
        """Have a release loaded before the others when the server is started again."""
        self._releases = sorted(self._releases, key=lambda other: other != release)

    async def repair(self, model: str, _url: str = "") -> None:
        """Start the server anew, since the processes of a model live but do not work.

        To unload and load the model is no cure: Triton keeps the process that hangs, and those beside it.
        """
        if self.ready and self._process is not None:
            self.ready = False
            _log.error("triton_killed", extra={"reason": "the process of a model does not work", "model": model})
            self._process.kill()

    async def stop(self) -> None:
        """Stop the server and all it started, and leave nothing behind."""
        self.ready = False
        await self._background.stop()
        if self._process:
            await self._process.end()
        if self._workspace:
            self._workspace.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _command(self, installation: Installation, backends: Path, workspace: Workspace) -> Sequence[str]:
        # Whoever reaches the gRPC endpoint can have code of their own run as this user (load_model with a Python
        # model), so it is a socket in a folder of this user. The metrics can only be read. No HTTP: this build
        # predates fixes of it.
        return (
            str(installation.server),
            f"--model-repository={self._repository}",
            "--model-control-mode=explicit",
            "--disable-auto-complete-config",
            f"--backend-directory={backends}",
            f"--backend-config=python,shm-region-prefix-name={workspace.shared_memory_prefix}",
            f"--cache-directory={installation.caches}",
            "--allow-http=false",
            f"--grpc-address={workspace.grpc_address}",
            "--metrics-address=127.0.0.1",
            f"--metrics-port={self._metrics_port}",
        )

    async def _revive(self, process: ServerProcess, workspace: Workspace) -> None:
        """Wait until the server dies, and start it again."""
        code = await process.wait()
        self.ready = False
        # They died with it; until they are reaped they must not be taken for those of its successor.
        self._model_processes, self._zombies = [], set()
        # What it started would hold its connections and its port open: nobody who calls would see that it is gone.
        process.kill()
        stable = time.monotonic() - self._began > _STABLE_SECONDS
        self._pause = 0.0 if stable else min(max(2 * self._pause, _FIRST_PAUSE), _LONGEST_PAUSE)
        _log.error("triton_died", extra={"exit_code": code, "restart_in_seconds": self._pause})
        await asyncio.sleep(self._pause)
        self.restarts += 1
        try:
            await self._restart(process, workspace)
        except (TritonError, OSError):
            _log.exception("triton_restart_failed")
        self._began = time.monotonic()
        self._revived.set()

    async def _check_models(self, process: ServerProcess) -> None:
        """End the server if one of its models' processes has died: one that starts anew has all of them."""
        if self._changing.locked() and process.pid is not None:
            # Triton waits for ever for one that dies while it is loaded, and loads nothing meanwhile.
            found = await asyncio.to_thread(find_model_processes, process.pid)
            named = {each.pid for each in self._model_processes}
            self._model_processes += [each for each in found if each.pid not in named]
        zombies = {each for each in self._model_processes if each.is_zombie()}
        died, self._zombies = zombies & self._zombies, zombies
        if not died or not process.is_running:
            return
        self._model_processes, self._zombies = [], set()
        self.model_process_deaths += len(died)
        self.ready = False
        for each in died:
            _log.error("model_process_died", extra={"model": each.model, "release": each.release, "pid": each.pid})
        process.kill()

    async def _restart(self, process: ServerProcess, workspace: Workspace) -> None:
        """Start the server again with all its releases; without the first of them it is dead."""
        async with self._changing:
            await process.end()
            workspace.clear()
            try:
                await process.start()
                await self._load(self._releases[:1])
            except TritonError:
                await process.end()
                raise
            try:
                await self._load(self._releases)
            except TritonError:
                # A folder that was cleared away, perhaps: the release that matters most answers.
                _log.exception("triton_releases_missing")
            self.ready = bool(self._releases)

    async def _load(self, releases: list[int]) -> None:
        """Have the server hold these releases."""
        assert self._workspace is not None
        async with connect(self.url) as client:
            held = {
                model: [number for number in releases if model in list_models(self._repository, number)]
                for model in (*MODELS, TRAIT_HEADS)
            }
            # At the same time: most of it is each model's process that imports its runtime.
            loads = (
                load_model(client, self._repository, model, numbers, adapt_to_this_machine)
                for model, numbers in held.items()
                if numbers
            )
            async with self._workspace.watching_load():
                failures = await asyncio.gather(*loads, return_exceptions=True)
            if self.pid is not None:
                self._model_processes = await asyncio.to_thread(find_model_processes, self.pid)
            for failure in failures:
                if failure is not None:
                    raise failure


def _free_port() -> int:
    for port in random.sample(_PORTS, len(_PORTS)):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise TritonError(f"no port from {_PORTS.start} to {_PORTS.stop - 1} is free on 127.0.0.1")
