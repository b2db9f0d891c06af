"""How much each event counts for what it says of a shopper."""

from collections.abc import Sequence
from datetime import datetime

from portrait.features.events import Event, EventType

HALF_LIFE_DAYS = 30.0
"""An event counts half after this long."""
HALF_LIFE_EVENTS = 20.0
"""The same where events have no times: after this many later events."""
MOST_EVIDENCE = 10
"""Event ids named for one statement."""

_TYPE_WEIGHTS = {
    EventType.SEARCH: 0.5,
    EventType.VIEW: 0.3,
    EventType.CLICK: 0.4,
    EventType.ADD_TO_CART: 0.7,
    EventType.PURCHASE: 1.0,
    EventType.RATE: 1.0,
}
_DISLIKED, _LIKED = 2.0, 5.0
_SECONDS_PER_DAY = 86_400.0


def weights(history: Sequence[Event], as_of: datetime) -> list[float]:
    """Weight of each event, 0 to 1: that of its type, halved for each half-life since.

    A rating counts in proportion: nothing at 2 of 5 and below, in full at 5.

    Args:
        history: oldest first, nothing later than `as_of`.
        as_of: the moment from which the ages count back.
    """
    return [
        _TYPE_WEIGHTS[event.type] * _liking(event) * 0.5 ** _half_lives(event, len(history) - 1 - place, as_of)
        for place, event in enumerate(history)
    ]


def _half_lives(event: Event, later_events: int, as_of: datetime) -> float:
    if event.time is None:
        return later_events / HALF_LIFE_EVENTS
    return max((as_of - event.time).total_seconds(), 0.0) / _SECONDS_PER_DAY / HALF_LIFE_DAYS


def _liking(event: Event) -> float:
    if event.type is not EventType.RATE or event.rating is None:
        return 1.0
    return max(0.0, (event.rating - _DISLIKED) / (_LIKED - _DISLIKED))
