"""Reads events of the state file; those whose retention is over are left out, whether they are deleted yet or not."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from portrait.features.events import Event, EventType
from portrait.server.storage.reader import Reader
from portrait.server.storage.retention import Retention
from portrait.server.storage.rows import EVENT_COLUMNS, event_of
from portrait.server.storage.store import EventPosition, EventSelection
from portrait.server.timestamps import to_microseconds

_COLUMN_LIST = ", ".join(EVENT_COLUMNS)
_HISTORY = (
    f"SELECT {_COLUMN_LIST} FROM events "  # noqa: S608 - names of a tuple's fields
    "WHERE shopper_id = ? AND time <= ?{kept} ORDER BY time DESC, arrival DESC LIMIT ?"
)
_COUNT_EVENTS = (
    "WITH asked(shopper) AS (VALUES {shoppers}) SELECT shopper, (SELECT count(*) FROM "
    "(SELECT 1 FROM events WHERE shopper_id = shopper AND time <= ?{kept} LIMIT ?)) FROM asked"
)
_LIST_EVENTS = (
    f"SELECT time, arrival, {_COLUMN_LIST} FROM events "  # noqa: S608 - names of a tuple's fields
    "WHERE shopper_id = ? AND (time, arrival) > (?, ?){kept} ORDER BY time, arrival LIMIT ?"
)
_LATEST_EVENTS = (
    f"SELECT time, arrival, {_COLUMN_LIST} FROM events "  # noqa: S608 - names of a tuple's fields
    "WHERE shopper_id = ? AND (time, arrival) < (?, ?) AND time >= ? "
    f"AND type IN ({', '.join('?' * len(EventType))}){{kept}} ORDER BY time DESC, arrival DESC LIMIT ?"
)
_BEGINNING = EventPosition(-(2**62), 0)
_ROWS_AT_A_TIME = 500
"""Rows of a long history that are read at a time; other calls run between two parts."""
_FEW_ROWS = 256
"""Rows of a history that are read without a thread; longer ones are read by it, from the beginning."""


class EventReads:
    """Reads the events of shoppers; see `Store` for what the methods do.

    Args:
        reader: of the state file.
        retention: decides which events are kept.
    """

    def __init__(self, reader: Reader, retention: Retention) -> None:
        self._reader, self._retention = reader, retention
        kept = _kept_condition([*retention.periods])
        self._history, self._list = _HISTORY.format(kept=kept), _LIST_EVENTS.format(kept=kept)
        self._latest = _LATEST_EVENTS.format(kept=kept)
        self._count = _COUNT_EVENTS.format(shoppers="{}", kept=kept)

    async def history(self, shopper_id: str, as_of: datetime, limit: int) -> list[Event]:
        """The latest events of a shopper up to a moment, oldest first."""
        values = (shopper_id, to_microseconds(as_of), *self._cutoffs())
        rows = await self._reader.fetch_few_rows(self._history, (*values, min(limit, _FEW_ROWS)))
        if len(rows) == _FEW_ROWS < limit:
            rows = await self._reader.fetch_rows(self._history, (*values, limit))
        rows = rows[::-1]
        events: list[Event] = []
        for begin in range(0, len(rows), _ROWS_AT_A_TIME):
            if begin:
                await asyncio.sleep(0)
            events += map(event_of, rows[begin : begin + _ROWS_AT_A_TIME])
        return events

    async def list_events(
        self, shopper_id: str, after: EventPosition | None, limit: int
    ) -> list[tuple[EventPosition, Event]]:
        """The next events of a shopper, oldest first."""
        values = (shopper_id, *(after or _BEGINNING), *self._cutoffs(), limit)
        rows = await self._reader.fetch_rows(self._list, values)
        return _locate(rows)

    async def latest_events(
        self, shopper_id: str, selection: EventSelection, before: EventPosition, limit: int
    ) -> list[tuple[EventPosition, Event]]:
        """The last events of a selection before a position, newest first."""
        types = [kind.value if kind in selection.types else None for kind in EventType]
        values = (shopper_id, *before, selection.since, *types, *self._cutoffs(), limit)
        return _locate(await self._reader.fetch_rows(self._latest, values))

    async def count_events(self, shopper_ids: Sequence[str], as_of: datetime, limit: int) -> dict[str, int]:
        """Count the events that `history` would return for each shopper."""
        if not shopper_ids:
            return {}
        query = self._count.format(", ".join(["(?)"] * len(shopper_ids)))
        fetch = self._reader.fetch_few_rows if len(shopper_ids) == 1 else self._reader.fetch_rows
        rows = await fetch(query, (*shopper_ids, to_microseconds(as_of), *self._cutoffs(), limit))
        return {shopper_id: count for shopper_id, count in rows}

    def _cutoffs(self) -> list[int]:
        """The values of `_kept_condition`, as of now."""
        if self._retention.keeps_all:
            return []
        cutoffs = self._retention.cutoffs()
        return [cutoffs.latest, *cutoffs.by_type.values()]


def _locate(rows: Sequence[Sequence[Any]]) -> list[tuple[EventPosition, Event]]:
    """Events with their positions, of rows of time, arrival and the columns of an event."""
    return [(EventPosition(time, arrival), event_of(row)) for time, arrival, *row in rows]


def _kept_condition(types: Sequence[EventType]) -> str:
    """A condition of the events that are kept, with a place for the latest cutoff and one for that of each type.

    It tells the type of old events only: that is not in the index, from which events are counted.
    """
    if not types:
        return ""
    cases = " ".join(f"WHEN '{kind.value}' THEN ?" for kind in types)
    return f" AND (time >= ? OR time >= CASE type {cases} ELSE time END)"
