"""Only stored items are served: a real store, and engines that only hold items."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from portrait.features.events import Item
from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import NotFound, Overloaded, Unavailable
from portrait.server.rollout.engine_registry import EngineRegistry
from portrait.server.rollout.item_changes import ItemChanges
from portrait.server.rollout.replay import RemoteItemChanges
from portrait.server.rollout.traffic import Traffic
from portrait.server.storage.sqlite import SqliteStore, open_store

LAMP, RUG = Item("lamp", "Lamp"), Item("rug", "Rug")


class _Catalogues(dict[str, dict[str, Item]]):
    def __missing__(self, name: str) -> dict[str, Item]:
        raise NotFound("catalogue", name, ErrorReason.CATALOGUE_UNKNOWN)


class Holding:
    """Stands for an engine."""

    def __init__(self, number: int) -> None:
        self.release = SimpleNamespace(number=number)
        self.catalogues = _Catalogues()
        self.models_fail = self.memory_fails = False

    async def encode_items(self, catalogue: str, items: Sequence[Item], deadline: float | None) -> Sequence[Item]:
        await asyncio.sleep(0)
        if self.models_fail:
            raise Overloaded("no room", 1.0, ErrorReason.MODELS_BUSY)
        return items

    def put_items(self, catalogue: str, items: Sequence[Item]) -> None:
        if self.memory_fails:
            raise MemoryError
        self.catalogues.setdefault(catalogue, {}).update({item.item_id: item for item in items})

    def delete_items(self, catalogue: str, item_ids: Sequence[str]) -> int:
        held = self.catalogues[catalogue]
        return sum(held.pop(item_id, None) is not None for item_id in item_ids)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = await open_store(tmp_path / "portrait.db")
    yield store
    await store.close()


@pytest.fixture
def engines() -> tuple[Holding, Holding]:
    return Holding(1), Holding(2)


@pytest.fixture
def registry(engines: tuple[Any, Any]) -> EngineRegistry:
    held = EngineRegistry(engines[0], Traffic(1))
    held.add(engines[1])
    return held


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    other = sqlite3.connect(folder / "portrait.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.close()


async def stored(store: SqliteStore) -> Mapping[str, Item | None]:
    return {change.item_id: change.item async for change in store.item_changes()}


@pytest.mark.slow
async def test_what_the_store_refuses_changes_nothing(
    store: SqliteStore,
    registry: EngineRegistry,
    engines: tuple[Holding, Holding],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("portrait.server.storage.writer.LOCK_SECONDS", 0.3)
    changes = ItemChanges(registry, store)
    await changes.upsert("ads", [LAMP], deadline=None)
    state = registry.state
    with locked(tmp_path):
        with pytest.raises(Unavailable):
            await changes.upsert("ads", [RUG], deadline=None)
        with pytest.raises(Unavailable):
            await changes.upsert("new", [RUG], deadline=None)
        with pytest.raises(Unavailable):
            await changes.delete("ads", ["lamp"])
        # Those who come together do not wait one after the other.
        many = [changes.upsert("ads", [Item(str(number), "x")], deadline=None) for number in range(20)]
        async with asyncio.timeout(20):
            refused = await asyncio.gather(*many, return_exceptions=True)
        assert {type(error) for error in refused} == {Unavailable}
    for engine in engines:
        assert engine.catalogues == {"ads": {"lamp": LAMP}}
    assert registry.state == state
    assert await changes.delete("ads", ["lamp", "unheard-of"]) == 1
    assert await stored(store) == {"lamp": None, "unheard-of": None}


async def test_what_the_models_refuse_or_nobody_knows_is_not_stored(
    store: SqliteStore, registry: EngineRegistry, engines: tuple[Holding, Holding]
) -> None:
    changes = ItemChanges(registry, store)
    engines[1].models_fail = True
    with pytest.raises(Overloaded):
        await changes.upsert("ads", [LAMP], deadline=None)
    with pytest.raises(NotFound):
        await changes.delete("ads", ["lamp"])
    assert await stored(store) == {}
    assert engines[0].catalogues == {}
    assert not registry.changing.locked()


async def test_a_caller_who_leaves_leaves_nothing_half_done(
    store: SqliteStore, registry: EngineRegistry, engines: tuple[Holding, Holding]
) -> None:
    changes = ItemChanges(registry, store)
    for steps in range(12):
        item = Item(f"item-{steps}", "Lamp")
        call = asyncio.create_task(changes.upsert("ads", [item], deadline=None))
        for _ in range(steps):
            await asyncio.sleep(0)
        call.cancel()
        with suppress(asyncio.CancelledError):
            await call
        async with registry.changing:
            held = [engine.catalogues.get("ads", {}) for engine in engines]
            assert held[0] == held[1] == await stored(store)
    assert 0 < len(await stored(store)) < 12


async def test_what_is_stored_but_could_not_be_applied_is_applied_later(
    store: SqliteStore, registry: EngineRegistry, engines: tuple[Holding, Holding]
) -> None:
    changes = ItemChanges(registry, store)
    engines[1].memory_fails = True
    with pytest.raises(MemoryError):
        await changes.upsert("ads", [LAMP], deadline=None)
    engines[1].memory_fails = False
    await RemoteItemChanges(store, registry, await store.last_item_change()).apply()
    assert not registry.unapplied
    for engine in engines:
        assert engine.catalogues == {"ads": {"lamp": LAMP}}
