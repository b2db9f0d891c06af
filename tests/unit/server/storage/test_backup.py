"""Backups: written while others write, restored whole, and never with shoppers who were forgotten since."""

import asyncio
import contextlib
import sqlite3
import stat
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.small_disk import fill_disk, small_disk

from portrait.features.events import Event, EventType, Item
from portrait.features.logs.shopper_hashes import sha256_of
from portrait.server.consent.consents import Consent, Purpose
from portrait.server.demographics import Demographics
from portrait.server.storage.backup import back_up, read_tombstones_of, restore
from portrait.server.storage.sqlite import SqliteStore, open_store
from portrait.server.storage.store import ItemChange, Recorded, RecordedEvent, StoreError
from portrait.server.storage.tombstones import Tombstone, read_tombstones, write_tombstones

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
EVER = NOON + timedelta(days=999)
MINUTE = timedelta(minutes=1)
SHOPPERS = ("ann", "bob", "eve")


def view(shopper_id: str, number: int) -> RecordedEvent:
    return RecordedEvent(
        shopper_id, Event(f"e{number}", EventType.VIEW, NOON + number * MINUTE, item_id=f"item-of-{shopper_id}")
    )


async def know(store: SqliteStore, shopper_id: str, number: int = 0) -> None:
    """Have something of everything that is recorded of shoppers."""
    await store.record([view(shopper_id, number)])
    said = NOON + number * MINUTE
    await store.record_consents(shopper_id, [Consent(purpose, True, said, said, "notice") for purpose in Purpose])
    await store.set_demographics(shopper_id, Demographics("25-34", "", f"region-of-{shopper_id}", said))


async def everything(path: Path) -> dict[str, object]:
    """All that a state file tells, but for its identity."""
    store = await open_store(path)
    try:
        return {
            "events": {each: await store.history(each, EVER, 100) for each in SHOPPERS},
            "consents": {each: (await store.consents(each)).by_purpose for each in SHOPPERS},
            "records": {each: await store.consent_records(each, 100) for each in SHOPPERS},
            "demographics": {each: await store.demographics(each) for each in SHOPPERS},
            "tombstones": {each.shopper_sha256: each.forgotten_at for each in await store.tombstones()},
            "items": [each async for each in store.item_changes()],
        }
    finally:
        await store.close()


async def test_a_backup_ends_while_others_write_and_holds_all_that_was_acknowledged_before(tmp_path: Path) -> None:
    path, target = tmp_path / "portrait.db", tmp_path / "backup.db"
    store = await open_store(path)
    acknowledged, stop = 0, asyncio.Event()

    async def write() -> None:
        nonlocal acknowledged
        while not stop.is_set():
            await store.record([view("ann", acknowledged)])
            acknowledged += 1

    writing = asyncio.create_task(write())
    while acknowledged < 50:
        await asyncio.sleep(0)
    before = acknowledged
    written = await asyncio.to_thread(back_up, path, target)
    while acknowledged < before + 50:
        await asyncio.sleep(0)
    stop.set()
    await writing
    await store.close()
    assert written.events >= before
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    copied = await open_store(target)
    ids = [event.event_id for event in await copied.history("ann", EVER, 1_000_000)]
    await copied.close()
    assert ids == [f"e{number}" for number in range(written.events)]


async def test_what_is_restored_says_what_the_backup_said_under_another_identity(tmp_path: Path) -> None:
    path, target = tmp_path / "portrait.db", tmp_path / "backup.db"
    store = await open_store(path)
    for shopper_id in ("ann", "bob"):
        await know(store, shopper_id)
    await store.forget("eve", NOON)
    await store.change_items([ItemChange("ads", "lamp", Item("lamp", "Desk lamp"))])
    back_up(path, target)
    await know(store, "bob", 5)
    await store.close()
    expected, identity = await everything(target), store.identity
    tombstones = read_tombstones_of(path)
    assert tombstones is not None
    restored = restore(target, path, tombstones)
    assert (restored.events, restored.forgotten) == (2, 0)
    assert await everything(path) == expected
    reopened = await open_store(path)
    assert reopened.identity != identity
    await reopened.close()
    assert restored.replaced is not None
    assert len((await everything(restored.replaced))["events"]["bob"]) == 2  # type: ignore[index]
    assert {each.name for each in tmp_path.iterdir() if "partial" in each.name} == set()


async def test_who_was_forgotten_since_does_not_come_back(tmp_path: Path) -> None:
    path, target = tmp_path / "portrait.db", tmp_path / "backup.db"
    store = await open_store(path)
    for shopper_id in ("ann", "bob"):
        await know(store, shopper_id)
    back_up(path, target)
    forgotten = await store.forget("ann", NOON + MINUTE)
    await store.close()
    restored = restore(target, path, read_tombstones_of(path) or ())
    assert (restored.events, restored.forgotten) == (1, 1)
    assert b"ann" not in path.read_bytes()
    after = await open_store(path)
    assert (await after.consents("ann")).by_purpose == {}
    assert await after.demographics("ann") is None
    assert await after.record([view("ann", 0), view("bob", 0)]) == [Recorded.FORGOTTEN, Recorded.KNOWN]
    assert await after.tombstones() == [Tombstone(sha256_of("ann"), forgotten.at)]
    last = await after.last_arrival()
    assert await after.record([view("bob", 9)]) == [Recorded.NEW]
    assert await after.last_arrival() > last >= 2
    await after.close()


@dataclass(frozen=True)
class Step:
    shopper_id: str
    deed: str


STEPS = st.lists(
    st.builds(Step, st.sampled_from(SHOPPERS), st.sampled_from(["know", "forget", "back up"])), max_size=12
)


async def _do(store: SqliteStore, number: int, step: Step) -> None:
    if step.deed == "know":
        await know(store, step.shopper_id, number)
    else:
        await store.forget(step.shopper_id, NOON + number * MINUTE)


@given(steps=STEPS)
def test_a_restored_state_is_the_backup_and_then_all_deletions(steps: list[Step]) -> None:
    async def run(folder: Path) -> None:
        path, target, replayed = folder / "portrait.db", folder / "backup.db", folder / "replayed.db"
        store, expected = await open_store(path), await open_store(replayed)
        back_up(path, target)
        done = 0
        for number, step in enumerate(steps):
            if step.deed == "back up":
                target.unlink()
                back_up(path, target)
                done = number + 1
            else:
                await _do(store, number, step)
        for number, step in enumerate(steps):
            if step.deed == "forget" or (step.deed == "know" and number < done):
                await _do(expected, number, step)
        await store.close()
        await expected.close()
        restore(target, path, read_tombstones_of(path) or ())
        assert await everything(path) == await everything(replayed)

    with TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder)))


async def test_a_state_file_that_is_in_use_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "portrait.db"
    store = await open_store(path)
    with pytest.raises(StoreError, match="is in use: stop all gateways"):
        read_tombstones_of(path)
    await store.close()
    assert read_tombstones_of(path) == []
    assert read_tombstones_of(tmp_path / "nothing") is None
    (tmp_path / "damaged").write_bytes(b"no database" * 999)
    assert read_tombstones_of(tmp_path / "damaged") is None


async def _prepared(folder: Path) -> tuple[Path, Path]:
    """A state file with an event, and a backup of it."""
    path, target = folder / "portrait.db", folder / "backup.db"
    store = await open_store(path)
    await know(store, "ann")
    await store.close()
    back_up(path, target)
    return path, target


@pytest.mark.parametrize("content", ["nothing", "text", "another database", "torn", "later version"])
async def test_what_is_no_whole_backup_is_refused_and_changes_nothing(tmp_path: Path, content: str) -> None:
    path, target = await _prepared(tmp_path)
    before = path.read_bytes()
    if content == "nothing":
        target.unlink()
    elif content == "text":
        target.write_bytes(b"shopper_id,type\n" * 400)
    elif content == "torn":
        whole = target.read_bytes()
        target.write_bytes(whole[: len(whole) // 2])
    else:
        target.unlink(missing_ok=content == "later version")
        with contextlib.closing(sqlite3.connect(target)) as connection:
            connection.executescript(
                "CREATE TABLE a (b)" if content == "another database" else "CREATE TABLE a (b); PRAGMA user_version=99"
            )
    with pytest.raises(StoreError, match=r"backup\.db"):
        restore(target, path, ())
    assert path.read_bytes() == before
    assert {each.name for each in tmp_path.iterdir()} <= {"portrait.db", "backup.db", "portrait.db-reserve"}


async def test_a_backup_is_not_written_over_nor_half_written(tmp_path: Path) -> None:
    path, target = await _prepared(tmp_path)
    with pytest.raises(StoreError, match="exists: give another name"):
        back_up(path, target)
    with pytest.raises(StoreError, match="does not exist"):
        back_up(tmp_path / "nothing", tmp_path / "other.db")
    with pytest.raises(StoreError, match="can't be written"):
        back_up(path, tmp_path / "nowhere" / "other.db")
    (tmp_path / "other.db.partial").write_bytes(b"left by a process that was killed")
    back_up(path, tmp_path / "other.db")
    assert not (tmp_path / "other.db.partial").exists()


async def test_a_full_disk_leaves_neither_half_a_backup_nor_half_a_state(tmp_path: Path) -> None:
    path, target = await _prepared(tmp_path)
    with small_disk(tmp_path / "disk", 1) as disk:
        fill_disk(disk)
        with pytest.raises(StoreError, match=r"no room|can't be written"):
            back_up(path, disk / "backup.db")
        with pytest.raises(StoreError, match=r"no room|can't be written"):
            restore(target, disk / "portrait.db", ())
        assert [each.name for each in disk.iterdir()] == ["filler"]


def test_lists_of_deletions_are_read_as_they_were_written(tmp_path: Path) -> None:
    written = [Tombstone(sha256_of("ann"), NOON), Tombstone(sha256_of("bob"), NOON + MINUTE)]
    with (tmp_path / "list.csv").open("w", encoding="utf-8") as file:
        write_tombstones(written, file)
    assert read_tombstones(tmp_path / "list.csv") == written


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "line 1 is not shopper_sha256,forgotten_at"),
        ("shopper_id,forgotten_at\nann,2026-03-01\n", "line 1 is not"),
        ("shopper_sha256,forgotten_at\nann,2026-03-01T00:00:00Z\n", "line 2: shopper_sha256 is not 64"),
        (f"shopper_sha256,forgotten_at\n\n{'a' * 64},yesterday\n", "line 3: forgotten_at is no time"),
        (f"shopper_sha256,forgotten_at\n{'a' * 64},2026-03-01T00:00:00\n", "line 2: forgotten_at has no time zone"),
        (f"shopper_sha256,forgotten_at\n{'a' * 64}\n", "line 2"),
        ("\ud800", "is no list"),
    ],
)
def test_a_wrong_list_of_deletions_is_told_by_its_line(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "list.csv").write_text(text, encoding="utf-8", errors="surrogatepass")
    with pytest.raises(ValueError, match=told):
        read_tombstones(tmp_path / "list.csv")
