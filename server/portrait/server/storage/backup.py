"""Backups of the state file: a consistent copy while gateways write, and its restoration without forgotten shoppers."""

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from portrait.features.logs.shopper_hashes import PLAIN, ShopperHasher
from portrait.server.storage.database_files import LOG_SUFFIXES, move_into_place, remove_database, require_unused
from portrait.server.storage.event_writes import LAST_ARRIVAL
from portrait.server.storage.failures import describe_error, require_sound
from portrait.server.storage.private_files import make_private_file
from portrait.server.storage.queries import transaction
from portrait.server.storage.schema import connect, prepare, read_version
from portrait.server.storage.store import StoreError
from portrait.server.storage.tombstone_keys import note_tombstone_keys, read_tombstone_keys
from portrait.server.storage.tombstones import Tombstone, UnknownKeys, find_keys, require_keys
from portrait.server.timestamps import from_microseconds, to_microseconds

_LOCK_SECONDS = 5.0
_COPY_SUFFIX, _REPLACED_SUFFIX = ".partial", ".replaced"

_COUNTS = "SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM tombstones)"
_READ_TOMBSTONES = "SELECT shopper_sha256, forgotten_at FROM tombstones ORDER BY number"
_LISTED = "CREATE TEMP TABLE listed (shopper_sha256 TEXT PRIMARY KEY, forgotten_at INTEGER NOT NULL) WITHOUT ROWID"
_LIST = (
    "INSERT INTO listed VALUES (?, ?) ON CONFLICT DO UPDATE SET forgotten_at = max(forgotten_at, excluded.forgotten_at)"
)
_FORGET_KNOWN = (
    "DELETE FROM listed WHERE EXISTS (SELECT 1 FROM tombstones AS known "
    "WHERE known.shopper_sha256 = listed.shopper_sha256 AND known.forgotten_at >= listed.forgotten_at)"
)
"""Nothing is left to do for tombstones that the backup has itself."""
_MARK_SHOPPERS = (
    "CREATE TEMP TABLE returned AS SELECT shopper_id, forgotten_at FROM ("
    "SELECT shopper_id FROM events UNION SELECT shopper_id FROM consent_records UNION "
    "SELECT shopper_id FROM consents UNION SELECT shopper_id FROM demographics UNION "
    "SELECT shopper_id FROM links UNION SELECT login_id FROM links UNION SELECT shopper_id FROM identity_changes "
    "UNION SELECT shopper_id FROM reviews UNION SELECT shopper_id FROM review_changes "
    "UNION SELECT shopper_id FROM household_members"
    ") JOIN listed ON shopper_sha256 IN ({})"
)
"""With all hashes of an id in the list."""
_DELETE_RETURNED = (
    "DELETE FROM events WHERE EXISTS (SELECT 1 FROM returned "
    "WHERE returned.shopper_id = events.shopper_id AND time <= forgotten_at)",
    "DELETE FROM consent_records WHERE EXISTS (SELECT 1 FROM returned "
    "WHERE returned.shopper_id = consent_records.shopper_id AND recorded_at <= forgotten_at)",
    "DELETE FROM consents WHERE shopper_id IN (SELECT shopper_id FROM returned) AND NOT EXISTS ("
    "SELECT 1 FROM consent_records AS record "
    "WHERE record.shopper_id = consents.shopper_id AND record.purpose = consents.purpose)",
    "DELETE FROM demographics WHERE EXISTS (SELECT 1 FROM returned "
    "WHERE returned.shopper_id = demographics.shopper_id AND declared_at <= forgotten_at)",
    "DELETE FROM links WHERE EXISTS (SELECT 1 FROM returned "
    "WHERE returned.shopper_id = links.shopper_id AND time <= forgotten_at) OR EXISTS (SELECT 1 FROM returned "
    "WHERE returned.shopper_id = links.login_id AND time <= forgotten_at)",
    "DELETE FROM household_members WHERE EXISTS (SELECT 1 FROM returned "
    "WHERE returned.shopper_id = household_members.shopper_id AND time <= forgotten_at)",
    "DELETE FROM identity_changes WHERE shopper_id IN (SELECT shopper_id FROM returned)",
    "DELETE FROM reviews WHERE EXISTS (SELECT 1 FROM returned "
    "WHERE returned.shopper_id = reviews.shopper_id AND review ->> '$[#-1]' <= forgotten_at)",  # it ends with its time
    "DELETE FROM review_changes WHERE shopper_id IN (SELECT shopper_id FROM returned) AND NOT EXISTS ("
    "SELECT 1 FROM reviews WHERE reviews.shopper_id = review_changes.shopper_id)",
)
_KEEP_TOMBSTONES = (
    "REPLACE INTO tombstones (shopper_sha256, forgotten_at, arrival) "  # noqa: S608 - of a module
    f"SELECT shopper_sha256, forgotten_at, ({LAST_ARRIVAL}) FROM listed ORDER BY forgotten_at"
)
_RENEW_IDENTITY = "UPDATE state SET identity = lower(hex(randomblob(16)))"


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was written."""

    events: int
    deletions: int
    """Shoppers who were forgotten before."""
    size: int
    """In bytes."""


@dataclass(frozen=True, slots=True)
class Restored:
    """The outcome of a restoration."""

    events: int
    """Events in the state file now."""
    forgotten: int
    """Shoppers of the backup who were forgotten after it, and are not restored."""
    replaced: Path | None
    """The state file of before; None if there was none."""


def back_up(state: Path, target: Path) -> Backup:
    """Copy a state file as it is at one moment; others go on reading and writing meanwhile.

    The copy holds nothing that was deleted, not even in unused parts of pages, and only its owner can read it.

    Args:
        state: the state file.
        target: where the backup is written; must not exist. It is there as a whole, or not at all.

    Raises:
        StoreError: the state file is none, or damaged; there is no room; or `target` exists or can't be written.
    """
    if target.exists():
        raise StoreError(f"{target} exists: give another name, or remove it")
    with _copied(state, target) as copy:
        with _opened(copy) as connection:
            require_sound(connection, state)
            [[events, deletions]] = connection.execute(_COUNTS).fetchall()
        size = copy.stat().st_size
        move_into_place(copy, target)
    return Backup(events, deletions, size)


def read_tombstones_of(state: Path) -> Sequence[Tombstone] | None:
    """The tombstones of a state file that no process uses; None if it is not there or can't be read.

    Raises:
        StoreError: a gateway uses the file.
    """
    if not state.is_file():
        return None
    try:
        with _opened(state) as connection:
            require_unused(connection, state)
            rows = connection.execute(_READ_TOMBSTONES).fetchall()
    except sqlite3.Error:
        return None
    return [Tombstone(hashed, from_microseconds(forgotten_at)) for hashed, forgotten_at in rows]


def restore(backup: Path, state: Path, tombstones: Sequence[Tombstone], hasher: ShopperHasher = PLAIN) -> Restored:
    """Put a backup in the place of a state file, without the shoppers who were forgotten since it was made.

    The state file of before is kept beside it, with the time in its name: delete it once it is not needed.

    Args:
        backup: what `back_up` wrote.
        state: the state file, which no process uses; need not exist.
        tombstones: of all shoppers who were forgotten, for example those of the state file of before.
        hasher: has the keys of all tombstones.

    Raises:
        StoreError: the backup is none, or damaged; the hasher lacks a key; or there is no room. The state file is as it
            was.
    """
    _require_keys(find_keys(tombstones), hasher, "the list of deletions, or the state file,")
    try:
        state.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{state} can't be written: {error.strerror}") from error
    with _copied(backup, state) as copy:
        with _opened(copy) as connection:
            require_sound(connection, backup)
            prepare(connection, copy)
            _require_keys(read_tombstone_keys(connection), hasher, "the backup")
            forgotten = _apply_tombstones(connection, tombstones, hasher)
            [[events, _]] = connection.execute(_COUNTS).fetchall()
        replaced = _set_aside(state) if state.exists() else None
        move_into_place(copy, state)
    return Restored(events, forgotten, replaced)


def _require_keys(fingerprints: Iterable[str], hasher: ShopperHasher, holder: str) -> None:
    try:
        require_keys(fingerprints, hasher, holder)
    except UnknownKeys as error:
        raise StoreError(str(error)) from error


def _apply_tombstones(connection: sqlite3.Connection, tombstones: Sequence[Tombstone], hasher: ShopperHasher) -> int:
    """Forget shoppers once more, give the state another identity, and write it anew; returns how many were in it."""
    connection.create_function(
        "hash_of", 2, lambda shopper_id, place: hasher.list_hashes(shopper_id)[place], deterministic=True
    )
    hashes = ", ".join(f"hash_of(shopper_id, {place})" for place in range(len(hasher.list_hashes(""))))
    connection.execute("PRAGMA temp_store = MEMORY")
    with transaction(connection):
        connection.execute(_LISTED)
        connection.executemany(
            _LIST, [(each.shopper_sha256, to_microseconds(each.forgotten_at)) for each in tombstones]
        )
        connection.execute(_FORGET_KNOWN)
        connection.execute(_MARK_SHOPPERS.format(hashes))
        note_tombstone_keys(connection, find_keys(tombstones))
        connection.execute(_KEEP_TOMBSTONES)  # the highest arrival is that of before the events go
        for statement in _DELETE_RETURNED:
            connection.execute(statement)
        connection.execute(_RENEW_IDENTITY)
        [[forgotten]] = connection.execute("SELECT count(DISTINCT shopper_id) FROM returned").fetchall()
    connection.execute("VACUUM")
    return int(forgotten)


@contextlib.contextmanager
def _copied(source: Path, target: Path) -> Iterator[Path]:
    """Copy a SQLite file, as of one moment, to a file beside `target`, which goes unless the block moves it."""
    copy = target.with_name(target.name + _COPY_SUFFIX)
    if not source.is_file():
        raise StoreError(f"{source} does not exist")
    try:
        remove_database(copy)
        make_private_file(copy)
        try:
            with _opened(source) as connection:
                if not read_version(connection, source):
                    raise StoreError(f"{source} is no state file of Portrait: it is empty")
                connection.execute("VACUUM INTO ?", (str(copy),))
            yield copy
        finally:
            remove_database(copy)
    except sqlite3.Error as error:
        raise StoreError(_describe(error, source, copy)) from error
    except OSError as error:
        raise StoreError(f"{target} can't be written: {error.strerror}") from error


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(connect(path, _LOCK_SECONDS)) as connection:
        yield connection


def _describe(error: sqlite3.Error, source: Path, copy: Path) -> str:
    full = getattr(error, "sqlite_errorname", "") == "SQLITE_FULL"
    return f"there is no room for {copy}" if full else describe_error(error, source)


def _set_aside(state: Path) -> Path:
    """Keep a state file under another name; it stays under its own as well until that is replaced."""
    kept = state.with_name(f"{state.name}.{datetime.now(UTC):%Y%m%dT%H%M%SZ}{_REPLACED_SUFFIX}")
    for suffix in LOG_SUFFIXES:  # left by a damaged file; another file must not inherit them
        with contextlib.suppress(FileNotFoundError):
            os.replace(state.with_name(state.name + suffix), kept.with_name(kept.name + suffix))
    os.link(state, kept)
    return kept
