"""Retention: the time for which events are kept, by their type."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import structlog

from portrait.features.events import Event, EventType
from portrait.server.errors import PortraitError
from portrait.server.storage.store import Recorded, RecordedEvent, Store
from portrait.server.timestamps import to_microseconds

POLL_SECONDS = 60.0
"""Pause between two calls of `delete_expired`."""
_MICROSECOND = timedelta(microseconds=1)
_DAYS = {"d": 1, "y": 365}
_MAX_YEARS = 100
_PERIOD = re.compile(r"([0-9]{1,9})([dy])")


_log = structlog.get_logger(__name__)


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Retention:
    """The time for which events are kept. An event whose period is over counts as deleted, wherever it still lies."""

    periods: Mapping[EventType, timedelta]
    """Since the time of the event; events of a type that is not here are kept for ever."""
    clock: Callable[[], datetime] = field(default=_now, compare=False)
    """Tells the time, UTC."""

    @classmethod
    def parse(cls, text: str) -> "Retention":
        """Parse periods such as `view=90d,purchase=3y`; a year has 365 days.

        Raises:
            ValueError: it has another form, names an unknown type or one twice, or a period is out of bounds.
        """
        periods: dict[EventType, timedelta] = {}
        for entry in text.split(","):
            name, _, period = (part.strip() for part in entry.partition("="))
            if name not in {*EventType}:
                raise ValueError(f"{name!r} is no type of an event: {', '.join(EventType)}")
            if name in periods:
                raise ValueError(f"{name} is there twice")
            periods[EventType(name)] = _parse_period(name, period)
        return cls(periods)

    @property
    def keeps_all(self) -> bool:
        """True if no event expires."""
        return not self.periods

    def cutoffs(self) -> "Cutoffs":
        """The times before which events have expired now."""
        now = to_microseconds(self.clock())
        return Cutoffs({kind.value: now - period // _MICROSECOND for kind, period in self.periods.items()})

    def remaining(self, event: Event) -> timedelta | None:
        """The time for which an event will still be kept; None for ever."""
        period = self.periods.get(event.type)
        return None if period is None or event.time is None else event.time + period - self.clock()


KEEP_ALL = Retention({})
"""Keeps every event for ever."""


@dataclass(frozen=True, slots=True)
class Cutoffs:
    """The times before which events have expired, in microseconds since 1970, by type."""

    by_type: Mapping[str, int]

    @property
    def latest(self) -> int:
        """No event of this time or later has expired, whatever its type; there is at least one type."""
        return max(self.by_type.values())

    @property
    def earliest(self) -> int | None:
        """All events before this time have expired, whatever their type; None if some never do."""
        return min(self.by_type.values()) if len(self.by_type) == len(EventType) else None

    def keep(self, kind: str, time: int) -> bool:
        """Tell whether an event of a type and time is kept."""
        return time >= self.by_type.get(kind, time)


async def record_kept(
    retention: Retention,
    events: Sequence[RecordedEvent],
    record: Callable[[Sequence[RecordedEvent]], Awaitable[list[Recorded]]],
) -> list[Recorded]:
    """Store the events that are kept.

    Args:
        retention: decides which are.
        events: to be stored.
        record: stores events.

    Returns:
        for each event what became of it.
    """
    if retention.keeps_all:
        return await record(events)
    cutoffs = retention.cutoffs()
    kept = [
        each.event.time is None or cutoffs.keep(each.event.type, to_microseconds(each.event.time)) for each in events
    ]
    stored = iter(await record([each for each, keep in zip(events, kept, strict=True) if keep]))
    return [next(stored) if keep else Recorded.EXPIRED for keep in kept]


async def delete_expired(store: Store) -> None:
    """Delete the events whose retention is over, and log their number.

    A failure is logged and no more: nobody is served such an event, and the next call may succeed.
    """
    try:
        deleted = await store.delete_expired()
    except PortraitError as error:
        _log.warning("expiry_failed", exception=type(error).__name__)
        return
    if deleted:
        _log.info("expired_events_deleted", events=deleted)


def _parse_period(name: str, text: str) -> timedelta:
    matched = _PERIOD.fullmatch(text)
    days = int(matched[1]) * _DAYS[matched[2]] if matched else 0
    if not 1 <= days <= _MAX_YEARS * _DAYS["y"]:
        raise ValueError(
            f"the period of {name}, {text!r}, is none of 1d to {_MAX_YEARS * _DAYS['y']}d (days) "
            f"or 1y to {_MAX_YEARS}y (years)"
        )
    return timedelta(days=days)
