"""Versions of shoppers: the response cache asks whether any process has recorded something new about a shopper."""

import contextlib
import sqlite3
from array import array
from collections.abc import Hashable

from portrait.server.errors import PortraitError
from portrait.server.storage.failures import FailureTranslator
from portrait.server.storage.links import list_linked_ids

_PLACES = 1 << 16
"""Shoppers are told apart by a hash of so many values. Two that share one lose answers that they might have kept."""
_MAX_ROWS = 2_000
"""Beyond this number of new rows, every shopper counts as changed."""

_WATCHED = {
    "events": "arrival", "consent_records": "number", "demographics": "number", "identity_changes": "arrival",
    "review_changes": "number",
}  # fmt: skip
"""Tables, and what numbers their rows: a new row has a higher number than any before it ever had."""
_LAST_FORGOTTEN = "SELECT coalesce(max(number), 0) FROM tombstones"
"""A tombstone holds only a hash of the id, so after a deletion every shopper counts as changed."""


class ShopperVersions:
    """Watches what is recorded of shoppers in a state file, over a connection of its own.

    SQLite's `data_version` says in about a microsecond whether anything was committed, so that this needs no thread.

    Args:
        connection: from now on waits for no lock, as the event loop would wait with it.
        failures: notes what goes wrong.
    """

    def __init__(self, connection: sqlite3.Connection, failures: FailureTranslator) -> None:
        self._connection = connection
        self._failures = failures
        self._counts = array("Q", bytes(8 * _PLACES))
        self._everybody = 0
        self._data_version = self._number("PRAGMA data_version")
        self._seen = {table: self._latest(table) for table in _WATCHED}
        self._forgotten = self._number(_LAST_FORGOTTEN)
        self._connection.execute("PRAGMA busy_timeout = 0")

    def version(self, shopper_id: str) -> Hashable:
        """Another value after everything that is recorded of the shopper, and after anyone is forgotten.

        That of `SHARED` changes with every review for a segment or for all.

        While the file can't be read, another one each time: no answer is known to be still right.
        """
        try:
            self._poll()
        except sqlite3.Error as error:
            if not isinstance(self._failures.to_typed_error(error), PortraitError):
                raise
            return object()
        return self._everybody, self._counts[hash(shopper_id) % _PLACES]

    def has_reviews(self) -> bool:
        """Tell whether there may be a review of anything, by now.

        Raises:
            PortraitError: the file can't be read.
        """
        try:
            self._poll()
        except sqlite3.Error as error:
            raise self._failures.to_typed_error(error) from error
        return self._seen["review_changes"] > 0

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def _poll(self) -> None:
        data_version = self._number("PRAGMA data_version")
        if data_version == self._data_version:
            return
        for table, number in _WATCHED.items():
            self._poll_table(table, number)
        forgotten = self._number(_LAST_FORGOTTEN)
        if forgotten != self._forgotten:
            self._everybody, self._forgotten = self._everybody + 1, forgotten
        self._data_version = data_version

    def _poll_table(self, table: str, number: str) -> None:
        added = f"SELECT {number}, shopper_id FROM {table} WHERE {number} > ? ORDER BY {number} LIMIT ?"  # noqa: S608
        rows = self._connection.execute(added, (self._seen[table], _MAX_ROWS)).fetchall()
        if len(rows) == _MAX_ROWS:
            self._everybody += 1
            self._seen[table] = self._latest(table)
        elif rows:
            self._seen[table] = rows[-1][0]
        # An id that is linked no more was noted with its login when the link was undone.
        for shopper_id in self._add_linked({shopper_id for _, shopper_id in rows}):
            self._counts[hash(shopper_id) % _PLACES] += 1

    def _add_linked(self, shopper_ids: set[str]) -> set[str]:
        """Add the ids that are linked to some; where there are no links at all, this costs nothing."""
        if not shopper_ids or not self._number("SELECT EXISTS (SELECT 1 FROM links)"):
            return shopper_ids
        return {each for shopper_id in shopper_ids for each in list_linked_ids(self._connection, shopper_id)}

    def _latest(self, table: str) -> int:
        return self._number(f"SELECT coalesce(max({_WATCHED[table]}), 0) FROM {table}")  # noqa: S608

    def _number(self, statement: str) -> int:
        with contextlib.closing(self._connection.execute(statement)) as cursor:
            return int(cursor.fetchone()[0])
