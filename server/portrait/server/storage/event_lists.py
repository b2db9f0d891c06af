"""Lists of a shopper's recorded events, the newest first, in pages."""

import asyncio
import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from portrait.server.storage.store import EventPosition, EventSelection, RecordedEvent, Store

MAX_ARRIVAL = 2**62
"""Above the number of every event, and above every time in microseconds."""


class EventPlace(NamedTuple):
    """The place of an event in the list of a shopper with several ids, whatever ids are linked or unlinked meanwhile.

    Numbers of arrival are of one id, so events of one time are in the order of ids first.
    """

    time: int
    """Microseconds since 1970."""
    id_hash: bytes
    """8 bytes: a place is shown to callers, and an id need not be."""
    arrival: int


END = EventPlace(MAX_ARRIVAL, b"", 0)
"""Behind all events: a list begins here."""


async def read_latest_events(
    store: Store, shopper_ids: Sequence[str], selection: EventSelection, before: EventPlace, limit: int
) -> list[tuple[EventPlace, RecordedEvent]]:
    """Read the last events before a place, those of all ids together, newest first.

    Args:
        store: holds the events.
        shopper_ids: all ids of the shopper.
        selection: the events that are listed.
        before: `END`, or the place of the last event of the page before.
        limit: maximum number of events.
    """
    parts = await asyncio.gather(*(_read_part(store, each, selection, before, limit) for each in shopper_ids))
    merged = sorted((found for part in parts for found in part), key=lambda found: found[0], reverse=True)
    return merged[:limit]


async def _read_part(
    store: Store, shopper_id: str, selection: EventSelection, before: EventPlace, limit: int
) -> list[tuple[EventPlace, RecordedEvent]]:
    id_hash = hashlib.blake2b(shopper_id.encode(), digest_size=8).digest()
    arrival = before.arrival
    if id_hash != before.id_hash:  # all events of the time come before the place, or none does
        arrival = MAX_ARRIVAL if id_hash < before.id_hash else 0
    found = await store.latest_events(shopper_id, selection, EventPosition(before.time, arrival), limit)
    return [
        (EventPlace(position.time, id_hash, position.arrival), RecordedEvent(shopper_id, event))
        for position, event in found
    ]
