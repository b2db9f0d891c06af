"""Brings engines up to date with what changed in the catalogues: since their release, and in other processes."""

import contextlib
from collections import defaultdict
from collections.abc import Iterable

import structlog

from portrait.features.events import Item
from portrait.server.engine import Engine
from portrait.server.errors import NotFound, PortraitError
from portrait.server.rollout.engine_registry import EngineRegistry
from portrait.server.storage.store import ItemChange, Store

POLL_SECONDS = 0.25
"""Seconds between polls for the changes of other processes."""
_BATCH = 512

_log = structlog.get_logger(__name__)

Changes = dict[tuple[str, str], Item | None]
"""The last change of each item, by catalogue and item id."""


async def replay(store: Store, engine: Engine, applied: Changes) -> None:
    """Apply every stored change of an item that an engine does not have yet.

    Args:
        store: holds the changes.
        engine: gets them.
        applied: changes applied before; the new ones are added.
    """
    changes = []
    async for change in store.item_changes():
        key = (change.catalogue, change.item_id)
        if key not in applied or applied[key] != change.item:
            applied[key] = change.item
            changes.append(change)
    await _apply(engine, changes)


class RemoteItemChanges:
    """Applies item changes of other processes to the engines of this one.

    Args:
        store: holds the changes.
        registry: knows the changes of this process.
        after: number of the last change that it knows.
    """

    def __init__(self, store: Store, registry: EngineRegistry, after: int) -> None:
        self._store, self._registry, self._after = store, registry, after

    async def apply(self) -> None:
        """Apply the changes since the last call.

        Raises:
            PortraitError: the store can't be read.
        """
        async with self._registry.changing:
            last, changes = await self._store.remote_item_changes(self._after)
            if self._registry.unapplied:
                changes = [change async for change in self._store.item_changes() if self._is_due(change)]
            try:
                await _apply(self._registry, changes)
            except PortraitError as error:  # Triton is down, say: the next poll retries
                _log.warning("item_sync_retry", reason=str(error))
            else:
                self._registry.unapplied.clear()
                self._after = last

    def _is_due(self, change: ItemChange) -> bool:
        return change.number > self._after or (change.catalogue, change.item_id) in self._registry.unapplied


async def _apply(engine: Engine | EngineRegistry, changes: Iterable[ItemChange]) -> None:
    upserted: dict[str, list[Item]] = defaultdict(list)
    deleted: dict[str, list[str]] = defaultdict(list)
    for change in changes:
        if change.item is None:
            deleted[change.catalogue].append(change.item_id)
        else:
            upserted[change.catalogue].append(change.item)
    for catalogue, items in upserted.items():
        for first in range(0, len(items), _BATCH):
            await engine.upsert_items(catalogue, items[first : first + _BATCH], deadline=None)
    for catalogue, item_ids in deleted.items():
        # A catalogue that this release does not bring, and of which every item was removed again.
        with contextlib.suppress(NotFound):
            engine.delete_items(catalogue, item_ids)
