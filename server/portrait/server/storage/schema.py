"""The file of a store: its tables, and how one of an earlier version becomes one of this."""

import shutil
import sqlite3
from pathlib import Path

import structlog

from portrait.server.storage.queries import transaction
from portrait.server.storage.store import StoreError

_MIGRATIONS = (
    """
CREATE TABLE events (
    arrival INTEGER PRIMARY KEY,
    event_id TEXT NOT NULL UNIQUE,
    shopper_id TEXT NOT NULL,
    time INTEGER NOT NULL, -- microseconds since 1970
    type TEXT NOT NULL,
    item_id TEXT,
    catalogue TEXT NOT NULL,
    query TEXT,
    price REAL,
    quantity REAL,
    rating REAL,
    dwell_seconds REAL,
    position INTEGER
);
CREATE INDEX events_of_shopper ON events (shopper_id, time, arrival);
CREATE TABLE item_changes (
    catalogue TEXT NOT NULL,
    item_id TEXT NOT NULL,
    item TEXT, -- JSON; NULL: removed
    PRIMARY KEY (catalogue, item_id)
) WITHOUT ROWID;
""",
    """
ALTER TABLE item_changes ADD COLUMN number INTEGER NOT NULL DEFAULT 0;
ALTER TABLE item_changes ADD COLUMN writer TEXT NOT NULL DEFAULT '';
CREATE INDEX item_changes_by_number ON item_changes (number);
""",
    """
CREATE TABLE consent_records ( -- all that was ever said; rows are only added
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    shopper_id TEXT NOT NULL,
    purpose TEXT NOT NULL,
    granted INTEGER NOT NULL,
    time INTEGER NOT NULL, -- microseconds since 1970
    recorded_at INTEGER NOT NULL, -- the same
    notice TEXT NOT NULL,
    source TEXT NOT NULL
);
CREATE INDEX consent_records_of_shopper ON consent_records (shopper_id, number);
CREATE TABLE consents ( -- of these, what counts
    shopper_id TEXT NOT NULL,
    purpose TEXT NOT NULL,
    granted INTEGER NOT NULL,
    time INTEGER NOT NULL,
    PRIMARY KEY (shopper_id, purpose)
) WITHOUT ROWID;
CREATE TABLE demographics (
    number INTEGER PRIMARY KEY AUTOINCREMENT, -- a new one for every declaration
    shopper_id TEXT NOT NULL UNIQUE,
    age_band TEXT NOT NULL,
    gender TEXT NOT NULL,
    region TEXT NOT NULL,
    declared_at INTEGER NOT NULL, -- microseconds since 1970
    source TEXT NOT NULL
);
""",
    """
CREATE TABLE tombstones (
    number INTEGER PRIMARY KEY AUTOINCREMENT, -- a new one whenever the shopper is forgotten
    shopper_sha256 TEXT NOT NULL UNIQUE,
    forgotten_at INTEGER NOT NULL, -- microseconds since 1970
    arrival INTEGER NOT NULL -- the highest that any event had had by then: none is given twice
);
""",
    """
-- the latest time of all withdrawals; NULL: there was none
ALTER TABLE consents ADD COLUMN withdrawn_at INTEGER;
UPDATE consents SET withdrawn_at = (
    SELECT max(record.time) FROM consent_records AS record
    WHERE record.shopper_id = consents.shopper_id AND record.purpose = consents.purpose AND NOT record.granted
);
UPDATE consents SET granted = 0 WHERE granted AND withdrawn_at IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM consent_records AS record
    WHERE record.shopper_id = consents.shopper_id AND record.purpose = consents.purpose AND record.granted
    AND (record.time = record.recorded_at OR record.time / 1000000 >= withdrawn_at / 1000000)
    AND record.number > (
        SELECT max(withdrawal.number) FROM consent_records AS withdrawal
        WHERE withdrawal.shopper_id = consents.shopper_id AND withdrawal.purpose = consents.purpose
        AND NOT withdrawal.granted
    )
);
DELETE FROM demographics WHERE EXISTS (
    SELECT 1 FROM consents
    WHERE consents.shopper_id = demographics.shopper_id AND purpose = 'demographics' AND NOT granted
);
""",
    """
-- SQLite can't drop a table's UNIQUE: the events move to a table where an id is of its shopper
CREATE TABLE events_of_shoppers (
    arrival INTEGER PRIMARY KEY,
    event_id TEXT NOT NULL,
    shopper_id TEXT NOT NULL,
    time INTEGER NOT NULL, -- microseconds since 1970
    type TEXT NOT NULL,
    item_id TEXT,
    catalogue TEXT NOT NULL,
    query TEXT,
    price REAL,
    quantity REAL,
    rating REAL,
    dwell_seconds REAL,
    position INTEGER,
    UNIQUE (shopper_id, event_id)
);
INSERT INTO events_of_shoppers (
    arrival, event_id, shopper_id, time, type, item_id, catalogue, query,
    price, quantity, rating, dwell_seconds, position
)
SELECT
    arrival, event_id, shopper_id, time, type, item_id, catalogue, query,
    price, quantity, rating, dwell_seconds, position
FROM events ORDER BY arrival;
DROP TABLE events;
ALTER TABLE events_of_shoppers RENAME TO events;
CREATE INDEX events_of_shopper ON events (shopper_id, time, arrival);
""",
    """
-- one row: tells this state from all others, and from itself before a backup was restored
CREATE TABLE state (identity TEXT NOT NULL);
INSERT INTO state VALUES (lower(hex(randomblob(16))));
""",
    """
-- the highest number of arrival of all events that were deleted when their retention was over
ALTER TABLE state ADD COLUMN arrival INTEGER NOT NULL DEFAULT 0;
""",
    """
CREATE TABLE links (
    shopper_id TEXT PRIMARY KEY, -- the anonymous id
    login_id TEXT NOT NULL, -- is itself no shopper_id of this table
    time INTEGER NOT NULL, -- microseconds since 1970
    recorded_at INTEGER NOT NULL, -- the same
    source TEXT NOT NULL,
    confidence REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX links_of_login ON links (login_id, shopper_id);
CREATE TABLE identity_changes ( -- the last time that a link of a shopper was made or undone
    shopper_id TEXT PRIMARY KEY,
    arrival INTEGER NOT NULL UNIQUE -- among those of events
) WITHOUT ROWID;
""",
    """
-- fingerprints of the keys by which tombstones were hashed, with blanks between
ALTER TABLE state ADD COLUMN tombstone_keys TEXT NOT NULL DEFAULT '';
""",
    """
CREATE TABLE reviews (
    shopper_id TEXT NOT NULL, -- empty: for a segment, or for all
    target TEXT NOT NULL, -- JSON
    review TEXT NOT NULL, -- JSON, a list that ends with the time in microseconds since 1970
    PRIMARY KEY (shopper_id, target)
) WITHOUT ROWID;
CREATE TABLE review_changes ( -- the last time that a review for an id, or for several shoppers, was set or removed
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    shopper_id TEXT NOT NULL UNIQUE -- as in reviews
);
""",
    """
CREATE TABLE household_members (
    shopper_id TEXT PRIMARY KEY, -- is itself no shopper_id of links
    household_id TEXT NOT NULL,
    time INTEGER NOT NULL, -- microseconds since 1970
    recorded_at INTEGER NOT NULL, -- the same
    source TEXT NOT NULL,
    confidence REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX members_of_household ON household_members (household_id, shopper_id);
""",
)
"""Migrations: each brings a file from its version, counted from 0, to the next."""
SCHEMA_VERSION = len(_MIGRATIONS)

_MAX_VACUUM_BYTES = 1 << 30
"""A larger file of an earlier version is not written anew at the start, which would take minutes."""

_log = structlog.get_logger(__name__)


def connect(path: Path, timeout: float) -> sqlite3.Connection:
    """Open a file, for one thread at a time. Transactions begin where they are told to, not before the first write.

    Args:
        path: the file.
        timeout: seconds that a locked file is waited for.
    """
    return sqlite3.connect(path, isolation_level=None, timeout=timeout, check_same_thread=False)


def prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Set the file up for durable writes and, if it is new or of an earlier version, make its tables.

    Raises:
        StoreError: a later version of Portrait wrote it, or something else.
        sqlite3.Error: it can't be used.
    """
    if not _number(connection, "page_count"):
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # only before the first page
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA secure_delete = ON")  # what is deleted is overwritten
    # Looked at first without a lock: a full disk, say, need not keep a gateway from reading.
    if read_version(connection, path) < SCHEMA_VERSION:
        with transaction(connection):
            for migration in _MIGRATIONS[read_version(connection, path) :]:
                for statement in migration.split(";\n"):
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    if not _number(connection, "auto_vacuum"):
        _vacuum(connection, path)


def read_version(connection: sqlite3.Connection, path: Path) -> int:
    """Read the version of a state file; 0 if it is new.

    Raises:
        StoreError: a later version of Portrait wrote it, or something else.
        sqlite3.Error: it can't be read.
    """
    version = _number(connection, "user_version")
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"{path} was written by a later version of Portrait (schema {version}; "
            f"this one reads up to {SCHEMA_VERSION})"
        )
    [[tables]] = connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
    if tables and not version:
        raise StoreError(f"{path} is no state file of Portrait: it is a SQLite file of something else")
    return version


def _vacuum(connection: sqlite3.Connection, path: Path) -> None:
    """Write a file of an earlier version anew, so that from now on it gives back what is freed."""
    size = _number(connection, "page_count") * _number(connection, "page_size")
    disk = shutil.disk_usage(path.parent)
    if size > _MAX_VACUUM_BYTES or disk.free < 3 * size:
        _log.warning("state_not_vacuumed", bytes=size, free_bytes=disk.free)
        return
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    try:
        connection.execute("VACUUM")
    except sqlite3.OperationalError as error:  # another process uses the file: a later start tries again
        _log.warning("state_not_vacuumed", sqlite_errorname=error.sqlite_errorname)


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    return int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])
