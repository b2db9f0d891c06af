"""Changes of items: on the disk first, then in memory, so that what is served is never more than what is stored."""

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from portrait.features.events import Item
from portrait.server.rollout.engine_registry import EngineRegistry
from portrait.server.storage.store import ItemChange, Store

T = TypeVar("T")


class ItemChanges:
    """Stores changes of items and applies them to every release that is loaded.

    Args:
        registry: the engines that recommend the items.
        store: remembers what changed since the release.
    """

    def __init__(self, registry: EngineRegistry, store: Store) -> None:
        self._registry = registry
        self._store = store
        self._unfinished: set[asyncio.Task[Any]] = set()

    async def upsert(self, catalogue: str, items: Sequence[Item], *, deadline: float | None) -> None:
        """Add or replace items; they are recommendable when this returns.

        Args:
            catalogue: its name; the first item makes a catalogue.
            items: of two with one id the last counts.
            deadline: `loop.time()` at which the caller's time is up; None if never.

        Raises:
            FailedPrecondition: there are as many catalogues as there may be.
            PortraitError: the models or the store fail; then nothing has changed.
        """
        latest = list({item.item_id: item for item in items}.values())
        since = await self._acquire()
        try:
            self._registry.require_room(catalogue)
            encoded = await self._registry.encode_items(catalogue, latest, deadline=deadline)
        except BaseException:
            self._registry.changing.release()
            raise
        changes = [ItemChange(catalogue, item.item_id, item) for item in latest]
        await self._finish(changes, partial(self._registry.put_items, catalogue, encoded), since)

    async def delete(self, catalogue: str, item_ids: Sequence[str]) -> int:
        """Remove items; returns how many the serving release held.

        Raises:
            NotFound: the serving release has no such catalogue.
            PortraitError: the store fails; then nothing has changed.
        """
        since = await self._acquire()
        try:
            self._registry.require_catalogue(catalogue)
        except BaseException:
            self._registry.changing.release()
            raise
        changes = [ItemChange(catalogue, item_id, None) for item_id in item_ids]
        return await self._finish(changes, partial(self._registry.delete_items, catalogue, item_ids), since)

    async def _acquire(self) -> float:
        """Acquire `changing`; returns when the wait began, by `time.monotonic()`.

        Changes wait one after the other: if each waited anew for a locked file, the last would do so for minutes.
        """
        since = time.monotonic()
        await self._registry.changing.acquire()
        return since

    async def _finish(self, changes: Sequence[ItemChange], apply: Callable[[], T], since: float) -> T:
        """Store and apply, with `changing` held, which is released at the end.

        Both happen even if the caller leaves meanwhile: else what is stored might not be served.
        """
        task = asyncio.create_task(self._store_and_apply(changes, apply, since), name="item changes of a call")
        self._unfinished.add(task)
        task.add_done_callback(self._unfinished.discard)
        return await asyncio.shield(task)

    async def _store_and_apply(self, changes: Sequence[ItemChange], apply: Callable[[], T], since: float) -> T:
        try:
            await self._store.change_items(changes, since=since)
            try:
                return apply()
            except Exception:
                self._registry.unapplied.update(
                    (each.catalogue, each.item_id) for each in changes
                )  # `RemoteItemChanges` tries again
                raise
        finally:
            self._registry.changing.release()
