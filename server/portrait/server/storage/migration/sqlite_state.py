"""A state file as one end of a migration."""

import contextlib
import sqlite3
from collections.abc import AsyncIterator, Hashable, Iterator, Sequence
from pathlib import Path
from typing import Any

from portrait.features.logs.shopper_hashes import fingerprint_of
from portrait.server.reviews.review import SHARED
from portrait.server.storage.database_files import move_into_place, remove_database, require_unused
from portrait.server.storage.failures import describe_error, require_sound
from portrait.server.storage.migration.states import BATCH, ItemState, ShopperState, StateReader, TombstoneState
from portrait.server.storage.private_files import make_private_file
from portrait.server.storage.queries import expand_placeholders, transaction
from portrait.server.storage.redis.rows import digest_event
from portrait.server.storage.rows import CONSENT_COLUMNS, EVENT_COLUMNS, MEMBERSHIP_COLUMNS
from portrait.server.storage.schema import connect, prepare
from portrait.server.storage.store import StoreError
from portrait.server.storage.tombstone_keys import note_tombstone_keys

_SECONDS = 5.0
_SUFFIX = ".partial"
_IDENTITY = "SELECT identity FROM state"
_SHOPPERS = (
    "SELECT shopper_id FROM events WHERE shopper_id > ?1 UNION SELECT shopper_id FROM consent_records "
    "WHERE shopper_id > ?1 UNION SELECT shopper_id FROM consents WHERE shopper_id > ?1 "
    "UNION SELECT shopper_id FROM demographics WHERE shopper_id > ?1 "
    "UNION SELECT shopper_id FROM links WHERE shopper_id > ?1 "
    "UNION SELECT shopper_id FROM reviews WHERE shopper_id > ?1 "
    "UNION SELECT shopper_id FROM household_members WHERE shopper_id > ?1 "
    "UNION SELECT login_id FROM links WHERE login_id > ?1 ORDER BY shopper_id LIMIT ?2"
)
_COLUMN_LIST, _CONSENT_COLUMN_LIST = ", ".join(EVENT_COLUMNS), ", ".join(CONSENT_COLUMNS)
_EVENTS = f"SELECT arrival, {_COLUMN_LIST} FROM events WHERE shopper_id = ? ORDER BY arrival"  # noqa: S608 - own names
_CONSENTS = f"SELECT {_CONSENT_COLUMN_LIST} FROM consent_records WHERE shopper_id = ? ORDER BY number"  # noqa: S608
_DECISIONS = "SELECT purpose, granted, withdrawn_at FROM consents WHERE shopper_id = ?"
_DEMOGRAPHICS = "SELECT age_band, gender, region, declared_at, source FROM demographics WHERE shopper_id = ?"
_LOGIN = "SELECT login_id, time, recorded_at, source, confidence FROM links WHERE shopper_id = ?"
_LINKED_IDS = "SELECT shopper_id FROM links WHERE login_id = ? ORDER BY shopper_id"
_REVIEWS = "SELECT target, review FROM reviews WHERE shopper_id = ? ORDER BY target"
_HOUSEHOLD = "SELECT household_id, time, recorded_at, source, confidence FROM household_members WHERE shopper_id = ?"
_TOMBSTONES = "SELECT number, shopper_sha256, forgotten_at FROM tombstones ORDER BY number"
_ITEMS = "SELECT number, catalogue, item_id, item, writer FROM item_changes ORDER BY number"

_BEGIN = (
    "CREATE TABLE migration (source TEXT NOT NULL, assembled INTEGER NOT NULL)",
    "CREATE TABLE migrated_shoppers (shopper_id TEXT PRIMARY KEY) WITHOUT ROWID",
    # By the numbers of the source; in the end, the events get numbers without gaps in the same order.
    f"CREATE TABLE migrated_events AS SELECT arrival, shopper_id, {_COLUMN_LIST} FROM events",  # noqa: S608
)
_WRITE_EVENT = f"INSERT INTO migrated_events VALUES ({', '.join('?' * (2 + len(EVENT_COLUMNS)))})"  # noqa: S608
_WRITE_CONSENT = f"INSERT INTO consent_records (shopper_id, {_CONSENT_COLUMN_LIST}) VALUES (?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
_WRITE_DECISION = "INSERT INTO consents (shopper_id, purpose, granted, time, withdrawn_at) VALUES (?, ?, ?, ?, ?)"
_WRITE_DEMOGRAPHICS = (
    "INSERT INTO demographics (shopper_id, age_band, gender, region, declared_at, source) VALUES (?, ?, ?, ?, ?, ?)"
)
_WRITE_LINK = (
    "INSERT INTO links (shopper_id, login_id, time, recorded_at, source, confidence) VALUES (?, ?, ?, ?, ?, ?)"
)
_WRITE_HOUSEHOLD = f"INSERT INTO household_members ({', '.join(MEMBERSHIP_COLUMNS)}) VALUES (?, ?, ?, ?, ?, ?)"  # noqa: S608
_WRITE_TOMBSTONE = (
    "INSERT OR REPLACE INTO tombstones (number, shopper_sha256, forgotten_at, arrival) VALUES (?, ?, ?, 0)"
)
_WRITE_ITEM = "INSERT OR REPLACE INTO item_changes (number, catalogue, item_id, item, writer) VALUES (?, ?, ?, ?, ?)"
_WRITE_REVIEW = "REPLACE INTO reviews (shopper_id, target, review) VALUES (?, ?, ?)"
_NOTE_REVIEWS = "REPLACE INTO review_changes (shopper_id) VALUES (?)"
_MIGRATED = "SELECT shopper_id FROM migrated_shoppers WHERE shopper_id IN ({})"
_ASSEMBLE = (
    f"INSERT INTO events (shopper_id, {_COLUMN_LIST}) "  # noqa: S608
    f"SELECT shopper_id, {_COLUMN_LIST} FROM migrated_events ORDER BY arrival",
    "DROP TABLE migrated_events",
    "UPDATE migration SET assembled = 1",
)


class SqliteState:
    """Reads the state of an open file; see `StateReader`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        [[self._identity]] = connection.execute(_IDENTITY).fetchall()

    async def position(self) -> Hashable:
        """The same value always: this connection keeps others out."""
        return None

    @property
    def identity(self) -> str:
        """Identity of the state."""
        return str(self._identity)

    async def shopper_ids(self) -> AsyncIterator[list[str]]:
        """Yield all shoppers, by their ids."""
        last = ""
        while rows := self._connection.execute(_SHOPPERS, (last, BATCH)).fetchall():
            yield [shopper_id for (shopper_id,) in rows]
            [last] = rows[-1]

    async def read_shoppers(self, shopper_ids: Sequence[str]) -> list[ShopperState]:
        """Read some shoppers."""
        return [self._read_shopper(shopper_id) for shopper_id in shopper_ids]

    def _read_shopper(self, shopper_id: str) -> ShopperState:
        def rows_of(query: str) -> list[Any]:
            return self._connection.execute(query, (shopper_id,)).fetchall()

        events = [(arrival, tuple(row)) for arrival, *row in rows_of(_EVENTS)]
        declared, login, household = rows_of(_DEMOGRAPHICS), rows_of(_LOGIN), rows_of(_HOUSEHOLD)
        return ShopperState(
            shopper_id,
            events,
            {row[0]: digest_event(row)[0] for _, row in events},
            [(purpose, bool(granted), *rest) for purpose, granted, *rest in rows_of(_CONSENTS)],
            {purpose: (bool(granted), withdrawn_at) for purpose, granted, withdrawn_at in rows_of(_DECISIONS)},
            tuple(declared[0]) if declared else None,
            tuple(login[0]) if login else None,
            [linked_id for (linked_id,) in rows_of(_LINKED_IDS)],
            rows_of(_REVIEWS),
            tuple(household[0]) if household else None,
        )

    async def shared_reviews(self) -> list[tuple[str, str]]:
        """Read the reviews for segments and for all."""
        return self._connection.execute(_REVIEWS, (SHARED,)).fetchall()

    async def tombstones(self) -> AsyncIterator[TombstoneState]:
        """Yield all tombstones, by number."""
        for row in self._connection.execute(_TOMBSTONES):
            yield TombstoneState(*row)

    async def items(self) -> AsyncIterator[ItemState]:
        """Yield the last change of each item, by number."""
        for row in self._connection.execute(_ITEMS):
            yield ItemState(*row)


@contextlib.contextmanager
def open_source(path: Path) -> Iterator[StateReader]:
    """Open a state file that nobody else can open until the end of the block.

    A file of an earlier version is brought up to date, as a gateway does it.

    Raises:
        StoreError: it does not exist, is no state file, is damaged, or a gateway uses it.
    """
    if not path.is_file():
        raise StoreError(f"{path} does not exist")
    with _reporting(path), contextlib.closing(connect(path, _SECONDS)) as connection:
        require_unused(connection, path)
        prepare(connection, path)
        require_sound(connection, path)
        connection.execute("BEGIN EXCLUSIVE")
        try:
            yield SqliteState(connection)
        finally:
            connection.execute("ROLLBACK")


@contextlib.contextmanager
def open_target(path: Path, source: str) -> Iterator["SqliteTarget"]:
    """Open the file in which a state is assembled, begun by an earlier run or now.

    Args:
        path: where the state file will be; must not exist.
        source: identity of the state that is migrated.

    Raises:
        StoreError: `path` exists, or its unfinished file is of another state, or can't be written.
    """
    if path.exists():
        raise StoreError(f"{path} exists: give another name, or remove it")
    partial = path.with_name(path.name + _SUFFIX)
    with _reporting(partial):
        path.parent.mkdir(parents=True, exist_ok=True)
        if not _is_of(partial, source):
            remove_database(partial)
            make_private_file(partial)
        with contextlib.closing(connect(partial, _SECONDS)) as connection:
            require_unused(connection, partial)
            _begin(connection, partial, source)
            yield SqliteTarget(connection, partial, path)


@contextlib.contextmanager
def _reporting(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(describe_error(error, path)) from error
    except OSError as error:
        raise StoreError(f"{path} can't be written: {error.strerror}") from error


def _is_of(partial: Path, source: str) -> bool:
    """Tell whether a file holds an unfinished migration of a state.

    Raises:
        StoreError: of another state.
    """
    if not partial.is_file():
        return False
    with contextlib.closing(connect(partial, _SECONDS)) as connection:
        [[begun]] = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'migration'").fetchall()
        rows = connection.execute("SELECT source FROM migration").fetchall() if begun else []
    if rows and rows[0][0] != source:
        raise StoreError(f"{partial} holds the unfinished migration of another state: remove it")
    return bool(rows)


def _begin(connection: sqlite3.Connection, partial: Path, source: str) -> None:
    prepare(connection, partial)
    [[begun]] = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'migration'").fetchall()
    if not begun:
        with transaction(connection):
            for statement in _BEGIN:
                connection.execute(statement)
            connection.execute("INSERT INTO migration VALUES (?, 0)", (source,))


class SqliteTarget:
    """Fills a file beside the place of the state file; see `StateWriter`."""

    def __init__(self, connection: sqlite3.Connection, partial: Path, path: Path) -> None:
        self._connection, self._partial, self._path = connection, partial, path

    @property
    def _is_assembled(self) -> bool:
        [[assembled]] = self._connection.execute("SELECT assembled FROM migration").fetchall()
        return bool(assembled)

    async def missing(self, shopper_ids: Sequence[str]) -> list[str]:
        """Those of some shoppers who are not written yet."""
        query, values = expand_placeholders(_MIGRATED, shopper_ids)
        there = {shopper_id for (shopper_id,) in self._connection.execute(query, values)}
        return [each for each in shopper_ids if each not in there]

    async def write_shoppers(self, shoppers: Sequence[ShopperState]) -> None:
        """Write some shoppers who are missing, all or none."""
        if self._is_assembled:
            return  # they are new in the source since an earlier run: the comparison finds them
        with transaction(self._connection):
            for shopper in shoppers:
                self._write_shopper(shopper)

    def _write_shopper(self, shopper: ShopperState) -> None:
        write, name = self._connection.executemany, shopper.shopper_id
        write(_WRITE_EVENT, [(arrival, name, *row) for arrival, row in shopper.events])
        write(_WRITE_CONSENT, [(name, *row) for row in shopper.consents])
        write(
            _WRITE_DECISION,
            [
                (name, purpose, granted, _find_time(shopper, purpose, granted), withdrawn_at)
                for purpose, (granted, withdrawn_at) in shopper.decisions.items()
            ],
        )
        write(_WRITE_DEMOGRAPHICS, [(name, *shopper.demographics)] if shopper.demographics else [])
        write(_WRITE_LINK, [(name, *shopper.login)] if shopper.login else [])
        write(_WRITE_HOUSEHOLD, [(name, *shopper.household)] if shopper.household else [])
        self._write_reviews(name, shopper.reviews)
        write("INSERT INTO migrated_shoppers VALUES (?)", [(name,)])

    def _write_reviews(self, shopper_id: str, reviews: Sequence[tuple[str, str]]) -> None:
        self._connection.executemany(_WRITE_REVIEW, [(shopper_id, *review) for review in reviews])
        self._connection.executemany(_NOTE_REVIEWS, [(shopper_id,)] if reviews else [])

    async def write_shared_reviews(self, reviews: Sequence[tuple[str, str]]) -> None:
        """Write all reviews for segments and for all."""
        with transaction(self._connection):
            self._connection.execute("DELETE FROM reviews WHERE shopper_id = ?", (SHARED,))
            self._write_reviews(SHARED, reviews)

    async def write_tombstones(self, tombstones: Sequence[TombstoneState]) -> None:
        """Write some tombstones."""
        with transaction(self._connection):
            self._connection.executemany(_WRITE_TOMBSTONE, tombstones)
            used = {each for _, hashed, _ in tombstones if (each := fingerprint_of(hashed))}
            note_tombstone_keys(self._connection, used)

    async def write_items(self, items: Sequence[ItemState]) -> None:
        """Write the last changes of some items."""
        with transaction(self._connection):
            self._connection.executemany(_WRITE_ITEM, items)

    async def complete(self) -> StateReader:
        """Number the events in the order of their arrival."""
        if not self._is_assembled:
            with transaction(self._connection):
                for statement in _ASSEMBLE:
                    self._connection.execute(statement)
        return SqliteState(self._connection)

    async def publish(self) -> None:
        """Move the file to its place, whole."""
        with transaction(self._connection):
            self._connection.execute("DROP TABLE migrated_shoppers")
            self._connection.execute("DROP TABLE migration")
        self._connection.execute("VACUUM")
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        self._connection.close()
        move_into_place(self._partial, self._path)

    async def discard(self) -> None:
        """Remove the file."""
        self._connection.close()
        remove_database(self._partial)


def _find_time(shopper: ShopperState, purpose: str, granted: bool) -> int:
    """The time of the last that a shopper said which the decision in force agrees with."""
    times = [time for name, said, time, *_ in shopper.consents if (name, said) == (purpose, granted)]
    return int(times[-1]) if times else 0
