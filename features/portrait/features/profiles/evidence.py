"""Weights of the events of a history, as evidence of a shopper."""

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from itertools import compress
from operator import attrgetter, itemgetter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from portrait.features.events import EVENT_TYPE_CODES, Event, EventType, Item
from portrait.features.histories.history_arrays import SECONDS_PER_DAY
from portrait.features.population.interest_dynamics import InterestDecay, compute_event_weights, decay_by_age
from portrait.features.population.population import InterestDynamics

DEFAULT_DECAY_BY_TIME = InterestDecay(short=30.0, long=30.0, short_share=0.0, prior=3.0)
"""Decay of a release without statistics: an event counts half after a month."""
DEFAULT_DECAY_BY_ORDER = InterestDecay(short=20.0, long=20.0, short_share=0.0, prior=3.0)
"""The same where events have no times: after this many later events."""
MAX_EVIDENCE = 10
"""Event ids named for one statement."""
MAX_EXPLAINED_EVENTS = 64
"""Evidence and effects are looked for in so many of the latest events."""


class WeightedEvent(NamedTuple):
    """An event, its item, and what it counts. A tuple, since a history makes thousands."""

    event: Event
    item: Item | None
    """None of a search, and of an item that no catalogue holds."""
    short: float
    """0 to 1, by the short half-life."""
    long: float
    """0 to 1, by the long half-life."""
    recency: float
    """The part of an event of full weight that the long half-life leaves."""


@dataclass(frozen=True)
class Evidence:
    """A history up to a moment, weighted. What is said of a shopper is read of nothing else."""

    events: Sequence[WeightedEvent]
    """Oldest first; events of one moment in the order of their ids, so that how they arrived changes nothing."""
    seconds: NDArray[np.float64]
    """`[events]`: their times since 1970, UTC; NaN of an event that carries none."""
    as_of: datetime
    decay: InterestDecay
    has_times: bool
    """True if every event carries a time."""
    in_days: bool
    """True if half-lives are days, else events."""

    @classmethod
    def from_history(
        cls,
        history: Iterable[Event],
        as_of: datetime,
        item: Callable[[Event], Item | None],
        attention: InterestDynamics | None = None,
    ) -> "Evidence":
        """Weigh a history.

        Args:
            history: oldest first; events later than `as_of` are not seen.
            as_of: the moment of the profile.
            item: looks up what an event was done to, None if it is unknown.
            attention: the release's half-lives; None for the defaults.
        """
        seen = [event for event in history if event.time is None or event.time <= as_of]
        timed = all(event.time is not None for event in seen)
        if timed:
            seen.sort(key=attrgetter("time", "event_id"))
        in_days = timed and (attention is None or attention.by_time is not None)
        decay = _choose_decay(in_days, attention)
        seconds = np.array([np.nan if event.time is None else event.time.timestamp() for event in seen], np.float64)
        age = (as_of.timestamp() - seconds) / SECONDS_PER_DAY if in_days else np.arange(len(seen) - 1.0, -1.0, -1.0)
        weight = _weigh_events(seen)
        recency = decay_by_age(age, decay.long)
        numbers = np.stack([weight * decay_by_age(age, decay.short), weight * recency, recency], 1).tolist()
        weighted = [WeightedEvent(event, item(event), *each) for event, each in zip(seen, numbers, strict=True)]
        return cls(weighted, seconds, as_of, decay, timed, in_days)

    def without(self, removed: Iterable[Event]) -> "Evidence | None":
        """Leave some of the very events of the history out; None where the others count another thing without them.

        They do where half-lives are events, and where a purchase has lost its refund, or a refund its purchase.
        """
        gone = {id(event): event for event in removed}
        if not self.in_days or any((event.item_id, event.catalogue) in self._refunded_items for event in gone.values()):
            return None
        kept = [id(each.event) not in gone for each in self.events]
        return replace(self, events=list(compress(self.events, kept)), seconds=self.seconds[kept])

    @cached_property
    def _refunded_items(self) -> set[tuple[str | None, str]]:
        return {
            (each.event.item_id, each.event.catalogue) for each in self.events if each.event.type is EventType.REFUND
        }

    @cached_property
    def latest(self) -> datetime | None:
        """The time of the latest event that has one."""
        return max((each.event.time for each in self.events if each.event.time is not None), default=None)

    @property
    def short_term_expires_at(self) -> datetime | None:
        """The moment at which short-term evidence is worth half; None if the events carry no times."""
        return self.as_of + timedelta(days=self.decay.short) if self.in_days else None

    @property
    def long_term_expires_at(self) -> datetime | None:
        """The same by the long half-life."""
        return self.as_of + timedelta(days=self.decay.long) if self.in_days else None


def _weigh_events(events: Sequence[Event]) -> NDArray[np.float64]:
    """`[events]`: what each counts, whenever it was; nothing if a refund takes it back."""
    codes = np.array([EVENT_TYPE_CODES.get(event.type, 0) for event in events], dtype=np.int64)
    codes[list(_find_refunded(events))] = 0
    return compute_event_weights(
        codes,
        np.array([np.nan if event.rating is None else event.rating for event in events], dtype=np.float64),
        np.array([np.nan if event.dwell_seconds is None else event.dwell_seconds for event in events], np.float64),
    )


def _find_refunded(events: Sequence[Event]) -> set[int]:
    """Places of purchases that a refund takes back: of each refund the latest of its item that none took back yet.

    Args:
        events: oldest first; of one moment, a refund takes back what stands behind it too.
    """
    refunds = [event for event in events if event.type is EventType.REFUND]
    refunded_items = {(refund.item_id, refund.catalogue) for refund in refunds}
    purchases: dict[tuple[str | None, str], _UnrefundedPurchases] = {
        item: _UnrefundedPurchases() for item in refunded_items
    }
    for place, event in enumerate(events):
        if event.type is EventType.PURCHASE and (event.item_id, event.catalogue) in purchases:
            purchases[event.item_id, event.catalogue].add(place, event.time)
    taken_back = (purchases[refund.item_id, refund.catalogue].take_back(refund.time) for refund in refunds)
    return {place for place in taken_back if place is not None}


class _UnrefundedPurchases:
    """Places of the purchases of one item that no refund has taken back; each is looked at once, however many."""

    def __init__(self) -> None:
        self._untimed: list[int] = []
        self._later: deque[tuple[datetime, int]] = deque()
        """Those later than every refund so far, oldest first."""
        self._before: list[int] = []
        """Those not later than some refund so far."""

    def add(self, place: int, time: datetime | None) -> None:
        """Note a purchase; places and times ascend."""
        if time is None:
            self._untimed.append(place)
        else:
            self._later.append((time, place))

    def take_back(self, time: datetime | None) -> int | None:
        """Remove and return the latest purchase that a refund of a time can be of; None if there is none.

        Args:
            time: ascends from refund to refund; None can be of any purchase.
        """
        while time is not None and self._later and self._later[0][0] <= time:
            self._before.append(self._later.popleft()[1])
        if time is None and self._later and (not self._untimed or self._untimed[-1] < self._later[-1][1]):
            return self._later.pop()[1]
        nearest = max((places for places in (self._untimed, self._before) if places), key=itemgetter(-1), default=None)
        return nearest.pop() if nearest else None


def strongest_event_ids(weighted: Iterable[tuple[float, int, str]]) -> tuple[str, ...]:
    """Ids of the events that weigh most, of equal ones the latest, each once.

    Args:
        weighted: weight, place in the history and id of each.
    """
    return tuple(event_id for _, _, event_id in heapq.nlargest(MAX_EVIDENCE, weighted))


def latest_event_ids(event_ids: Sequence[str]) -> tuple[str, ...]:
    """The last of some ids, the latest first.

    Args:
        event_ids: oldest first.
    """
    return tuple(event_ids[: -MAX_EVIDENCE - 1 : -1])


def _choose_decay(in_days: bool, attention: InterestDynamics | None) -> InterestDecay:
    if attention is None:
        return DEFAULT_DECAY_BY_TIME if in_days else DEFAULT_DECAY_BY_ORDER
    return attention.by_time if in_days and attention.by_time is not None else attention.by_order
