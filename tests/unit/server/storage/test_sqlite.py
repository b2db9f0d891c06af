import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from support.small_disk import fill_disk, free_disk, small_disk

from portrait.features.events import Event, EventType, Item
from portrait.server.storage.schema import SCHEMA_VERSION
from portrait.server.storage.sqlite import SqliteStore, open_store
from portrait.server.storage.store import ItemChange, Recorded, RecordedEvent, StoreError

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def event(event_id: str, minutes: float = 0) -> Event:
    return Event(event_id, EventType.VIEW, NOON + timedelta(minutes=minutes), item_id="lamp")


def of(shopper_id: str, *events: Event) -> list[RecordedEvent]:
    return [RecordedEvent(shopper_id, each) for each in events]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = await open_store(tmp_path / "state" / "portrait.db")
    yield store
    await store.close()


async def ids(store: SqliteStore, shopper_id: str, minutes: float = 1e6, limit: int = 100) -> list[str]:
    history = await store.history(shopper_id, NOON + timedelta(minutes=minutes), limit)
    return [each.event_id for each in history]


async def test_an_event_comes_back_as_it_was_recorded(store: SqliteStore) -> None:
    full = Event(
        event_id="e1",
        type=EventType.RATE,
        time=NOON + timedelta(microseconds=123_457),
        item_id="灯 🛋",
        catalogue="ads",
        query="lamp\x00'; DROP TABLE events",
        price=0.1,
        quantity=2.0,
        rating=4.5,
        dwell_seconds=0.0,
        position=3,
    )
    bare = Event("e2", EventType.SEARCH, NOON + timedelta(hours=1), query="lamp")
    assert await store.record(of("ann", full, bare)) == [Recorded.NEW, Recorded.NEW]
    assert await store.history("ann", NOON + timedelta(days=1), 10) == [full, bare]


async def test_history_is_ordered_by_time_then_arrival(store: SqliteStore) -> None:
    await store.record(of("ann", event("late", 9), event("b", 5), event("a", 5)))
    await store.record(of("ann", event("early", 1)))
    assert await ids(store, "ann") == ["early", "b", "a", "late"]


async def test_history_ends_at_its_moment_and_keeps_the_latest(store: SqliteStore) -> None:
    await store.record(of("ann", *(event(f"e{minute}", minute) for minute in range(6))))
    assert await ids(store, "ann", minutes=3) == ["e0", "e1", "e2", "e3"]
    assert await ids(store, "ann", minutes=3, limit=2) == ["e2", "e3"]
    assert await ids(store, "bob") == []


async def test_an_event_id_is_of_its_shopper(store: SqliteStore) -> None:
    both = [*of("ann", event("same"), event("own")), *of("bob", event("same"))]
    assert await store.record(both) == [Recorded.NEW] * 3
    assert await store.record(of("eve", event("same"))) == [Recorded.NEW]
    assert await store.record(both) == [Recorded.KNOWN] * 3
    assert [await ids(store, shopper) for shopper in ("ann", "bob", "eve")] == [["same", "own"], ["same"], ["same"]]


FULL = Event("e1", EventType.RATE, NOON, "lamp", "ads", "灯\x00", 0.1, 2.0, 4.5, 0.0, 3)


@pytest.mark.parametrize(
    "other",
    [
        FULL._replace(type=EventType.VIEW),
        FULL._replace(time=NOON + timedelta(microseconds=1)),
        FULL._replace(item_id="rug"),
        FULL._replace(item_id=None),
        FULL._replace(catalogue="products"),
        FULL._replace(query="灯"),
        FULL._replace(price=None),
        FULL._replace(quantity=3.0),
        FULL._replace(rating=4.0),
        FULL._replace(dwell_seconds=None),
        FULL._replace(position=4),
    ],
    ids=[
        "type",
        "time",
        "item_id",
        "no item_id",
        "catalogue",
        "query",
        "no price",
        "quantity",
        "rating",
        "no dwell",
        "position",
    ],
)
async def test_another_event_of_the_same_id_is_a_conflict(store: SqliteStore, other: Event) -> None:
    conflict, known, new = Recorded.CONFLICT, Recorded.KNOWN, Recorded.NEW
    assert await store.record(of("ann", FULL, other, FULL)) == [new, conflict, known]  # in one call
    assert await store.record(of("ann", other, FULL)) == [conflict, known]
    assert await store.history("ann", NOON + timedelta(days=1), 10) == [FULL]
    assert await store.record(of("bob", other)) == [new]


async def test_an_event_id_of_any_letters_is_stored_once(store: SqliteStore) -> None:
    strange = of("ann", event("a\x00b"), event("a"), event("\x00"), event("灯 \ufffe'\""))
    assert await store.record(strange) == [Recorded.NEW] * 4
    assert await store.record(strange) == [Recorded.KNOWN] * 4


async def test_concurrent_writers_store_everything_once(store: SqliteStore) -> None:
    batches = [of("ann", *(event(f"e{n}", n) for n in range(start, start + 20))) for start in range(0, 100, 10)]
    new = await asyncio.gather(*(store.record(batch) for batch in batches))
    assert sum(each.count(Recorded.NEW) for each in new) == 110
    assert len(await ids(store, "ann", limit=1000)) == 110


async def test_a_cancelled_write_leaves_all_or_nothing_and_does_not_block(store: SqliteStore) -> None:
    for round_ in range(20):
        batch = of("ann", *(event(f"{round_}-{n}", n) for n in range(50)))
        writing = asyncio.create_task(store.record(batch))
        for _ in range(round_):
            await asyncio.sleep(0)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        stored = [each for each in await ids(store, "ann", limit=10_000) if each.startswith(f"{round_}-")]
        assert len(stored) in {0, 50}
    assert await store.record(of("bob", event("after"))) == [Recorded.NEW]


async def test_events_and_item_changes_survive_reopening(tmp_path: Path) -> None:
    path = tmp_path / "portrait.db"
    lamp = Item("lamp", "灯", "ads", ("Home", "Lamps"), "Brand", {"colour": "red"}, 9.5)
    store = await open_store(path)
    await store.record(of("ann", event("e1")))
    await store.change_items([ItemChange("ads", "lamp", replace(lamp, title="old")), ItemChange("ads", "x", None)])
    await store.change_items([ItemChange("ads", "lamp", lamp)])
    await store.close()

    store = await open_store(path)
    assert await ids(store, "ann") == ["e1"]
    changes = [change async for change in store.item_changes()]
    assert changes == [ItemChange("ads", "lamp", lamp), ItemChange("ads", "x", None)]
    await store.close()


async def test_writes_wait_for_the_disk(store: SqliteStore) -> None:
    [[mode]] = await store._writer.run_alone(lambda connection: connection.execute("PRAGMA journal_mode").fetchall())
    [[synchronous]] = await store._writer.run_alone(
        lambda connection: connection.execute("PRAGMA synchronous").fetchall()
    )
    assert (mode, synchronous) == ("wal", 2)


async def test_a_file_of_a_later_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "portrait.db"
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(StoreError, match=f"later version of Portrait .schema {SCHEMA_VERSION + 1}"):
        await open_store(path)


async def test_a_file_that_is_no_store_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "portrait.db"
    path.write_text("event_id,shopper_id\n" * 100, encoding="utf-8")
    with pytest.raises(StoreError, match="is no state file of Portrait"):
        await open_store(path)
    with pytest.raises(StoreError, match="can't be opened"):
        await open_store(tmp_path)


async def test_changes_of_other_processes_are_found(tmp_path: Path) -> None:
    mine, other = await open_store(tmp_path / "portrait.db"), await open_store(tmp_path / "portrait.db")
    lamp = Item("lamp", "Lamp")
    await mine.change_items([ItemChange("products", "mine", lamp), ItemChange("products", "lamp", None)])
    assert await mine.remote_item_changes(0) == (2, [])
    await other.change_items([ItemChange("products", "lamp", lamp), ItemChange("ads", "x", None)])
    found = [ItemChange("products", "lamp", lamp), ItemChange("ads", "x", None)]
    assert await mine.remote_item_changes(2) == (4, found)
    assert await mine.remote_item_changes(4) == (4, [])
    # What this process changed later is its own again.
    await mine.change_items([ItemChange("ads", "x", lamp)])
    assert await mine.remote_item_changes(2) == (5, found[:1])
    assert [change.number for change in (await other.remote_item_changes(0))[1]] == [1, 5]
    await mine.close()
    await other.close()


async def test_a_file_of_the_first_version_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "portrait.db"
    store = await open_store(path)
    await store.change_items([ItemChange("ads", "x", None)])
    await store.close()
    with sqlite3.connect(path) as connection:
        for table in (
            "consent_records",
            "consents",
            "demographics",
            "tombstones",
            "state",
            "links",
            "identity_changes",
            "reviews",
            "review_changes",
            "household_members",
        ):
            connection.execute(f"DROP TABLE {table}")
        connection.execute("DROP INDEX item_changes_by_number")
        connection.execute("ALTER TABLE item_changes DROP COLUMN number")
        connection.execute("ALTER TABLE item_changes DROP COLUMN writer")
        connection.execute("PRAGMA user_version = 1")
    connection.close()
    store = await open_store(path)
    assert [change async for change in store.item_changes()] == [ItemChange("ads", "x", None)]
    assert await store.remote_item_changes(0) == (0, [])
    await store.change_items([ItemChange("ads", "y", None)])
    assert [change.number async for change in store.item_changes()] == [0, 1]
    await store.close()


async def test_nobody_else_can_open_the_files(tmp_path: Path) -> None:
    def modes() -> set[int]:
        return {path.stat().st_mode & 0o777 for path in tmp_path.glob("portrait.db*")}

    path = tmp_path / "portrait.db"
    store = await open_store(path)
    await store.record(of("ann", event("e1")))
    assert {each.name for each in tmp_path.iterdir()} >= {"portrait.db", "portrait.db-wal", "portrait.db-shm"}
    assert modes() == {0o600}
    for end in ("", "-wal", "-shm"):
        (tmp_path / f"portrait.db{end}").chmod(0o644)
    with capture_logs() as logged:
        other = await open_store(path)  # as a file of an earlier version is
    assert modes() == {0o600}
    assert {line["file"] for line in logged if line["event"] == "permissions_tightened"} >= {"portrait.db"}
    await other.close()
    await store.close()


async def test_a_file_that_keeps_freed_pages_is_written_anew_once(tmp_path: Path) -> None:
    path = tmp_path / "portrait.db"
    store = await open_store(path)
    await store.record(of("ann", *(event(f"e{number}") for number in range(500))))
    await store.close()
    with sqlite3.connect(path) as connection:  # as versions up to 4 made it
        connection.execute("PRAGMA auto_vacuum = NONE")
    connection.execute("VACUUM")
    assert connection.execute("PRAGMA auto_vacuum").fetchall() == [(0,)]
    connection.close()
    store = await open_store(path)
    [[mode]] = await store._writer.run_alone(lambda connection: connection.execute("PRAGMA auto_vacuum").fetchall())
    assert mode == 2
    assert len(await ids(store, "ann", limit=1_000)) == 500
    await store.close()


OLD = Path(__file__).parents[3] / "data" / "states" / "schema_5.sql"


def old_file(path: Path) -> Path:
    """Write a state file as the version that had schema 5 did; returns its path."""
    connection = sqlite3.connect(path)
    connection.executescript(OLD.read_text(encoding="utf-8"))
    connection.close()
    return path


async def test_a_file_whose_ids_were_of_the_whole_shop_keeps_all_and_tells_shoppers_apart(tmp_path: Path) -> None:
    path = old_file(tmp_path / "portrait.db")
    # Two processes open it at one time.
    store, other = await asyncio.gather(open_store(path), open_store(path))
    bought = Event("e1", EventType.PURCHASE, NOON, "lamp", query="a 'lamp'; 灯", price=9.5, quantity=2.0)
    searched = Event("e2", EventType.SEARCH, NOON + timedelta(minutes=1), query="desk lamp")
    rated = Event("e3", EventType.RATE, NOON + timedelta(minutes=2), "rug", "ads", None, None, None, 4.5, 0.0, 3)
    viewed = Event("e4", EventType.VIEW, NOON + timedelta(minutes=3), "lamp")
    assert await store.history("ann", NOON + timedelta(days=1), 10) == [bought, searched]
    assert await store.history("bob", NOON + timedelta(days=1), 10) == [rated]
    # What was recorded before is known, in both processes; of another shopper it is new.
    assert await store.record([*of("ann", bought, searched), *of("bob", rated)]) == [Recorded.KNOWN] * 3
    assert await other.record(of("ann", bought, bought._replace(price=9.0))) == [Recorded.KNOWN, Recorded.CONFLICT]
    assert await other.record(of("bob", bought)) == [Recorded.NEW]
    assert await store.record(of("bob", bought)) == [Recorded.KNOWN]
    # Who was forgotten stays so, and no number is given twice.
    assert await store.record(of("eve", viewed)) == [Recorded.FORGOTTEN]
    assert await store.last_arrival() == 5
    assert await store.regions(["ann", "bob"]) == {"bob": "Berlin"}
    assert (await store.forget("ann", NOON + timedelta(hours=1))).events == 2
    assert await store.record(of("ann", bought)) == [Recorded.FORGOTTEN]
    assert await ids(store, "bob") == ["e1", "e3"]
    await store.check()
    await store.close()
    await other.close()


async def test_an_old_file_on_a_full_disk_is_refused_and_stays_whole(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 8) as disk:
        path = old_file(disk / "portrait.db")
        connection = sqlite3.connect(path)
        with connection:
            rows = [(n, f"b{n}", "ann", 0, "view", "lamp", "products") for n in range(10, 10_000)]
            columns = "arrival, event_id, shopper_id, time, type, item_id, catalogue"
            connection.executemany(f"INSERT INTO events ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        connection.close()
        fill_disk(disk)
        filler = disk / "filler"
        os.truncate(filler, filler.stat().st_size - 300_000)  # room to begin, not to move the events
        with pytest.raises(StoreError, match="its disk is full"):
            await open_store(path)
        free_disk(disk)
        store = await open_store(path)
        assert len(await ids(store, "ann", limit=20_000)) == 2 + 9_990
        await store.close()
