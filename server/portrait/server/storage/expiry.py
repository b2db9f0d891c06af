"""Deletes the events of the state file whose retention is over."""

import sqlite3

from portrait.server.storage.event_writes import LAST_ARRIVAL
from portrait.server.storage.retention import Cutoffs

_INDEX = "CREATE INDEX IF NOT EXISTS events_by_type ON events (type, time)"
_FIND = "SELECT arrival FROM events WHERE type = ? AND time < ? ORDER BY time LIMIT ?"
_KEEP_ARRIVAL = f"UPDATE state SET arrival = ({LAST_ARRIVAL})"  # noqa: S608 - of a module
"""The event that arrived last may be deleted: its number must not be given again."""
_DELETE = "DELETE FROM events WHERE arrival = ?"
EVENTS_AT_A_TIME = 500
"""Events of one transaction: others who write wait for it."""


def create_index(connection: sqlite3.Connection) -> None:
    """Create the index that finds expired events, which takes a while in a large file.

    Only a file whose events expire has it: it takes room, and time of every write.

    Raises:
        sqlite3.Error: the file can't be written.
    """
    connection.execute(_INDEX)


def delete_some(connection: sqlite3.Connection, cutoffs: Cutoffs) -> int:
    """Delete up to `EVENTS_AT_A_TIME` expired events in a transaction that runs; returns their number."""
    found: list[tuple[int]] = []
    for kind, cutoff in cutoffs.by_type.items():
        found += connection.execute(_FIND, (kind, cutoff, EVENTS_AT_A_TIME - len(found))).fetchall()
    if found:
        connection.execute(_KEEP_ARRIVAL)
        connection.executemany(_DELETE, found)
    return len(found)
