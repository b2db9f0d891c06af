"""Stored items are served even where they break limits that hold for callers today."""

from pathlib import Path

import pytest

from portrait.features.events import Item
from portrait.server.engine import Engine
from portrait.server.errors import FailedPrecondition
from portrait.server.rollout.engine_registry import MAX_CATALOGUES, EngineRegistry
from portrait.server.rollout.replay import replay
from portrait.server.rollout.traffic import Traffic
from portrait.server.storage.sqlite import open_store
from portrait.server.storage.store import ItemChange


async def test_more_catalogues_than_there_may_be_are_replayed(engine: Engine, tmp_path: Path) -> None:
    names = [f"c{number}" for number in range(MAX_CATALOGUES + 20)]
    store = await open_store(tmp_path / "portrait.db")
    try:
        await store.change_items([ItemChange(name, "a", Item("a", "Red desk lamp", name)) for name in names])
        await replay(store, engine, {})
    finally:
        await store.close()
    registry = EngineRegistry(engine, Traffic(1))
    assert engine.get_item(names[-1], "a").title == "Red desk lamp"
    registry.require_room(names[-1])
    with pytest.raises(FailedPrecondition, match=f"the limit is {MAX_CATALOGUES}"):
        registry.require_room("another")
    for name in names:
        registry.delete_items(name, ["a"])
    registry.require_room("another")
    assert set(engine.snapshots.by_name) == {"products"}
