"""Histories of recorded shoppers: their latest events up to a moment."""

import asyncio
import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from portrait.features.events import Event
from portrait.server.storage.store import Store

MAX_HISTORY_EVENTS = 10_000
"""A longer inline history is refused; of a longer recorded one the latest events are read."""
_CLOCK_SKEW = timedelta(days=1)
"""Maximum time by which an event may be ahead of this server's clock."""


@dataclass(frozen=True, slots=True)
class History:
    """A shopper's events up to a moment."""

    events: Sequence[Event]
    """Oldest first, nothing later than `as_of`."""
    as_of: datetime

    @classmethod
    def up_to(cls, events: Sequence[Event], as_of: datetime | None) -> "History":
        """Build a history of events that are not later than `as_of`.

        Args:
            events: oldest first.
            as_of: None means now, or the latest event where its clock runs ahead of this server's.
        """
        if as_of is None:
            as_of = max([datetime.now(UTC), *(event.time for event in events if event.time is not None)])
        return cls(events, as_of)


def visible_until(as_of: datetime | None) -> datetime:
    """The time of the latest event that a request at `as_of` reads.

    Without `as_of`, events of clocks that run ahead of this server's count too: what was just recorded is read.
    """
    return datetime.now(UTC) + _CLOCK_SKEW if as_of is None else as_of


async def read_history(
    store: Store, shopper_ids: Sequence[str], as_of: datetime | None, limit: int = MAX_HISTORY_EVENTS
) -> History:
    """Read a shopper's latest events, those of all ids in the order of time. The caller checks consent.

    Events of one time come in the order of the ids.

    Args:
        store: holds the events.
        shopper_ids: all ids of the shopper, at least one; an unknown shopper has an empty history.
        as_of: None means now.
        limit: maximum number of events.
    """
    until = visible_until(as_of)
    if len(shopper_ids) == 1:
        return History.up_to(await store.history(shopper_ids[0], until, limit), as_of)
    parts = await asyncio.gather(*(store.history(each, until, limit) for each in shopper_ids))
    return History.up_to([*heapq.merge(*parts, key=_time_of)][-limit:], as_of)


def _time_of(event: Event) -> datetime:
    assert event.time is not None  # of a recorded event
    return event.time
