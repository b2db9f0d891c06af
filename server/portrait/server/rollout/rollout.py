"""The rollout: a loop that loads, switches and unloads releases until they agree with the traffic that is wanted.

A new release is loaded beside those that serve. It is checked, the stored item changes are replayed on it, and it is
warmed up; then all new requests switch to it at once. Requests under way end on the release that they began with, which
is unloaded after the last of them. A release that can't be loaded changes nothing: it is refused and retried later. It
is delayed, and not refused, while Triton or another part that it needs is away.
"""

import asyncio
import gc
from collections.abc import Awaitable, Callable, Hashable
from typing import Protocol

import structlog

from portrait.features.release.manifest import ReleaseError
from portrait.server.engine import Engine
from portrait.server.errors import PortraitError
from portrait.server.rollout.engine_registry import EngineRegistry
from portrait.server.rollout.replay import Changes, replay
from portrait.server.rollout.setbacks import Setbacks
from portrait.server.rollout.traffic import Traffic, TrafficError
from portrait.server.rollout.traffic_sources import TrafficSource
from portrait.server.rollout.warmup import MAX_TEXTS, warm_up
from portrait.server.storage.store import Store
from portrait.server.triton import TritonError, TritonLost

POLL_SECONDS = 0.2
"""Seconds between polls of the wanted traffic."""
REPAIR_SECONDS = 1.0
"""Seconds between checks for unhealthy models."""
_ANSWER_SECONDS = 60.0
"""Seconds within which the models of a newly loaded release must answer."""

_log = structlog.get_logger(__name__)


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


class Rollout:
    """Follows what an operator chose, one step at a time.

    Args:
        source: says which release serves whom.
        store: holds the item changes that are replayed on a new engine.
        triton: loads and unloads graphs.
        open_engine: opens a release and checks its files against the manifest; raises ReleaseError.
    """

    def __init__(
        self, source: TrafficSource, store: Store, triton: Triton, open_engine: Callable[[int], Awaitable[Engine]]
    ) -> None:
        self._source, self._store, self.triton = source, store, triton
        self._open_engine = open_engine
        self.stamp: Hashable = None
        """The source's stamp of the traffic that is followed."""
        self._wanted: Traffic
        self.registry: EngineRegistry
        """The loaded engines; `begin` sets it."""
        self._task: asyncio.Task[None] | None = None
        self.setbacks = Setbacks()
        """Wanted releases that could not be loaded."""
        self.misread = False
        """True if the wanted traffic was written but is invalid."""
        self.switches = 0
        """Number of times that new requests were switched to other routes."""

    async def begin(self, pinned: int | None = None) -> None:
        """Load the serving release; if that fails, load the previous one.

        Args:
            pinned: the number of a release to serve whatever is wanted; None follows the source.

        Raises:
            TrafficError: the wanted traffic is invalid.
            OSError: it can't be read.
            ReleaseError, TritonError, PortraitError: neither release can be loaded; this is the error of the serving
                release.
        """
        if pinned is None:
            self.stamp = await self._source.read_stamp()
        self._wanted = wanted = await self._source.read_first() if pinned is None else Traffic(pinned)
        # The canary is left out here: `advance` loads it while the gateway serves.
        traffic = Traffic(wanted.serving, wanted.previous)
        try:
            engine = await self._open(wanted.serving, {})
        except (ReleaseError, TritonError, PortraitError) as error:
            if wanted.previous is None:
                raise
            self.setbacks.note(wanted.serving, error)
            traffic = Traffic(wanted.previous)
            try:
                engine = await self._open(wanted.previous, {})
            except (ReleaseError, TritonError, PortraitError):
                raise error from None
        self.registry = EngineRegistry(engine, traffic)
        self.triton.prefer(traffic.serving)
        _freeze_loaded_objects()

    async def advance(self) -> None:
        """Take one step towards the traffic that is wanted; a background task repeats it."""
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
        """Read the wanted traffic if an operator has chosen anew."""
        stamp = await self._source.read_stamp()
        if stamp == self.stamp:
            return
        try:
            wanted = await self._source.read()
        except (OSError, TrafficError) as error:
            self.stamp, self.misread = stamp, True
            _log.error("traffic_file_misread", reason=str(error), release=self.registry.routes.traffic.serving)
            return
        self.stamp = stamp
        self.misread = False
        if wanted is None:
            _log.warning("traffic_file_missing", release=self.registry.routes.traffic.serving)
            return
        _log.info("traffic_wanted", serving=wanted.serving, canary=wanted.canary, percent=wanted.percent)
        self._wanted = wanted
        self.setbacks.clear()

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
        for release in wanted.routed:
            if release not in registry.engines and self.setbacks.is_due(release):
                self._task = asyncio.create_task(self._load_release(release), name=f"release {release}")
                return
        for release in registry.engines.keys() - wanted.kept - registry.in_use:
            self._task = asyncio.create_task(self._remove_release(release), name=f"release {release}")
            return

    async def _load_release(self, release: int) -> None:
        """Load, update and warm up a release; on any error, refuse or delay it instead of failing.

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
            self.setbacks.note(release, error)
        except Exception as error:  # an unknown fault of one release must not stop the others
            # Only the type: the text could quote what a shopper typed.
            self.setbacks.refuse(release, f"unexpected {type(error).__qualname__}")
        else:
            self.setbacks.forget(release)
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
                raise TritonLost(f"Triton has not all models of release {release} loaded, or one does not answer")
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


def _freeze_loaded_objects() -> None:
    """Collect garbage now, and exclude the objects of loaded releases from later collections.

    A release has some hundred thousand objects that live as long as it does. A full collection walked them every few
    seconds and delayed every call by 65 ms.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
