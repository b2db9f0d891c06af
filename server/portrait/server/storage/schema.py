"""The file of a store: its tables, and how one of an earlier version becomes one of this."""

from pathlib import Path

import aiosqlite

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
)
"""What makes a file of each version, from 0, one of the next."""
SCHEMA_VERSION = len(_MIGRATIONS)

LOCK_SECONDS = 5.0
"""A process waits so long for another one's transaction."""


async def connect(path: Path) -> aiosqlite.Connection:
    """Open a file. Transactions begin where they are told to, not before the first write (isolation_level None)."""
    return await aiosqlite.connect(path, isolation_level=None, timeout=LOCK_SECONDS)


async def prepare(connection: aiosqlite.Connection, path: Path) -> None:
    """Set the file up for durable writes and, if it is new or of an earlier version, make its tables.

    Raises:
        StoreError: a later version of Portrait wrote it.
    """
    await connection.execute("PRAGMA journal_mode = WAL")
    await connection.execute("PRAGMA synchronous = FULL")
    await connection.execute("PRAGMA secure_delete = ON")  # what is deleted is overwritten
    await connection.execute("BEGIN IMMEDIATE")
    [[version]] = await connection.execute_fetchall("PRAGMA user_version")
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"{path} was written by a later version of Portrait (schema {version}; "
            f"this one reads up to {SCHEMA_VERSION})"
        )
    for migration in _MIGRATIONS[version:]:
        for statement in migration.split(";\n"):
            await connection.execute(statement)
    await connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    await connection.commit()
