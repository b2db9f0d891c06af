"""Forgetting: the state file keeps nothing of the shopper, nothing comes back, and others stay as they are."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from portrait.features.events import Event, EventType
from portrait.server.audiences.eligibility import AudienceEligibility
from portrait.server.consent.consents import Consent, ConsentRule, Permissions, Purpose
from portrait.server.demographics import Demographics
from portrait.server.storage.sqlite import SqliteStore, open_store
from portrait.server.storage.store import Forgotten, Recorded, RecordedEvent

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
EVER = NOON + timedelta(days=99)
ANN = Demographics("25-34", "gender-of-ann", "region-of-ann", NOON, "source-of-ann")


def events(shopper_id: str, minutes: range) -> list[RecordedEvent]:
    """Views by a shopper, one a minute."""
    return [
        RecordedEvent(
            shopper_id,
            Event(f"{shopper_id}-{minute}", EventType.VIEW, NOON + timedelta(minutes=minute), f"item-of-{shopper_id}",
                  query=f"query-of-{shopper_id}"),
        )
        for minute in minutes
    ]  # fmt: skip


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = await open_store(tmp_path / "portrait.db")
    yield store
    await store.close()


async def know(store: SqliteStore, shopper_id: str) -> None:
    """Have something of everything that is recorded of shoppers."""
    await store.record(events(shopper_id, range(-300, 0)))
    said = [Consent(purpose, True, NOON, NOON, f"notice-of-{shopper_id}") for purpose in Purpose]
    await store.record_consents(shopper_id, said)
    await store.set_demographics(shopper_id, ANN)


async def length(store: SqliteStore, shopper_id: str) -> int:
    return len(await store.history(shopper_id, EVER, 10_000))


def held(folder: Path) -> bytes:
    """All that any file of the store holds."""
    return b"".join(path.read_bytes() for path in folder.iterdir())


async def test_nothing_is_left_in_any_file(store: SqliteStore, tmp_path: Path) -> None:
    for shopper in ("bob", "ann", "eve"):
        await know(store, shopper)
    assert b"item-of-ann" in held(tmp_path)
    assert await store.forget("ann", NOON) == Forgotten(300, NOON)
    assert await store.history("ann", EVER, 10) == []
    assert (await store.consents("ann")).by_purpose == {}
    assert await store.consent_records("ann", 10) == []
    assert await store.demographics("ann") is None
    assert await store.shoppers("", 10) == ["bob", "eve"]
    for shopper in ("bob", "eve"):
        assert await length(store, shopper) == 300
        assert len((await store.consents(shopper)).by_purpose) == len(Purpose)
        assert await store.demographics(shopper) == ANN
    assert b"ann" not in held(tmp_path).replace(b"-of-ann", b"")  # bob and eve declared the same
    for word in (b"item-of-ann", b"query-of-ann", b"notice-of-ann", b"ann-7"):
        assert word not in held(tmp_path)


async def test_a_reader_of_long_standing_does_not_hold_it_up(store: SqliteStore, tmp_path: Path) -> None:
    await know(store, "ann")
    backup = sqlite3.connect(tmp_path / "portrait.db", isolation_level=None)
    backup.execute("BEGIN")
    assert backup.execute("SELECT count(*) FROM events").fetchall() == [(300,)]
    assert (await store.forget("ann", NOON)).events == 300
    assert await store.record(events("bob", range(1))) == [Recorded.NEW]
    assert await length(store, "ann") == 0
    backup.close()


async def test_forgetting_again_and_who_is_not_known(store: SqliteStore) -> None:
    await know(store, "ann")
    assert (await store.forget("ann", NOON)).events == 300
    assert await store.forget("ann", NOON + timedelta(hours=1)) == Forgotten(0, NOON + timedelta(hours=1))
    assert await store.forget("nobody", NOON) == Forgotten(0, NOON)


async def test_events_of_before_do_not_come_back_and_later_ones_are_of_somebody_new(tmp_path: Path) -> None:
    store = await open_store(tmp_path / "portrait.db")
    await store.record(events("ann", range(-3, 0)))
    await store.forget("ann", NOON)
    await store.close()
    store = await open_store(tmp_path / "portrait.db")
    sent = events("ann", range(-2, 3)) + events("bob", range(-2, 0))
    new, gone = Recorded.NEW, Recorded.FORGOTTEN
    assert await store.record(sent) == [gone, gone, gone, new, new, new, new]
    assert [each.event_id for each in await store.history("ann", EVER, 10)] == ["ann-1", "ann-2"]
    assert await store.record(sent) == [gone, gone, gone] + [Recorded.KNOWN] * 4
    assert (await store.consents("ann")).by_purpose == {}
    await store.close()


async def test_who_did_something_tomorrow_is_not_brought_back_by_its_repetition(store: SqliteStore) -> None:
    ahead = events("ann", range(-3, 20 * 60, 60))  # up to twenty hours ahead of our clock
    await store.record(ahead)
    forgotten = await store.forget("ann", NOON)
    assert forgotten == Forgotten(len(ahead), NOON + timedelta(minutes=20 * 60 - 3))
    again = await store.forget("ann", NOON + timedelta(minutes=1))
    assert again.at == forgotten.at  # what was told before is still known
    assert set(await store.record(ahead)) == {Recorded.FORGOTTEN}
    assert await length(store, "ann") == 0
    assert [each.forgotten_at for each in await store.tombstones()] == [forgotten.at]
    assert await store.record(events("ann", range(20 * 60, 20 * 60 + 2))) == [Recorded.NEW] * 2


async def test_freed_pages_leave_the_file_and_no_copies_stay(store: SqliteStore, tmp_path: Path) -> None:
    for first in range(-4_000, 0, 500):  # many pages are split and joined
        for shopper in ("ann", "bob"):
            await store.record(events(shopper, range(first, first + 500)))
    await store.forget("eve", NOON)
    before = (tmp_path / "portrait.db").stat().st_size
    assert (await store.forget("ann", NOON)).events == 4_000
    assert (tmp_path / "portrait.db").stat().st_size < 0.6 * before
    assert (tmp_path / "portrait.db-wal").stat().st_size == 0
    for word in (b"item-of-ann", b"query-of-ann", b"ann-"):
        assert word not in held(tmp_path)
    assert await length(store, "bob") == 4_000


async def test_freed_pages_of_a_large_file_leave_it_step_by_step(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portrait.server.storage.deletion._MAX_REWRITTEN_BYTES", 0)
    for first in range(-4_000, 0, 500):
        for shopper in ("ann", "bob"):
            await store.record(events(shopper, range(first, first + 500)))
    await store.forget("eve", NOON)
    before = (tmp_path / "portrait.db").stat().st_size
    forgetting = asyncio.create_task(store.forget("ann", NOON))
    assert await store.record(events("eve", range(1, 5))) == [Recorded.NEW] * 4
    await forgetting
    assert (tmp_path / "portrait.db").stat().st_size < 0.7 * before
    assert (await length(store, "ann"), await length(store, "bob"), await length(store, "eve")) == (0, 4_000, 4)
    await store.check()


async def test_no_arrival_is_given_twice(store: SqliteStore) -> None:
    await store.record(events("bob", range(2)) + events("ann", range(-3, 0)))
    before = await store.last_arrival()
    await store.forget("ann", NOON)
    await store.forget("bob", NOON)
    assert await store.last_arrival() == before
    await store.record(events("eve", range(1)))
    assert await store.last_arrival() == before + 1
    assert await store.shoppers_with_arrivals(before, before + 1) == ["eve"]


async def test_a_table_of_before_gives_out_nobody_who_was_forgotten(store: SqliteStore) -> None:
    rules = dict.fromkeys(Purpose, ConsentRule.UNLESS_WITHDRAWN)
    reach = AudienceEligibility(store, Permissions(store, rules))
    shoppers = [f"s{number}\x00灯" for number in range(6_000)]
    await store.forget(shoppers[0], NOON)
    begun, arrived = await store.last_forgotten(), await store.last_arrival()
    assert await reach.filter_permitted(begun, arrived, shoppers) == set(shoppers)
    assert await reach.filter_permitted(0, arrived, shoppers) == set(shoppers[1:])
    for shopper in (shoppers[0], shoppers[5_999]):
        await store.forget(shopper, NOON)
    await store.record(events(shoppers[0], range(1, 3)))  # and is not known by what the table says
    assert await reach.filter_permitted(begun, arrived, shoppers) == set(shoppers[1:-1])
    assert await reach.filter_permitted(await store.last_forgotten(), arrived, shoppers) == set(shoppers)


async def test_every_process_knows_at_once(tmp_path: Path) -> None:
    mine, other = await open_store(tmp_path / "portrait.db"), await open_store(tmp_path / "portrait.db")
    versions = [await mine.versions(["ann"])]
    for shopper in ("ann", "ann", "nobody"):
        await other.forget(shopper, NOON)
        versions.append(await mine.versions(["ann"]))
    assert len(set(versions)) == len(versions)
    assert await mine.versions(["ann"]) == versions[-1]
    assert await mine.record(events("ann", range(1))) == [Recorded.FORGOTTEN]
    await mine.close()
    await other.close()
