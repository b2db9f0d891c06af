"""Stores events of many calls at a time: a few statements for all of them, however many they are."""

import sqlite3
from collections.abc import Collection, Sequence
from itertools import chain, islice
from typing import Any, NamedTuple

from portrait.features.logs.shopper_hashes import ShopperHasher
from portrait.server.storage.queries import expand_placeholders
from portrait.server.storage.rows import EVENT_COLUMNS, EVENT_ID, SHOPPER_ID, TIME, event_row
from portrait.server.storage.store import Recorded, RecordedEvent

LAST_ARRIVAL = (
    "SELECT max((SELECT coalesce(max(arrival), 0) FROM events), (SELECT arrival FROM state), "
    "(SELECT coalesce(max(arrival), 0) FROM identity_changes), "
    "coalesce((SELECT arrival FROM tombstones ORDER BY number DESC LIMIT 1), 0))"
)
_KNOWN = (
    f"WITH asked(shopper, id) AS (VALUES {{}}) SELECT shopper_id, {', '.join(EVENT_COLUMNS)} "  # noqa: S608 - own names
    "FROM asked CROSS JOIN events ON shopper_id = shopper AND event_id = id"
)
"""A cross join keeps its order, so that each that is asked for is looked up."""
_TOMBSTONES_OF = "SELECT shopper_sha256, forgotten_at FROM tombstones WHERE shopper_sha256 IN ({})"
_COLUMNS = ("arrival", "shopper_id", *EVENT_COLUMNS)
_PLACES = f"({', '.join('?' * len(_COLUMNS))})"
_INSERTS = {
    rows: f"INSERT INTO events ({', '.join(_COLUMNS)}) VALUES {', '.join([_PLACES] * rows)}"  # noqa: S608
    for rows in (64, 16, 4, 1)
}
"""By rows. A statement gives up Python's lock and has to wait for it again: the fewer the better."""
_NEVER = -1
"""Before every event's time."""


class EventRow(NamedTuple):
    """An event to store."""

    shopper_hashes: tuple[str, ...]
    """By which a tombstone may know the shopper."""
    values: tuple[Any, ...]
    """As `event_row` gives them."""


def event_rows(events: Sequence[RecordedEvent], hasher: ShopperHasher) -> list[EventRow]:
    """Events as `record` takes them."""
    hashes = {shopper_id: hasher.list_hashes(shopper_id) for shopper_id in {each.shopper_id for each in events}}
    return [EventRow(hashes[each.shopper_id], event_row(each)) for each in events]


def record(connection: sqlite3.Connection, calls: Sequence[Sequence[EventRow]]) -> list[list[Recorded]]:
    """Store the events of many calls; for each event of each call what became of it.

    Args:
        connection: in a transaction.
        calls: with at least one event each.
    """
    events = [event for call in calls for event in call]
    known = _find_known(connection, {_key(event.values) for event in events})
    hashes = [each for event in events for each in event.shopper_hashes]
    forgotten = dict(connection.execute(*expand_placeholders(_TOMBSTONES_OF, hashes)).fetchall())
    became, new = [], []
    for event in events:
        stored = known.get(_key(event.values))
        if stored is not None:
            became.append(Recorded.KNOWN if stored == event.values else Recorded.CONFLICT)
        elif event.values[TIME] <= max(forgotten.get(each, _NEVER) for each in event.shopper_hashes):
            became.append(Recorded.FORGOTTEN)
        else:
            became.append(Recorded.NEW)
            new.append(event.values)
            known[_key(event.values)] = event.values
    if new:
        _insert(connection, new)
    outcomes = iter(became)
    return [list(islice(outcomes, len(call))) for call in calls]


def _key(row: tuple[Any, ...]) -> tuple[str, str]:
    return row[SHOPPER_ID], row[EVENT_ID]


def _find_known(
    connection: sqlite3.Connection, keys: Collection[tuple[str, str]]
) -> dict[tuple[str, str], tuple[Any, ...]]:
    """Rows of those events of some shoppers, by shopper and id, that are stored."""
    # Bound one by one: SQLite's JSON functions end a text at its first NUL.
    statement, pairs = expand_placeholders(_KNOWN, [*keys], "(?, ?)")
    values = list(chain.from_iterable(pairs))
    return {_key(row): row for row in connection.execute(statement, values)}


def _insert(connection: sqlite3.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows, numbered in their order."""
    ((arrival,),) = connection.execute(LAST_ARRIVAL).fetchall()
    # Those of a shopper are neighbours in both indexes: inserted one behind the other, they share the pages.
    numbered = sorted(enumerate(rows, arrival + 1), key=_shopper_of)
    done = 0
    for size, statement in _INSERTS.items():
        while len(numbered) - done >= size:
            values: list[Any] = []
            for place, row in numbered[done : done + size]:
                values += (place, *row)
            connection.execute(statement, values)
            done += size


def _shopper_of(numbered: tuple[int, tuple[Any, ...]]) -> str:
    return str(numbered[1][SHOPPER_ID])
