"""A store in one SQLite file: write-ahead log, each transaction on disk before it is answered."""

import asyncio
import contextlib
import secrets
import sqlite3
from collections.abc import AsyncIterator, Callable, Hashable, Iterable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import structlog

from portrait.features.events import Event
from portrait.features.logs.shopper_hashes import PLAIN, ShopperHasher
from portrait.server.consent.consents import Consent, Decisions, Purpose
from portrait.server.demographics import Demographics
from portrait.server.errors import DiskFull, PortraitError
from portrait.server.identities import Identity, Link, LinkOutcome
from portrait.server.reviews.review import SHARED, Review, ReviewTarget
from portrait.server.reviews.review_set import Reviews
from portrait.server.storage import deletion, expiry, links, reviews
from portrait.server.storage.consent_writes import declare, record_consents
from portrait.server.storage.disk_reserve import DiskReserve
from portrait.server.storage.event_reads import EventReads
from portrait.server.storage.event_writes import LAST_ARRIVAL, event_rows, record
from portrait.server.storage.failures import FailureTranslator, describe_error, require_sound
from portrait.server.storage.households import FileHouseholds
from portrait.server.storage.private_files import make_private_file, tighten_files
from portrait.server.storage.queries import expand_placeholders, split_ids
from portrait.server.storage.reader import Reader
from portrait.server.storage.retention import KEEP_ALL, Retention, record_kept
from portrait.server.storage.rows import CONSENT_COLUMNS, change_of, consent_of, item_json
from portrait.server.storage.schema import connect, prepare
from portrait.server.storage.shopper_versions import ShopperVersions
from portrait.server.storage.store import (
    EventPosition,
    EventSelection,
    Forgotten,
    ItemChange,
    Recorded,
    RecordedEvent,
    StoreError,
)
from portrait.server.storage.tombstone_keys import read_tombstone_keys
from portrait.server.storage.tombstones import Tombstone, UnknownKeys, require_keys
from portrait.server.storage.writer import LOCK_POLL_SECONDS, LOCK_SECONDS, Writer
from portrait.server.timestamps import from_microseconds

_IDENTITY = "SELECT identity FROM state"
_TOMBSTONES = "SELECT shopper_sha256, forgotten_at FROM tombstones ORDER BY number"
_LAST_FORGOTTEN = "SELECT coalesce(max(number), 0) FROM tombstones"
_FORGOTTEN_AFTER = "SELECT shopper_sha256 FROM tombstones WHERE number > ? AND shopper_sha256 IN ({})"
_SHOPPERS = (
    "SELECT shopper_id FROM events WHERE shopper_id > ?1 UNION SELECT login_id FROM links WHERE login_id > ?1 "
    "ORDER BY shopper_id LIMIT ?2"
)
_SHOPPERS_OF = (
    "SELECT shopper_id FROM events WHERE arrival > ?1 AND arrival <= ?2 "
    "UNION SELECT shopper_id FROM identity_changes WHERE arrival > ?1 AND arrival <= ?2"
)
_CONSENT_RECORDS = (
    f"SELECT {', '.join(CONSENT_COLUMNS)} FROM consent_records "  # noqa: S608 - names of a module
    "WHERE shopper_id = ? ORDER BY number DESC LIMIT ?"
)
_WHO_SAID = "SELECT shopper_id FROM consents WHERE purpose = ? AND granted = ? AND shopper_id IN ({})"
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

_MAX_VACUUM_STEPS = 64
"""Maximum vacuum steps of one call; the next call continues."""

_log = structlog.get_logger(__name__)

R = TypeVar("R")


class SqliteStore:
    """A `Store` in a file of this machine. Open it with `open_store`."""

    def __init__(
        self,
        path: Path,
        writing: sqlite3.Connection,
        reading: Reader,
        arrivals: ShopperVersions,
        failures: FailureTranslator,
        retention: Retention,
        hasher: ShopperHasher,
    ) -> None:
        [[self._identity]] = writing.execute(_IDENTITY).fetchall()
        self._path = path
        self._failures = failures
        self._reserve = DiskReserve(path)
        self._writer = Writer(writing, failures)
        self._reader = reading
        self._retention, self._hasher = retention, hasher
        self._events, self._links = EventReads(reading, retention), links.LinkReads(reading)
        self._versions = arrivals
        self._reviews = reviews.ReviewReads(reading, arrivals)
        self._households = FileHouseholds(reading, self._write, hasher)
        self._name = secrets.token_hex(8)
        """Tells this process's changes from those of others."""

    @property
    def identity(self) -> str:
        """Tells this state from all others."""
        return str(self._identity)

    @property
    def fault(self) -> str | None:
        """SQLite's name of the damage that was met in the file; None as long as none was."""
        return self._failures.fault

    @property
    def households(self) -> FileHouseholds:
        """The households and their members."""
        return self._households

    async def check(self) -> None:
        """Read the whole file for damage."""
        try:
            await self._reader.run(partial(require_sound, path=self._path))
        except PortraitError as error:
            raise StoreError(f"{self._path}: {error}") from error

    async def record(self, events: Sequence[RecordedEvent]) -> list[Recorded]:
        """Store events; for each what became of it."""
        return await record_kept(self._retention, events, self._record)

    async def _record(self, events: Sequence[RecordedEvent]) -> list[Recorded]:
        return await self._writer.write(record, event_rows(events, self._hasher), rows=len(events)) if events else []

    async def delete_expired(self) -> int:
        """Delete the events whose retention is over; others write in between."""
        if self._retention.keeps_all:
            return 0
        deleted, cutoffs, step = 0, self._retention.cutoffs(), expiry.EVENTS_AT_A_TIME
        while step == expiry.EVENTS_AT_A_TIME:
            step = await self._write(expiry.delete_some, cutoffs, rows=expiry.EVENTS_AT_A_TIME)
            deleted += step
        if deleted:
            await self._return_space(rewrite=False)
        return deleted

    async def forget(self, shopper_id: str, now: datetime) -> Forgotten:
        """Remove all that is known of a shopper, under all linked ids."""
        try:
            forgotten = await self._write(deletion.forget_shopper, shopper_id, now, self._hasher)
        except DiskFull:
            _log.warning("deletion_on_full_disk")
            in_steps = partial(
                deletion.forget_on_full_disk,
                reserve=self._reserve,
                shopper_id=shopper_id,
                now=now,
                hasher=self._hasher,
            )
            forgotten = await self._writer.run_alone(in_steps)
        await self._return_space(rewrite=True)
        return forgotten

    async def last_forgotten(self) -> int:
        """The number of the last time that a shopper was forgotten."""
        [[last]] = await self._reader.fetch_rows(_LAST_FORGOTTEN)
        return int(last)

    async def forgotten_since(self, after: int, shopper_ids: Sequence[str]) -> set[str]:
        """Those of any number of shoppers who were forgotten after a time."""
        if await self.last_forgotten() <= after:
            return set()
        found: set[str] = set()
        for part in split_ids(shopper_ids):
            hashes = {each: shopper_id for shopper_id in part for each in self._hasher.list_hashes(shopper_id)}
            query, values = expand_placeholders(_FORGOTTEN_AFTER, [*hashes])
            rows = await self._reader.fetch_rows(query, (after, *values))
            found.update(hashes[each] for (each,) in rows)
        return found

    async def tombstones(self) -> list[Tombstone]:
        """All shoppers who were forgotten."""
        rows = await self._reader.fetch_rows(_TOMBSTONES)
        return [Tombstone(hashed, from_microseconds(forgotten_at)) for hashed, forgotten_at in rows]

    async def history(self, shopper_id: str, as_of: datetime, limit: int) -> list[Event]:
        """The latest events of a shopper up to a moment, oldest first."""
        return await self._events.history(shopper_id, as_of, limit)

    async def list_events(
        self, shopper_id: str, after: EventPosition | None, limit: int
    ) -> list[tuple[EventPosition, Event]]:
        """The next events of a shopper, oldest first."""
        return await self._events.list_events(shopper_id, after, limit)

    async def latest_events(
        self, shopper_id: str, selection: EventSelection, before: EventPosition, limit: int
    ) -> list[tuple[EventPosition, Event]]:
        """The last events of a selection before a position, newest first."""
        return await self._events.latest_events(shopper_id, selection, before, limit)

    async def count_events(self, shopper_ids: Sequence[str], as_of: datetime, limit: int) -> dict[str, int]:
        """Count the events that `history` would return for each shopper."""
        return await self._events.count_events(shopper_ids, as_of, limit)

    async def versions(self, shopper_ids: Sequence[str]) -> Hashable:
        """Another value after everything that is recorded of one of the shoppers."""
        return tuple(map(self._versions.version, (*shopper_ids, SHARED)))

    async def shoppers(self, after: str, limit: int) -> list[str]:
        """The next shoppers in the order of their ids."""
        return [shopper_id for (shopper_id,) in await self._reader.fetch_rows(_SHOPPERS, (after, limit))]

    async def shoppers_with_arrivals(self, after: int, last: int) -> list[str]:
        """The shoppers of some events."""
        return [shopper_id for (shopper_id,) in await self._reader.fetch_rows(_SHOPPERS_OF, (after, last))]

    async def last_arrival(self) -> int:
        """The number of the last event of all to arrive."""
        [[last]] = await self._reader.fetch_rows(LAST_ARRIVAL)
        return int(last)

    async def record_consents(self, shopper_id: str, consents: Sequence[Consent]) -> None:
        """Keep what a shopper said beside all that they said before."""
        await self._write(record_consents, shopper_id, consents)

    async def link(self, login_id: str, link: Link) -> LinkOutcome:
        """Link an anonymous id to a login."""
        return await self._write(links.link, login_id, link, self._hasher)

    async def unlink(self, login_id: str, anonymous_id: str) -> None:
        """Remove the link of an anonymous id to a login."""
        await self._write(links.unlink, login_id, anonymous_id)

    async def identities(self, shopper_ids: Sequence[str]) -> dict[str, Identity]:
        """The identities of those of any number of shoppers who have links."""
        return await self._links.identities(shopper_ids)

    async def relinked_since(self, after: int, shopper_ids: Sequence[str]) -> set[str]:
        """Those of any number of shoppers of whom a link was made or undone after a time."""
        return await self._links.relinked_since(after, shopper_ids)

    async def consents(self, shopper_id: str) -> Decisions:
        """Return all ids of a shopper, and the strictest decision on each purpose."""
        return await self._links.consents(shopper_id)

    async def consent_records(self, shopper_id: str, limit: int) -> list[Consent]:
        """The last of all that a shopper said, in the order of its arrival."""
        rows = await self._reader.fetch_rows(_CONSENT_RECORDS, (shopper_id, limit))
        return [consent_of(row) for row in reversed(rows)]

    async def shoppers_with_decision(self, purpose: Purpose, granted: bool, shopper_ids: Sequence[str]) -> set[str]:
        """Those of any number of shoppers who granted or withdrew a purpose."""
        parts = self._of_many(_WHO_SAID, (purpose, granted), shopper_ids)
        return {shopper_id async for part in parts for (shopper_id,) in part}

    async def set_demographics(self, shopper_id: str, demographics: Demographics) -> bool:
        """Keep what a shopper declares, in place of what they declared before."""
        return await self._write(declare, shopper_id, demographics)

    async def demographics(self, shopper_id: str) -> Demographics | None:
        """Return the demographics that a shopper declared."""
        for age_band, gender, region, declared_at, source in await self._reader.fetch_few_rows(
            _DEMOGRAPHICS, (shopper_id,)
        ):
            return Demographics(age_band, gender, region, from_microseconds(declared_at), source)
        return None

    async def regions(self, shopper_ids: Sequence[str]) -> dict[str, str]:
        """The regions that any number of shoppers declared."""
        return {
            shopper_id: region async for part in self._of_many(_REGIONS, (), shopper_ids) for shopper_id, region in part
        }

    async def set_review(self, review: Review) -> bool:
        """Keep a review in place of that of the same target."""
        return await self._write(reviews.set_review, review)

    async def remove_review(self, target: ReviewTarget) -> bool:
        """Remove the review of a target."""
        return await self._write(reviews.remove_review, target)

    async def reviews(self, shopper_id: str) -> list[Review]:
        """All reviews for one id, or those for segments and for all."""
        return await self._reviews.reviews(shopper_id)

    async def reviewed_shoppers(self, after: str, limit: int) -> list[str]:
        """The next ids with reviews."""
        return await self._reviews.reviewed_shoppers(after, limit)

    async def applied_reviews(self, shopper_ids: Sequence[str]) -> Reviews:
        """The reviews for all ids of a shopper, and the shared ones."""
        return await self._reviews.applied_reviews(shopper_ids)

    async def change_items(self, changes: Sequence[ItemChange], *, since: float | None = None) -> None:
        """Remember items that were added, replaced or removed."""
        # Megabytes of items, perhaps: in a thread, others are answered meanwhile.
        rows = await asyncio.to_thread(_change_rows, changes, self._name)
        await self._write(lambda connection: connection.executemany(_CHANGE, rows), rows=len(rows), since=since)

    async def item_changes(self) -> AsyncIterator[ItemChange]:
        """The last change of every item that was ever changed."""
        async for row in self._reader.stream_rows(_CHANGES):
            yield change_of(row)

    async def last_item_change(self) -> int:
        """The number of the last change of all; 0 if there was none."""
        [[last]] = await self._reader.fetch_rows(_LAST_CHANGE)
        return int(last)

    async def remote_item_changes(self, after: int) -> tuple[int, list[ItemChange]]:
        """The last change of every item that another process changed last."""
        last = await self.last_item_change()
        if last <= after:
            return after, []
        rows = await self._reader.fetch_rows(_CHANGES_OF_OTHERS, (after, last, self._name))
        return last, [change_of(row) for row in rows]

    async def close(self) -> None:
        """Wait for what is being written, then close the file."""
        await self._writer.close()
        await self._reader.close()
        self._versions.close()

    async def _write(self, work: Callable[..., R], *values: object, rows: int = 1, since: float | None = None) -> R:
        """Do something of its own in a transaction."""

        def each(connection: sqlite3.Connection, _: Sequence[None]) -> list[R]:
            return [work(connection, *values)]

        return await self._writer.write(each, None, rows=rows, since=since)

    async def _return_space(self, *, rewrite: bool) -> None:
        """Give freed pages back to the disk, clear the log, keep room for the next time; others write in between.

        What fails here the next call makes good.

        Args:
            rewrite: whether a small file is written anew.
        """
        with contextlib.suppress(PortraitError):
            if not (rewrite and await self._writer.run_alone(deletion.rewrite_file)):
                for _ in range(_MAX_VACUUM_STEPS):
                    if not await self._writer.run_alone(deletion.return_pages):
                        break
        with contextlib.suppress(PortraitError):
            await self._writer.run_alone(deletion.truncate_log)
        await asyncio.to_thread(self._reserve.fill)

    async def _of_many(
        self, query: str, before: tuple[Any, ...], shopper_ids: Sequence[str]
    ) -> AsyncIterator[Iterable[Any]]:
        """Rows of a query with a list of shoppers, whose number it does not limit, in parts."""
        for part in split_ids(shopper_ids):
            statement, values = expand_placeholders(query, part)
            yield await self._reader.fetch_rows(statement, (*before, *values))


async def open_store(path: Path, retention: Retention = KEEP_ALL, hasher: ShopperHasher = PLAIN) -> SqliteStore:
    """Open the store of a file, or begin it.

    Args:
        path: the file.
        retention: how long events are kept.
        hasher: hashes the ids of forgotten shoppers.

    Raises:
        StoreError: the file can't be used: it is locked, damaged, no store, or one that a later version of Portrait
            wrote; its disk is full; or the hasher lacks a key by which it knows forgotten shoppers.
    """
    failures = FailureTranslator(path)
    connections = await asyncio.to_thread(_open, path, retention, hasher)
    writing, reading, inline, watching = connections
    try:
        reader, versions = Reader(reading, inline, failures), ShopperVersions(watching, failures)
        return SqliteStore(path, writing, reader, versions, failures, retention, hasher)
    except sqlite3.Error as error:
        for connection in connections:
            connection.close()
        raise StoreError(describe_error(error, path)) from error


def _open(path: Path, retention: Retention, hasher: ShopperHasher) -> list[sqlite3.Connection]:
    """Connections for writing, reading in a thread, reading on the event loop, and watching."""
    with contextlib.ExitStack() as opened:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            make_private_file(path)
            connections = [opened.enter_context(contextlib.closing(connect(path, LOCK_SECONDS))) for _ in range(4)]
            prepare(connections[0], path)
            require_keys(read_tombstone_keys(connections[0]), hasher, str(path))
            if not retention.keeps_all:
                expiry.create_index(connections[0])
            tighten_files(path)  # not before it is known to be ours
            for connection in connections:
                connection.execute(f"PRAGMA busy_timeout = {round(1000 * LOCK_POLL_SECONDS)}")
            DiskReserve(path).fill()
        except UnknownKeys as error:
            raise StoreError(str(error)) from error
        except OSError as error:
            raise StoreError(f"{path} can't be opened: {error.strerror}") from error
        except sqlite3.Error as error:
            raise StoreError(describe_error(error, path)) from error
        opened.pop_all()
    return connections


def _change_rows(changes: Sequence[ItemChange], writer: str) -> list[tuple[str, str, str | None, str]]:
    return [(change.catalogue, change.item_id, item_json(change.item), writer) for change in changes]
