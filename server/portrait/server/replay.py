"""Brings an engine up to date with what changed in the catalogues since its release."""

import contextlib
from collections import defaultdict

from portrait.features.events import Item
from portrait.server.engine import Engine
from portrait.server.errors import NotFound
from portrait.server.storage.store import Store

_BATCH = 512


async def replay(store: Store, engine: Engine) -> int:
    """Tell the engine every stored change of an item; returns how many there were."""
    upserted: dict[str, list[Item]] = defaultdict(list)
    deleted: dict[str, list[str]] = defaultdict(list)
    changes = 0
    async for change in store.item_changes():
        changes += 1
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
    return changes
