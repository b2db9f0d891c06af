"""Which shoppers have new events, whatever process recorded them: asked before every answer that is given again."""

import contextlib
import sqlite3
from array import array
from pathlib import Path

_PLACES = 1 << 16
"""Shoppers are told apart by a hash of so many values. Two that share one lose answers that they might have kept."""
_MOST_EVENTS = 2_000
"""Of more events at a time nobody is looked for: every shopper counts as changed."""

_EVENTS = "SELECT arrival, shopper_id FROM events WHERE arrival > ? ORDER BY arrival LIMIT ?"
_LATEST = "SELECT coalesce(max(arrival), 0) FROM events"


class Arrivals:
    """Watches the events of a state file over a connection of its own.

    Events are only ever added: each has a higher `arrival` than all before it. SQLite's `data_version` says in about
    a microsecond whether anything was committed, so that this needs no thread.

    Args:
        path: the file.
        timeout: seconds that a locked file is waited for.
    """

    def __init__(self, path: Path, timeout: float) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=timeout)
        self._counts = array("Q", bytes(8 * _PLACES))
        self._everybody = 0
        self._data_version = self._number("PRAGMA data_version")
        self._arrival = self._number(_LATEST)

    def version(self, shopper_id: str) -> tuple[int, int]:
        """Another value after every event of the shopper."""
        self._look()
        return self._everybody, self._counts[hash(shopper_id) % _PLACES]

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def _look(self) -> None:
        data_version = self._number("PRAGMA data_version")
        if data_version == self._data_version:
            return
        rows = self._connection.execute(_EVENTS, (self._arrival, _MOST_EVENTS)).fetchall()
        if len(rows) == _MOST_EVENTS:
            self._everybody += 1
            self._arrival = self._number(_LATEST)
        for arrival, shopper_id in rows:
            self._counts[hash(shopper_id) % _PLACES] += 1
            self._arrival = max(self._arrival, arrival)
        self._data_version = data_version

    def _number(self, statement: str) -> int:
        with contextlib.closing(self._connection.execute(statement)) as cursor:
            return int(cursor.fetchone()[0])
