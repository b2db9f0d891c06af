"""Brings an engine up to date with what changed in the catalogues since its release."""

import contextlib
from collections import defaultdict

from portrait.features.events import Item
from portrait.server.engine import Engine
from portrait.server.errors import NotFound
from portrait.server.storage.store import Store

_BATCH = 512

Changes = dict[tuple[str, str], Item | None]
"""The last change of each item, by catalogue and item id."""


async def replay(store: Store, engine: Engine, told: Changes) -> None:
    """Tell the engine every stored change of an item that it was not told yet.

    Args:
        store: holds the changes.
        engine: is told.
        told: what it was told before; what it is told now is added.
    """
    upserted: dict[str, list[Item]] = defaultdict(list)
    deleted: dict[str, list[str]] = defaultdict(list)
    async for change in store.item_changes():
        key = (change.catalogue, change.item_id)
        if key in told and told[key] == change.item:
            continue
        told[key] = change.item
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
