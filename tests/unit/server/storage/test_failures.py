"""The state file is locked, its disk is full, it is read-only or damaged: callers are told what is wrong."""

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from support.small_disk import fill_disk, free_disk, small_disk

from portrait.features.events import Event, EventType, Item
from portrait.server.consent.consents import Consent, Purpose
from portrait.server.demographics import Demographics
from portrait.server.errors import PortraitError
from portrait.server.rpc.contract.statuses import status_from_error
from portrait.server.storage.sqlite import SqliteStore, open_store
from portrait.server.storage.store import ItemChange, Recorded, RecordedEvent, StoreError

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
EVER = NOON + timedelta(days=99)


def events(shopper_id: str, first: int, count: int) -> list[RecordedEvent]:
    return [
        RecordedEvent(
            shopper_id,
            Event(
                f"{shopper_id}-{number}",
                EventType.VIEW,
                NOON + timedelta(seconds=number),
                f"item-of-{shopper_id}",
                query=f"query-of-{shopper_id} {'x' * 200}",
            ),
        )
        for number in range(first, first + count)
    ]


def outcome(error: BaseException | None) -> tuple[str, bool]:
    """The status that callers get, and whether they are told when to come back."""
    assert isinstance(error, PortraitError), repr(error)
    status = status_from_error(error, "an-id")
    return status.code.name, (status.retry_after or 0) > 0


async def failed(store: SqliteStore) -> set[tuple[str, bool]]:
    """Failures of each kind of write."""
    consent = Consent(Purpose.RISK, True, NOON, NOON)
    writes = (
        store.record(events("eve", 0, 500)),
        store.record_consents("eve", [consent] * 500),
        store.set_demographics("eve", Demographics("25-34", "x" * 4000, "", NOON)),
        store.change_items([ItemChange("ads", str(number), Item(str(number), "x" * 400)) for number in range(200)]),
    )
    return {outcome(error) for error in await asyncio.gather(*writes, return_exceptions=True)}  # type: ignore[arg-type]


def failures(logged: list[dict[str, object]]) -> set[object]:
    return {line["sqlite_errorname"] for line in logged if line["event"] == "storage_failure"}


@contextmanager
def locked(path: Path, how: str = "IMMEDIATE") -> Iterator[None]:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE" if how == "EXCLUSIVE" else "PRAGMA user_version")
    other.execute(f"BEGIN {how}")
    try:
        yield
    finally:
        other.close()


async def test_a_locked_file_is_told_to_be_locked_and_who_waits_shorter_is_written_later_by_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portrait.server.storage.writer.LOCK_SECONDS", 0.3)
    store = await open_store(tmp_path / "portrait.db")
    assert await store.record(events("ann", 0, 3)) == [Recorded.NEW] * 3
    with capture_logs() as logged, locked(tmp_path / "portrait.db"):
        hasty = asyncio.create_task(store.record(events("hasty", 0, 1)))
        await asyncio.sleep(0.05)
        hasty.cancel()
        assert await failed(store) == {("UNAVAILABLE", True)}
        assert len(await store.history("ann", EVER, 10)) == 3  # who reads goes on
    assert failures(logged) == {"SQLITE_BUSY"}
    assert len([line for line in logged if line["event"] == "storage_failure"]) == 1
    assert await store.record(events("ann", 3, 1)) == [Recorded.NEW]
    assert await store.history("hasty", EVER, 10) == []
    await store.close()


async def test_a_file_that_nobody_else_may_read_is_told_to_be_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("reader", "sqlite"):
        monkeypatch.setattr(f"portrait.server.storage.{module}.LOCK_SECONDS", 0.3)
    path = tmp_path / "portrait.db"
    store = await open_store(path)
    await store.close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreError, match=r"is locked by another process .SQLITE_BUSY"):
        await open_store(path)
    other.close()
    await (await open_store(path)).close()


async def test_on_a_full_disk_nothing_is_stored_readers_go_on_and_room_mends_it(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 12) as disk:
        store = await open_store(disk / "portrait.db")
        assert await store.record(events("ann", 0, 300)) == [Recorded.NEW] * 300
        versions = await store.versions(["ann"])
        fill_disk(disk)
        with capture_logs() as logged:
            for _ in range(3):
                assert await failed(store) == {("RESOURCE_EXHAUSTED", True)}
        assert failures(logged) == {"SQLITE_FULL"}
        assert len(await store.history("ann", EVER, 999)) == 300
        assert await store.history("eve", EVER, 999) == []
        assert (await store.consents("eve")).by_purpose == {}
        assert await store.versions(["ann"]) == versions
        free_disk(disk)
        assert await store.record(events("eve", 0, 500)) == [Recorded.NEW] * 500
        await store.close()


async def test_a_disk_that_became_read_only_is_told_as_that_and_is_read(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 12) as disk:
        store = await open_store(disk / "portrait.db")
        await store.record(events("ann", 0, 3))
        await store.close()
        connection = sqlite3.connect(disk / "portrait.db")
        connection.close()
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        with pytest.raises(StoreError, match=r"can't be (opened|written)") as raised:
            await open_store(disk / "portrait.db")
        assert "full" not in str(raised.value)
        assert "no state file" not in str(raised.value)
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)


async def test_a_file_that_this_process_may_only_read(tmp_path: Path) -> None:
    store = await open_store(tmp_path / "portrait.db")
    await store.record(events("ann", 0, 3))
    await store._writer.run_alone(lambda connection: connection.execute("PRAGMA query_only = ON"))
    assert await failed(store) == {("UNAVAILABLE", True)}
    assert len(await store.history("ann", EVER, 9)) == 3
    await store.close()


async def test_a_neighbour_who_fails_fails_nobody_else(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 12) as disk:
        store = await open_store(disk / "portrait.db")
        long = [store.record(events(f"s{number}", 0, 2_000)) for number in range(20)]  # more than there is room for
        outcomes = await asyncio.gather(*long, return_exceptions=True)
        stored = [number for number, each in enumerate(outcomes) if each == [Recorded.NEW] * 2_000]
        assert 0 < len(stored) < 20
        for number, each in enumerate(outcomes):
            if number not in stored:
                assert outcome(each) == ("RESOURCE_EXHAUSTED", True)  # type: ignore[arg-type]
            assert len(await store.history(f"s{number}", EVER, 9_999)) == (2_000 if number in stored else 0)
        await store.close()


@pytest.mark.parametrize("count", [3, 4_000])
async def test_a_shopper_is_forgotten_on_a_full_disk(tmp_path: Path, count: int) -> None:
    with small_disk(tmp_path / "disk", 20) as disk:
        store = await open_store(disk / "portrait.db")
        for first in range(0, count, 500):
            await store.record(
                [each for shopper in ("ann", "bob") for each in events(shopper, first, min(500, count - first))]
            )
        await store.record_consents("ann", [Consent(Purpose.RISK, True, NOON, NOON, "notice-of-ann")])
        fill_disk(disk)
        assert await failed(store) == {("RESOURCE_EXHAUSTED", True)}
        assert (await store.forget("ann", EVER)).events == count
        assert await store.history("ann", EVER, 9_999) == []
        assert await store.consent_records("ann", 9) == []
        assert len(await store.history("bob", EVER, 9_999)) == count
        free_disk(disk)
        await store.forget("nobody", EVER)  # what there was no room for is done now
        held = b"".join(file.read_bytes() for file in disk.iterdir())
        for word in (b"ann-1", b"query-of-ann", b"notice-of-ann"):
            assert word not in held
        assert await store.record(events("ann", 0, 2)) == [Recorded.FORGOTTEN] * 2
        await store.close()


async def test_the_room_for_forgetting_is_kept_again(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 20) as disk:
        store = await open_store(disk / "portrait.db")
        reserve = disk / "portrait.db-reserve"
        assert reserve.stat().st_blocks * 512 >= 1 << 20
        await store.record(events("ann", 0, 900))
        fill_disk(disk)
        await store.forget("ann", EVER)
        free_disk(disk)
        await store.forget("bob", EVER)
        assert reserve.stat().st_blocks * 512 >= 1 << 20
        await store.close()


def _start(path: Path) -> str:
    with pytest.raises(StoreError) as raised:
        asyncio.run(open_store(path))
    return str(raised.value)


def test_a_start_says_what_is_wrong_with_the_file(tmp_path: Path) -> None:
    text, other, folder, cut = (tmp_path / name for name in ("text", "other", "folder", "cut"))
    text.write_text("event_id,shopper_id\n" * 100, encoding="utf-8")
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE of_somebody_else (x)")
    connection.close()
    folder.mkdir()
    asyncio.run(_store_with_events(cut))
    with cut.open("r+b") as file:
        file.seek(100)
        file.write(os.urandom(3_900))
    assert "is no state file of Portrait: it is no SQLite file" in _start(text)
    assert "is no state file of Portrait: it is a SQLite file of something else" in _start(other)
    assert "can't be opened" in _start(folder)
    assert "is damaged (SQLITE_CORRUPT" in _start(cut)
    with sqlite3.connect(other) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("of_somebody_else",)]


async def test_a_start_on_a_folder_or_a_read_only_disk_says_so(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="it is a folder"):
        await open_store(tmp_path)
    with small_disk(tmp_path / "disk", 4) as disk:
        await (await open_store(disk / "portrait.db")).close()
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        with pytest.raises(StoreError, match="read-only"):
            await open_store(disk / "portrait.db")


async def test_a_start_on_a_full_disk_says_so(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 4) as disk:
        fill_disk(disk)
        with pytest.raises(StoreError, match=r"its disk is full .SQLITE_"):
            await open_store(disk / "portrait.db")


async def test_a_file_that_became_full_can_be_opened_and_read(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 12) as disk:
        store = await open_store(disk / "portrait.db")
        await store.record(events("ann", 0, 3))
        fill_disk(disk)
        other = await open_store(disk / "portrait.db")
        assert len(await other.history("ann", EVER, 9)) == 3
        await other.close()
        await store.close()


async def _store_with_events(path: Path) -> None:
    store = await open_store(path)
    for shopper in range(20):
        await store.record(events(f"s{shopper}", 0, 100))
    await store.close()


def _damage(path: Path) -> None:
    """Overwrite most pages, not the first few, which hold the schema, nor the last, which every start reads."""
    with path.open("r+b") as file:
        size = path.stat().st_size
        for page in range(30, size * 8 // 10 // 4096):
            file.seek(page * 4096)
            file.write(os.urandom(4096))


async def test_damage_is_told_and_ends_all_writing(tmp_path: Path) -> None:
    path = tmp_path / "portrait.db"
    await _store_with_events(path)
    _damage(path)
    store = await open_store(path)
    assert store.fault is None
    with pytest.raises(StoreError, match="damaged"):
        await store.check()
    with capture_logs() as logged:
        outcomes = [
            outcome(error)
            for error in await asyncio.gather(
                *(store.history(f"s{shopper}", EVER, 100) for shopper in range(20)), return_exceptions=True
            )
            if isinstance(error, BaseException)
        ]
        assert set(outcomes) == {("DATA_LOSS", False)}
        assert store.fault is not None
        assert await failed(store) == {("DATA_LOSS", False)}
    assert all(str(name).startswith("SQLITE_CORRUPT") for name in failures(logged))
    assert failures(logged)
    await store.close()


async def test_a_sound_file_is_sound(tmp_path: Path) -> None:
    await _store_with_events(tmp_path / "portrait.db")
    store = await open_store(tmp_path / "portrait.db")
    await store.check()
    assert store.fault is None
    await store.close()


_WRITER = """
import asyncio, sys
sys.path[:0] = sys.argv[2:]
from pathlib import Path
from test_failures import events
from portrait.server.storage.sqlite import open_store

async def caller(store, name):
    for number in range(100_000):
        await store.record(events(name, number, 1))
        print(f"{name}-{number}", flush=True)

async def main():
    store = await open_store(Path(sys.argv[1]))
    await asyncio.gather(*(caller(store, f"caller{number}") for number in range(32)))

asyncio.run(main())
"""


async def test_a_killed_writer_has_kept_all_that_it_acknowledged(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-c",
        _WRITER,
        str(tmp_path / "portrait.db"),
        *(str(Path(__file__).parents[up]) for up in (0, 3)),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8") as process:
        assert process.stdout is not None
        acknowledged = [process.stdout.readline().strip() for _ in range(500)]
        process.kill()
        acknowledged += [line.strip() for line in process.stdout if line.endswith("\n")]
    store = await open_store(tmp_path / "portrait.db")
    stored = {event.event_id for number in range(32) for event in await store.history(f"caller{number}", EVER, 100_000)}
    await store.close()
    assert len(acknowledged) >= 500
    assert set(acknowledged) <= stored
