"""The rollout: brings what is loaded to what the operator wants, while requests flow.

A release is loaded beside those that serve, checked, told of changed items, warmed, and only then are requests
switched to it, all at once. Those under way end on the release that they began with; only when the last of them has
ended is that release unloaded. A release that can't be loaded changes nothing: it is refused, and tried again later.
"""

import asyncio
import gc
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import structlog

from portrait.features.release.manifest import ReleaseError
from portrait.server.engine import Engine
from portrait.server.errors import PortraitError
from portrait.server.rollout.engine_registry import EngineRegistry
from portrait.server.rollout.replay import Changes, replay
from portrait.server.rollout.traffic import Traffic, TrafficError, file_of
from portrait.server.rollout.warmup import MAX_TEXTS, warm_up
from portrait.server.storage.store import Store
from portrait.server.triton import TritonError

POLL_SECONDS = 0.2
"""Seconds between polls of the operator's file."""
REPAIR_SECONDS = 1.0
"""Seconds between checks for unhealthy models."""
_ANSWER_SECONDS = 60.0
"""Timeout of the first answer of a newly loaded release."""
_FIRST_PAUSE, _LONGEST_PAUSE = 5.0, 300.0
"""Before a refused release is tried again; doubled each time. A change of the file lets it be tried at once."""

_log = structlog.get_logger(__name__)

_Stamp = tuple[int, int, int]


class Triton(Protocol):
    """The model server that holds the graphs of releases."""

    async def load(self, release: int) -> None:
        """Load a release beside those that are loaded, unless it is; raises TritonError."""
        ...

    async def unload(self, release: int) -> None:
        """Let go of a release that nobody asks any more; raises TritonError."""
        ...

    def prefer(self, release: int) -> None:
        """Say which release must be back first after a restart."""
        ...

    async def repair(self, model: str) -> None:
        """Give a model new processes, since those that it has do not work; raises TritonError."""
        ...


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a release is not loaded."""

    reason: str
    pause: float
    """Seconds until it is tried again."""
    until: float
    """The `loop.time()` of that."""


class Rollout:
    """Follows the operator's file.

    Args:
        repository: holds the file and the releases.
        store: holds changes of items.
        triton: loads graphs.
        open_engine: opens a release whose files are as the manifest says; raises ReleaseError.
    """

    def __init__(
        self, repository: Path, store: Store, triton: Triton, open_engine: Callable[[int], Awaitable[Engine]]
    ) -> None:
        self._repository, self._store, self.triton = repository, store, triton
        self._open_engine = open_engine
        self._stamp: _Stamp | None
        self._wanted: Traffic
        self.registry: EngineRegistry
        """Set by `begin`."""
        self._job: asyncio.Task[None] | None = None
        self.refused: dict[int, Refusal] = {}
        """Releases that are wanted and could not be loaded."""
        self.misread = False
        """True if the file exists and is invalid."""
        self.switches = 0
        """Number of changes of the routes."""

    async def begin(self, pinned: int | None = None) -> None:
        """Load the release that serves; if it can't be, the one that did before.

        Args:
            pinned: a release to serve whatever the file says; then there is nothing to follow.

        Raises:
            TrafficError: the file is not what it may be.
            OSError: it can't be read.
            ReleaseError, TritonError, PortraitError: neither release can be loaded; the error is that of the first.
        """
        self._stamp = _stamp(self._repository)
        self._wanted = wanted = Traffic.of(self._repository) if pinned is None else Traffic(pinned)
        traffic = Traffic(wanted.serving, wanted.previous)
        try:
            engine = await self._open(wanted.serving, {})
        except (ReleaseError, TritonError, PortraitError) as error:
            if wanted.previous is None:
                raise
            self._refuse(wanted.serving, str(error))
            traffic = Traffic(wanted.previous)
            try:
                engine = await self._open(wanted.previous, {})
            except (ReleaseError, TritonError, PortraitError):
                raise error from None
        self.registry = EngineRegistry(engine, traffic)
        self.triton.prefer(traffic.serving)
        _freeze_loaded_objects()

    async def advance(self) -> None:
        """Do the next step towards what the file says now. Called again and again."""
        await self._read_traffic()
        await self._switch_routes()
        self._start_next_job()

    async def repair(self) -> None:
        """Have Triton repair the models whose processes are unhealthy again and again. Called again and again."""
        unhealthy = {model for engine in tuple(self.registry.engines.values()) for model in engine.pop_unhealthy()}
        for model in sorted(unhealthy):
            _log.error("model_unhealthy", model=model)
            try:
                await self.triton.repair(model)
            except TritonError as error:  # if it goes on being unhealthy, it is told of again
                _log.error("model_not_repaired", model=model, reason=str(error))

    async def stop(self) -> None:
        """End the loading of a release that is under way."""
        if self._job is not None:
            self._job.cancel()
            await asyncio.gather(self._job, return_exceptions=True)

    async def _read_traffic(self) -> None:
        """Read the file if it is another one than before."""
        # Off the event loop: the repository may be on a network.
        stamp = await asyncio.to_thread(_stamp, self._repository)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            wanted = await asyncio.to_thread(Traffic.read, self._repository)
        except (OSError, TrafficError) as error:
            self.misread = True
            _log.error("traffic_file_misread", reason=str(error), release=self.registry.routes.traffic.serving)
            return
        self.misread = False
        if wanted is None:
            _log.warning("traffic_file_missing", release=self.registry.routes.traffic.serving)
            return
        _log.info("traffic_wanted", serving=wanted.serving, canary=wanted.canary, percent=wanted.percent)
        self._wanted = wanted
        self.refused.clear()

    async def _switch_routes(self) -> None:
        """Send requests where they are wanted, if all is there for it; else they go on as before."""
        registry, wanted = self.registry, self._wanted
        engines = [registry.engines.get(release) for release in wanted.routed]
        if wanted == registry.routes.traffic or None in engines:
            return
        # A Triton that was started again may still lack a release that nobody asked for.
        if not all([await engine.is_ready() for engine in engines if engine is not None]):
            return
        if not registry.engines.keys() >= set(wanted.routed):
            return  # removed meanwhile: it is loaded again
        registry.switch(wanted)
        self.triton.prefer(wanted.serving)
        self.switches += 1
        _log.info("traffic_switched", serving=wanted.serving, canary=wanted.canary, percent=wanted.percent)

    def _start_next_job(self) -> None:
        """Begin the next thing that is missing or superfluous, one at a time."""
        if self._job is not None:
            if not self._job.done():
                return
            job, self._job = self._job, None
            job.result()
        registry, wanted = self.registry, self._wanted
        now = asyncio.get_running_loop().time()
        for release in wanted.routed:
            refusal = self.refused.get(release)
            if release not in registry.engines and (refusal is None or refusal.until <= now):
                self._job = asyncio.create_task(self._load_release(release), name=f"release {release}")
                return
        for release in registry.engines.keys() - wanted.kept - registry.in_use:
            self._job = asyncio.create_task(self._remove_release(release), name=f"release {release}")
            return

    async def _load_release(self, release: int) -> None:
        """Load a release, or refuse it; never fails."""
        applied: Changes = {}
        try:
            engine = await self._open(release, applied)
            try:
                await warm_up(engine, self.registry.routes.serving.texts.cache.latest(MAX_TEXTS))
                async with self.registry.changing:
                    await replay(self._store, engine, applied)
                    self.registry.add(engine)
            except BaseException:
                await self._close(engine)
                raise
        except (ReleaseError, TritonError, PortraitError) as error:
            self._refuse(release, str(error))
        except Exception as error:  # whatever is wrong with a release: the others go on
            # Not its text, which could quote what a shopper typed.
            self._refuse(release, f"unexpected {type(error).__qualname__}")
        else:
            self.refused.pop(release, None)
            gc.freeze()
            _log.info("release_loaded", release=release, item_changes=len(applied))

    async def _open(self, release: int, applied: Changes) -> Engine:
        """The engine of a release, its graphs loaded, told of the changed items."""
        engine = await self._open_engine(release)
        try:
            await self.triton.load(release)
            if not await engine.is_ready(_ANSWER_SECONDS):
                raise TritonError(f"Triton has not all models of release {release} loaded, or one does not answer")
            await engine.count_instances()
            await replay(self._store, engine, applied)
        except BaseException:
            await self._close(engine)
            raise
        return engine

    async def _remove_release(self, release: int) -> None:
        async with self.registry.changing:
            if release in self._wanted.kept | self.registry.in_use:
                return  # wanted again while this waited
            engine = self.registry.remove(release)
        await self._close(engine)
        del engine
        _freeze_loaded_objects()
        _log.info("release_unloaded", release=release)

    async def _close(self, engine: Engine) -> None:
        await engine.close()
        try:
            await self.triton.unload(engine.release.number)
        except TritonError as error:
            _log.warning("release_unload_failed", release=engine.release.number, reason=str(error))

    def _refuse(self, release: int, reason: str) -> None:
        before = self.refused.get(release)
        pause = _FIRST_PAUSE if before is None else min(2 * before.pause, _LONGEST_PAUSE)
        self.refused[release] = Refusal(reason, pause, asyncio.get_running_loop().time() + pause)
        _log.error("release_refused", release=release, reason=reason, retry_in_seconds=pause)


def _freeze_loaded_objects() -> None:
    """Have the garbage collector look at what is loaded once, now, and not again.

    A release is some hundred thousand objects that live as long as it does. To walk them took 65 ms every few seconds,
    for which every call waited.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def _stamp(repository: Path) -> _Stamp | None:
    """Return a stamp that changes with the file; None without a file."""
    try:
        status = os.stat(file_of(repository))
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size
