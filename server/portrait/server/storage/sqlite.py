"""A store in one SQLite file: write-ahead log, each transaction on disk before it is answered."""

import asyncio
import secrets
import sqlite3
from collections.abc import AsyncIterator, Collection, Hashable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import aiosqlite

from portrait.features.events import Event
from portrait.server.consents import Consent, Purpose
from portrait.server.moments import microseconds, moment
from portrait.server.profiles.demographics import Demographics
from portrait.server.storage.arrivals import Arrivals
from portrait.server.storage.rows import (
    CONSENT_COLUMNS,
    EVENT_COLUMNS,
    TIME,
    change_of,
    consent_of,
    consent_row,
    event_of,
    event_row,
    item_json,
)
from portrait.server.storage.schema import LOCK_SECONDS, connect, prepare
from portrait.server.storage.store import Forgotten, ItemChange, Recorded, RecordedEvent, StoreError
from portrait.server.storage.tombstones import Tombstone, shopper_sha256

_COLUMN_LIST = ", ".join(EVENT_COLUMNS)
_KNOWN = "SELECT event_id FROM events WHERE event_id IN ({})"
_LAST_ARRIVAL = (
    "SELECT max((SELECT coalesce(max(arrival), 0) FROM events), "
    "coalesce((SELECT arrival FROM tombstones ORDER BY number DESC LIMIT 1), 0))"
)
_RECORD = (
    f"INSERT INTO events (arrival, shopper_id, {_COLUMN_LIST}) "  # noqa: S608 - names of a tuple's fields
    f"VALUES (({_LAST_ARRIVAL}) + 1, ?{', ?' * len(EVENT_COLUMNS)})"
)
_TOMBSTONES = "SELECT shopper_sha256, forgotten_at FROM tombstones ORDER BY number"
_TOMBSTONES_OF = "SELECT shopper_sha256, forgotten_at FROM tombstones WHERE shopper_sha256 IN ({})"
_BURY = f"REPLACE INTO tombstones (shopper_sha256, forgotten_at, arrival) VALUES (?, ?, ({_LAST_ARRIVAL}))"  # noqa: S608
_KNOWN_OF_SHOPPERS = ("events", "consent_records", "consents", "demographics")
_LAST_FORGOTTEN = "SELECT coalesce(max(number), 0) FROM tombstones"
_FORGOTTEN_AFTER = "SELECT shopper_sha256 FROM tombstones WHERE number > ? AND shopper_sha256 IN ({})"
_HISTORY = (
    f"SELECT {_COLUMN_LIST} FROM events "  # noqa: S608 - names of a tuple's fields
    "WHERE shopper_id = ? AND time <= ? ORDER BY time DESC, arrival DESC LIMIT ?"
)
_COUNT_EVENTS = (
    "WITH asked(shopper) AS (VALUES {}) SELECT shopper, (SELECT count(*) FROM "
    "(SELECT 1 FROM events WHERE shopper_id = shopper AND time <= ? LIMIT ?)) FROM asked"
)
_ROWS_AT_A_TIME = 500
"""Of a long history: between two parts of it other calls go on."""
_SHOPPERS = "SELECT DISTINCT shopper_id FROM events WHERE shopper_id > ? ORDER BY shopper_id LIMIT ?"
_SHOPPERS_OF = "SELECT DISTINCT shopper_id FROM events WHERE arrival > ? AND arrival <= ?"
_CONSENT_COLUMN_LIST = ", ".join(CONSENT_COLUMNS)
_KEEP_CONSENT = f"INSERT INTO consent_records (shopper_id, {_CONSENT_COLUMN_LIST}) VALUES (?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
_COUNT_CONSENT = (
    "INSERT INTO consents (shopper_id, purpose, granted, time) VALUES (?, ?, ?, ?) "
    "ON CONFLICT DO UPDATE SET granted = excluded.granted, time = excluded.time "
    "WHERE excluded.time / 1000000 >= time / 1000000"
)
"""In whole seconds, as many clocks tell no less: else a withdrawal could seem earlier than what it withdraws."""
_CONSENTS = "SELECT purpose, granted FROM consents WHERE shopper_id = ?"
_CONSENT_RECORDS = (
    f"SELECT {_CONSENT_COLUMN_LIST} FROM consent_records "  # noqa: S608 - names of a module
    "WHERE shopper_id = ? ORDER BY number DESC LIMIT ?"
)
_WHO_SAID = "SELECT shopper_id FROM consents WHERE purpose = ? AND granted = ? AND shopper_id IN ({})"
_WITHDREW_DEMOGRAPHICS = (
    "EXISTS (SELECT 1 FROM consents WHERE shopper_id = ?1 AND purpose = 'demographics' AND NOT granted)"
)
_ERASE_WITHDRAWN = f"DELETE FROM demographics WHERE shopper_id = ?1 AND {_WITHDREW_DEMOGRAPHICS}"  # noqa: S608
_DECLARE = (
    "REPLACE INTO demographics (shopper_id, age_band, gender, region, declared_at, source) "
    f"SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE NOT {_WITHDREW_DEMOGRAPHICS}"
)
_DEMOGRAPHICS = "SELECT age_band, gender, region, declared_at, source FROM demographics WHERE shopper_id = ?"
_REGIONS = "SELECT shopper_id, region FROM demographics WHERE region <> '' AND shopper_id IN ({})"
_CHANGE = (
    "INSERT INTO item_changes (catalogue, item_id, item, writer, number) "
    "VALUES (?, ?, ?, ?, (SELECT coalesce(max(number), 0) + 1 FROM item_changes)) "
    "ON CONFLICT DO UPDATE SET item = excluded.item, writer = excluded.writer, number = excluded.number"
)
_CHANGES = "SELECT catalogue, item_id, item, number FROM item_changes"
_LAST_CHANGE = "SELECT coalesce(max(number), 0) FROM item_changes"
_CHANGES_OF_OTHERS = f"{_CHANGES} WHERE number > ? AND number <= ? AND writer != ? ORDER BY number"

_SHOPPERS_AT_A_TIME = 5_000
"""Of a long list: between two parts of it others read."""
_CLEARING_MILLISECONDS = 100
_NEVER = -1
"""Before every event's time."""


class SqliteStore:
    """A `Store` in a file of this machine. Open it with `open_store`."""

    def __init__(self, writer: aiosqlite.Connection, reader: aiosqlite.Connection, arrivals: Arrivals) -> None:
        self._writer = writer
        self._reader = reader
        self._arrivals = arrivals
        self._writing = asyncio.Lock()
        self._name = secrets.token_hex(8)
        """Tells this process's changes from those of others."""

    async def record(self, events: Sequence[RecordedEvent]) -> list[Recorded]:
        """Store events; for each what became of it."""
        hashes = {recorded.shopper_id: shopper_sha256(recorded.shopper_id) for recorded in events}
        async with self._transaction() as connection:
            tombstones = await connection.execute_fetchall(_listed(_TOMBSTONES_OF, hashes), [*hashes.values()])
            buried = {hashed: forgotten_at for hashed, forgotten_at in tombstones}
            # Bound one by one: SQLite's JSON functions end a text at its first NUL.
            ids = [recorded.event.event_id for recorded in events]
            known = {event_id for (event_id,) in await connection.execute_fetchall(_listed(_KNOWN, ids), ids)}
            became, rows = [], []
            for recorded in events:
                row = event_row(recorded)
                if recorded.event.event_id in known:
                    became.append(Recorded.KNOWN)
                elif row[TIME] <= buried.get(hashes[recorded.shopper_id], _NEVER):
                    became.append(Recorded.FORGOTTEN)
                else:
                    became.append(Recorded.NEW)
                    rows.append(row)
                    known.add(recorded.event.event_id)
            await connection.executemany(_RECORD, rows)
        return became

    async def forget(self, shopper_id: str, now: datetime) -> Forgotten:
        """Remove all that is known of a shopper."""
        async with self._transaction() as connection:
            # Before the events go: their arrivals are not given again.
            await connection.execute(_BURY, (shopper_sha256(shopper_id), microseconds(now)))
            removed = {}
            for table in _KNOWN_OF_SHOPPERS:
                cursor = await connection.execute(f"DELETE FROM {table} WHERE shopper_id = ?", (shopper_id,))  # noqa: S608
                removed[table] = cursor.rowcount
        await self._clear_log()
        return Forgotten(removed["events"], now)

    async def last_forgotten(self) -> int:
        """The number of the last time that a shopper was forgotten."""
        [[last]] = await self._reader.execute_fetchall(_LAST_FORGOTTEN)
        return int(last)

    async def forgotten(self, after: int, shopper_ids: Sequence[str]) -> set[str]:
        """Those of any number of shoppers who were forgotten after a time."""
        if await self.last_forgotten() <= after:
            return set()
        found: set[str] = set()
        for part in _parts(shopper_ids):
            hashes = {shopper_sha256(shopper_id): shopper_id for shopper_id in part}
            rows = await self._reader.execute_fetchall(_listed(_FORGOTTEN_AFTER, hashes), (after, *hashes))
            found.update(hashes[each] for (each,) in rows)
        return found

    async def tombstones(self) -> list[Tombstone]:
        """All shoppers who were forgotten."""
        rows = await self._reader.execute_fetchall(_TOMBSTONES)
        return [Tombstone(hashed, moment(forgotten_at)) for hashed, forgotten_at in rows]

    async def history(self, shopper_id: str, as_of: datetime, limit: int) -> list[Event]:
        """The latest events of a shopper up to a moment, oldest first."""
        rows = list(await self._reader.execute_fetchall(_HISTORY, (shopper_id, microseconds(as_of), limit)))
        rows.reverse()
        events: list[Event] = []
        for begin in range(0, len(rows), _ROWS_AT_A_TIME):
            if begin:
                await asyncio.sleep(0)
            events += map(event_of, rows[begin : begin + _ROWS_AT_A_TIME])
        return events

    async def count_events(self, shopper_ids: Sequence[str], as_of: datetime, limit: int) -> dict[str, int]:
        """How many events `history` would give of each of some shoppers."""
        if not shopper_ids:
            return {}
        query = _COUNT_EVENTS.format(", ".join(["(?)"] * len(shopper_ids)))
        rows = await self._reader.execute_fetchall(query, (*shopper_ids, microseconds(as_of), limit))
        return {shopper_id: count for shopper_id, count in rows}

    def version(self, shopper_id: str) -> Hashable:
        """Another value after everything that is recorded of the shopper."""
        return self._arrivals.version(shopper_id)

    async def shoppers(self, after: str, limit: int) -> list[str]:
        """The next shoppers in the order of their ids."""
        return [shopper_id for (shopper_id,) in await self._reader.execute_fetchall(_SHOPPERS, (after, limit))]

    async def shoppers_of(self, after: int, last: int) -> list[str]:
        """The shoppers of some events."""
        return [shopper_id for (shopper_id,) in await self._reader.execute_fetchall(_SHOPPERS_OF, (after, last))]

    async def last_arrival(self) -> int:
        """The number of the last event of all to arrive."""
        [[last]] = await self._reader.execute_fetchall(_LAST_ARRIVAL)
        return int(last)

    async def record_consents(self, shopper_id: str, consents: Sequence[Consent]) -> None:
        """Keep what a shopper said beside all that they said before."""
        rows = [(shopper_id, *consent_row(consent)) for consent in consents]
        async with self._transaction() as connection:
            await connection.executemany(_KEEP_CONSENT, rows)
            await connection.executemany(_COUNT_CONSENT, [row[:4] for row in rows])
            await connection.execute(_ERASE_WITHDRAWN, (shopper_id,))

    async def consents(self, shopper_id: str) -> dict[Purpose, bool]:
        """Whether a shopper granted each purpose."""
        rows = await self._reader.execute_fetchall(_CONSENTS, (shopper_id,))
        return {Purpose(purpose): bool(granted) for purpose, granted in rows}

    async def consent_records(self, shopper_id: str, limit: int) -> list[Consent]:
        """The last of all that a shopper said, in the order of its arrival."""
        rows = await self._reader.execute_fetchall(_CONSENT_RECORDS, (shopper_id, limit))
        return [consent_of(row) for row in reversed(list(rows))]

    async def who_said(self, purpose: Purpose, granted: bool, shopper_ids: Sequence[str]) -> set[str]:
        """Those of any number of shoppers who granted or withdrew a purpose."""
        parts = self._of_many(_WHO_SAID, (purpose, granted), shopper_ids)
        return {shopper_id async for part in parts for (shopper_id,) in part}

    async def declare(self, shopper_id: str, demographics: Demographics) -> bool:
        """Keep what a shopper declares, in place of what they declared before."""
        declared_at = microseconds(demographics.declared_at)
        bands = (demographics.age_band, demographics.gender, demographics.region)
        async with self._transaction() as connection:
            done = await connection.execute(_DECLARE, (shopper_id, *bands, declared_at, demographics.source))
            return done.rowcount > 0

    async def demographics(self, shopper_id: str) -> Demographics | None:
        """What a shopper declared."""
        for age_band, gender, region, declared_at, source in await self._reader.execute_fetchall(
            _DEMOGRAPHICS, (shopper_id,)
        ):
            return Demographics(age_band, gender, region, moment(declared_at), source)
        return None

    async def regions(self, shopper_ids: Sequence[str]) -> dict[str, str]:
        """The regions that any number of shoppers declared."""
        return {
            shopper_id: region async for part in self._of_many(_REGIONS, (), shopper_ids) for shopper_id, region in part
        }

    async def change_items(self, changes: Sequence[ItemChange]) -> None:
        """Remember items that were added, replaced or removed."""
        # Megabytes of items, perhaps: in a thread, others are answered meanwhile.
        rows = await asyncio.to_thread(_change_rows, changes, self._name)
        async with self._transaction() as connection:
            await connection.executemany(_CHANGE, rows)

    async def item_changes(self) -> AsyncIterator[ItemChange]:
        """The last change of every item that was ever changed."""
        async with self._reader.execute(_CHANGES) as cursor:
            async for row in cursor:
                yield change_of(row)

    async def last_item_change(self) -> int:
        """The number of the last change of all; 0 if there was none."""
        [[last]] = await self._reader.execute_fetchall(_LAST_CHANGE)
        return int(last)

    async def item_changes_of_others(self, after: int) -> tuple[int, list[ItemChange]]:
        """The last change of every item that another process changed last."""
        last = await self.last_item_change()
        if last <= after:
            return after, []
        rows = await self._reader.execute_fetchall(_CHANGES_OF_OTHERS, (after, last, self._name))
        return last, [change_of(row) for row in rows]

    async def close(self) -> None:
        """Wait for the transaction that is being written, then close the file."""
        async with self._writing:
            await self._writer.close()
        await self._reader.close()
        self._arrivals.close()

    async def _clear_log(self) -> None:
        """Let the write-ahead log begin anew: what was deleted is overwritten in the file, but still stands there.

        Where somebody reads the log for long, such as a backup, it is overwritten later, when it has grown to its usual
        size: others who write do not wait for that.
        """
        async with self._writing:
            await self._writer.execute(f"PRAGMA busy_timeout = {_CLEARING_MILLISECONDS}")
            try:
                await self._writer.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
            finally:
                await self._writer.execute(f"PRAGMA busy_timeout = {round(1000 * LOCK_SECONDS)}")

    async def _of_many(
        self, query: str, before: tuple[Any, ...], shopper_ids: Sequence[str]
    ) -> AsyncIterator[Iterable[Any]]:
        """Rows of a query with a list of shoppers, whose number it does not limit, in parts."""
        for part in _parts(shopper_ids):
            yield await self._reader.execute_fetchall(_listed(query, part), (*before, *part))

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[aiosqlite.Connection]:
        async with self._writing:
            try:
                await self._writer.execute("BEGIN IMMEDIATE")
                yield self._writer
                await self._writer.commit()
            except BaseException:
                # A cancelled caller too: its statements may still stand in the connection's queue.
                await self._writer.rollback()
                raise


async def open_store(path: Path) -> SqliteStore:
    """Open the store of a file, or begin it.

    Raises:
        StoreError: the file is no store, or one that a later version of Portrait wrote.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        writer = await connect(path)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"{path} can't be opened: {error}") from error
    try:
        await prepare(writer, path)
        return SqliteStore(writer, await connect(path), Arrivals(path, LOCK_SECONDS))
    except sqlite3.Error as error:
        await writer.close()
        raise StoreError(f"{path} is no state file of Portrait: {error}") from error
    except StoreError:
        await writer.close()
        raise


def _change_rows(changes: Sequence[ItemChange], writer: str) -> list[tuple[str, str, str | None, str]]:
    return [(change.catalogue, change.item_id, item_json(change.item), writer) for change in changes]


def _listed(query: str, values: Collection[object]) -> str:
    """A query with a place for each of some values in its list."""
    return query.format(", ".join("?" * len(values)))


def _parts(shopper_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for first in range(0, len(shopper_ids), _SHOPPERS_AT_A_TIME):
        yield shopper_ids[first : first + _SHOPPERS_AT_A_TIME]
