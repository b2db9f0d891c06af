"""The rollout: a loop that loads, switches and unloads releases until they agree with the operator's traffic file.

A new release is loaded beside those that serve. It is checked, the stored item changes are replayed on it, and it is
warmed up; then all new requests switch to it at once. Requests under way end on the release that they began with, which
is unloaded after the last of them. A release that can't be loaded changes nothing: it is refused and retried later.
"""

import asyncio
import gc
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
from portrait.server.runtime.file_state import read_file_state
from portrait.server.storage.store import Store
from portrait.server.triton import TritonError

POLL_SECONDS = 0.2
"""Seconds between polls of the traffic file."""
REPAIR_SECONDS = 1.0
"""Seconds between checks for unhealthy models."""
_ANSWER_SECONDS = 60.0
"""Seconds within which the models of a newly loaded release must answer."""
_FIRST_PAUSE, _LONGEST_PAUSE = 5.0, 300.0
"""Seconds before a refused release is retried; doubled each time. After a change of the file it is retried at once."""

_log = structlog.get_logger(__name__)

"""Modification time in nanoseconds, inode and size of the traffic file; a change of the file changes one of them."""


class Triton(Protocol):
    """The model server that holds the graphs of releases."""

    async def load(self, release: int) -> None:
        """Load a release beside the loaded ones; does nothing if it is loaded. Raises TritonError."""
        ...

    async def unload(self, release: int) -> None:
        """Unload a release that no request uses; raises TritonError."""
        ...

    def prefer(self, release: int) -> None:
        """Set the release that Triton loads first after a restart."""
        ...

    async def repair(self, model: str, url: str, /) -> None:
        """Replace the processes of an unhealthy model in one of its servers; raises TritonError."""
        ...


@dataclass(frozen=True, slots=True)
class Refusal:
    """The reason why a release could not be loaded, and the time of the next attempt."""

    reason: str
    pause: float
    """Seconds between the refusal and the next attempt."""
    until: float
    """`loop.time()` of the next attempt."""


class Rollout:
    """Follows the operator's traffic file, one step at a time.

    Args:
        repository: the model repository, which holds the traffic file and the releases.
        store: holds the item changes that are replayed on a new engine.
        triton: loads and unloads graphs.
        open_engine: opens a release and checks its files against the manifest; raises ReleaseError.
    """

    def __init__(
        self, repository: Path, store: Store, triton: Triton, open_engine: Callable[[int], Awaitable[Engine]]
    ) -> None:
        self._repository, self._store, self.triton = repository, store, triton
        self._open_engine = open_engine
        self._stamp: tuple[int, ...] | None
        self._wanted: Traffic
        self.registry: EngineRegistry
        """The loaded engines; `begin` sets it."""
        self._task: asyncio.Task[None] | None = None
        self.refused: dict[int, Refusal] = {}
        """Wanted releases that could not be loaded, by number."""
        self.misread = False
        """True if the traffic file exists but is invalid."""
        self.switches = 0
        """Number of times that new requests were switched to other routes."""

    async def begin(self, pinned: int | None = None) -> None:
        """Load the serving release; if that fails, load the previous one.

        Args:
            pinned: the number of a release to serve instead of what the traffic file says; None follows the file.

        Raises:
            TrafficError: the traffic file is invalid.
            OSError: the traffic file can't be read.
            ReleaseError, TritonError, PortraitError: neither release can be loaded; this is the error of the serving
                release.
        """
        self._stamp = read_file_state(file_of(self._repository))
        self._wanted = wanted = Traffic.of(self._repository) if pinned is None else Traffic(pinned)
        # The canary is left out here: `advance` loads it while the gateway serves.
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
        """Take one step towards the state that the traffic file describes; a background task repeats it."""
        await self._read_traffic()
        await self._switch_routes()
        self._start_next_task()

    async def repair(self) -> None:
        """Have Triton replace the processes of models that stay unhealthy; a background task repeats it."""
        unhealthy = {model for engine in tuple(self.registry.engines.values()) for model in engine.pop_unhealthy()}
        for model, url in sorted(unhealthy):
            _log.error("model_unhealthy", model=model, triton=url)
            try:
                await self.triton.repair(model, url)
            except TritonError as error:  # a model that stays unhealthy is reported again, and so tried again
                _log.error("model_not_repaired", model=model, triton=url, reason=str(error))

    async def stop(self) -> None:
        """Cancel the load or unload that is under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _read_traffic(self) -> None:
        """Read the traffic file if it has changed."""
        # Off the event loop: the repository may be on a network.
        stamp = await asyncio.to_thread(read_file_state, file_of(self._repository))
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
        """Switch new requests to the wanted releases if all of these are loaded and ready; else change nothing."""
        registry, wanted = self.registry, self._wanted
        engines = [registry.engines.get(release) for release in wanted.routed]
        if wanted == registry.routes.traffic or None in engines:
            return
        # A restarted Triton may not have loaded a release yet that no request uses.
        if not all([await engine.is_ready() for engine in engines if engine is not None]):
            return
        if not registry.engines.keys() >= set(wanted.routed):
            return  # removed while `is_ready` was awaited: the next step loads it again
        registry.switch(wanted)
        self.triton.prefer(wanted.serving)
        self.switches += 1
        _log.info("traffic_switched", serving=wanted.serving, canary=wanted.canary, percent=wanted.percent)

    def _start_next_task(self) -> None:
        """Start to load one missing release, or to unload one that is not needed; at most one such task runs."""
        if self._task is not None:
            if not self._task.done():
                return
            task, self._task = self._task, None
            task.result()  # raises what `_remove_release` raised; `_load_release` never fails
        registry, wanted = self.registry, self._wanted
        now = asyncio.get_running_loop().time()
        for release in wanted.routed:
            refusal = self.refused.get(release)
            if release not in registry.engines and (refusal is None or refusal.until <= now):
                self._task = asyncio.create_task(self._load_release(release), name=f"release {release}")
                return
        for release in registry.engines.keys() - wanted.kept - registry.in_use:
            self._task = asyncio.create_task(self._remove_release(release), name=f"release {release}")
            return

    async def _load_release(self, release: int) -> None:
        """Load, update and warm up a release; on any error, refuse it instead of failing.

        The first replay is long and runs while items may change. The second one runs with `changing` held, so that no
        change is lost between it and the moment at which the registry passes changes to the new engine.
        """
        applied: Changes = {}
        try:
            engine = await self._open(release, applied)
            try:
                serving = self.registry.routes.serving
                engine.texts.take_over(serving.texts)
                await warm_up(engine, serving.texts.cache.latest(MAX_TEXTS))
                async with self.registry.changing:
                    await replay(self._store, engine, applied)
                    self.registry.add(engine)
            except BaseException:
                await self._close(engine)
                raise
        except (ReleaseError, TritonError, PortraitError) as error:
            self._refuse(release, str(error))
        except Exception as error:  # an unknown fault of one release must not stop the others
            # Only the type: the text could quote what a shopper typed.
            self._refuse(release, f"unexpected {type(error).__qualname__}")
        else:
            self.refused.pop(release, None)
            gc.freeze()
            _log.info("release_loaded", release=release, item_changes=len(applied))

    async def _open(self, release: int, applied: Changes) -> Engine:
        """Open the engine of a release, load its graphs, and replay the item changes.

        Args:
            release: its number.
            applied: filled with the changes that were replayed, so that a later replay skips them.
        """
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
                return  # wanted again, or taken by a request, while this waited for the lock
            engine = self.registry.remove(release)
        await self._close(engine)
        del engine  # the last reference, so that the collection below frees it
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
    """Collect garbage now, and exclude the objects of loaded releases from later collections.

    A release has some hundred thousand objects that live as long as it does. A full collection walked them every few
    seconds and delayed every call by 65 ms.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
