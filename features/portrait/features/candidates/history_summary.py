"""Summaries of histories by single items, categories and brands: counts of the past at several half-lives."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from portrait.features.events import EVENT_TYPE_CODES, EventType
from portrait.features.histories.history_arrays import (
    MAX_REMEMBERED_EVENTS,
    SECONDS_PER_DAY,
    count_later_moments,
)

HALF_LIVES_DAYS = (3.0, 14.0, 45.0, 180.0)
"""Days after which an event counts half."""
MOMENT_DECAYS = (0.6, 0.85, 0.95)
"""Weight of an event relative to one a moment later; a moment is a basket, or what else has one time."""
EVENT_DECAY = 0.98
"""Weight of an event relative to the next event."""

COUNTS = (
    "count", "event_habit",
    *(f"moment_habit_{decay:g}" for decay in MOMENT_DECAYS),
    *(f"habit_{days:g}d" for days in HALF_LIVES_DAYS),
    "looked_at", "in_cart", "purchased",
)  # fmt: skip
"""Columns of `GroupCounts.counts`: events, decayed in one way each. The last three count events of one kind alone,
decayed by moments."""
_MOMENT_DECAYS, _HALF_LIVES = np.array(MOMENT_DECAYS), np.array(HALF_LIVES_DAYS)
_KIND_DECAY = 1
"""Place in `MOMENT_DECAYS` of the decay of the counts of one kind."""
_KINDS = (
    (EventType.VIEW, EventType.CLICK),
    (EventType.ADD_TO_CART,),
    (EventType.PURCHASE, EventType.RATE),
)
_IS_OF_KIND = np.array(
    [
        [code in [EVENT_TYPE_CODES[each] for each in kind] for kind in _KINDS]
        for code in range(len(EVENT_TYPE_CODES) + 1)
    ]
)
"""`[codes, kinds]`."""
_NEVER = np.inf


@dataclass(frozen=True, slots=True)
class GroupCounts:
    """Counts of a history by item, by category or by brand."""

    places: dict[Hashable, int]
    """Row of each group; any other group has the last row, which says that nothing was done."""
    counts: NDArray[np.float64]
    """`[groups + 1, len(COUNTS)]`."""
    moments: NDArray[np.float64]
    """`[groups + 1]`: moments since the latest event; infinite without one."""
    days: NDArray[np.float64]
    """`[groups + 1]`: days since the latest event; NaN if unknown or without one."""
    gap_days: NDArray[np.float64]
    """`[groups + 1]`: mean days between the moments of a group with three moments at least; NaN of others."""

    def find_rows(self, groups: Sequence[Hashable | None]) -> NDArray[np.int64]:
        """`[len(groups)]`: the row of each group."""
        last = len(self.places)
        return np.array([self.places.get(group, last) for group in groups], dtype=np.int64)


@dataclass(frozen=True, slots=True)
class HistorySummary:
    """Summary of a shopper's latest `MAX_REMEMBERED_EVENTS` events with an item as of a moment."""

    items: GroupCounts
    categories: GroupCounts
    brands: GroupCounts
    events: int
    moments: int
    repeats: float
    """Share of the events with an item that had it before."""
    idle_days: float
    """Days since the latest event; NaN if unknown."""
    price_percentile: float
    """Median of the price percentiles of the events; NaN if none is known."""


def summarise_history(
    items: Sequence[Hashable | None],
    categories: Sequence[Hashable | None],
    brands: Sequence[Hashable | None],
    types: NDArray[np.int64],
    times: NDArray[np.float64],
    percentiles: NDArray[np.float64],
    as_of: float,
) -> HistorySummary:
    """Summarise the latest `MAX_REMEMBERED_EVENTS` events of a history that have an item.

    Searches do not count, not even as moments: a request may have the query of a search that its history lacks.

    Args:
        items: item of each event, oldest first; None for a search, or an item of another catalogue.
        categories: category of each event's item, None if it has none.
        brands: brand of each event's item, None if it has none.
        types: `[events]`, codes of `EVENT_TYPE_CODES`.
        times: `[events]`, seconds since 1970, NaN if unknown.
        percentiles: `[events]`, price percentile of each event, NaN if unknown.
        as_of: the moment of the summary, seconds since 1970; NaN if times mean nothing.
    """
    latest = np.array([place for place, item in enumerate(items) if item is not None], dtype=np.int64)
    latest = latest[-MAX_REMEMBERED_EVENTS:]
    types, times, places = types[latest], times[latest], latest.tolist()
    moment = count_later_moments(times)
    age = np.maximum((as_of - times) / SECONDS_PER_DAY, 0.0)
    weights = _weigh_events(types, moment, age)
    known = percentiles[latest]
    known = known[~np.isnan(known)]
    by_item = _count_groups([items[place] for place in places], weights, moment, age)
    done = len(places)
    return HistorySummary(
        items=by_item,
        categories=_count_groups([categories[place] for place in places], weights, moment, age),
        brands=_count_groups([brands[place] for place in places], weights, moment, age),
        events=done,
        moments=int(moment[0]) + 1 if len(moment) else 0,
        repeats=1.0 - len(by_item.places) / done if done else 0.0,
        idle_days=float(age[-1]) if len(age) else float("nan"),
        price_percentile=float(np.median(known)) if len(known) else float("nan"),
    )


def _weigh_events(types: NDArray[np.int64], moment: NDArray[np.int64], age: NDArray[np.float64]) -> NDArray[np.float64]:
    """`[events, len(COUNTS)]`: what each event adds to each count; 0 to those by days where its time is unknown."""
    by_moments = _MOMENT_DECAYS ** moment[:, None]
    by_days = 0.5 ** (age[:, None] / _HALF_LIVES)
    by_days[np.isnan(age)] = 0.0
    ones = np.ones((len(types), 1))
    by_events = EVENT_DECAY ** np.arange(len(types) - 1, -1, -1)[:, None]
    of_kinds = _IS_OF_KIND[types] * by_moments[:, _KIND_DECAY, None]
    return np.concatenate([ones, by_events, by_moments, by_days, of_kinds], axis=1)


def _count_groups(
    groups: Sequence[Hashable | None],
    weights: NDArray[np.float64],
    moment: NDArray[np.int64],
    age: NDArray[np.float64],
) -> GroupCounts:
    places: dict[Hashable, int] = {}
    codes = np.array([-1 if group is None else places.setdefault(group, len(places)) for group in groups], dtype=int)
    of = np.flatnonzero(codes >= 0)
    code, count = codes[of], len(places) + 1
    counts = np.zeros((count, weights.shape[1]))
    last_moment, days, gap = np.full(count, _NEVER), np.full(count, np.nan), np.full(count, np.nan)
    if len(of):
        order = np.argsort(code, kind="stable")
        begins = np.searchsorted(code[order], np.arange(count - 1))
        sorted_events = of[order]
        counts[:-1] = np.add.reduceat(weights[sorted_events], begins, axis=0)
        ends = sorted_events[np.append(begins[1:], len(of)) - 1]
        last_moment[:-1], days[:-1] = moment[ends], age[ends]
        first = sorted_events[begins]
        new_moment = np.ones(len(of))
        new_moment[1:] = moment[sorted_events][1:] != moment[sorted_events][:-1]
        new_moment[begins] = 1.0
        visits = np.add.reduceat(new_moment, begins)
        with np.errstate(invalid="ignore"):
            gap[:-1] = np.where(visits >= 3, (age[first] - age[ends]) / np.maximum(visits - 1, 1), np.nan)
    return GroupCounts(places, counts, last_moment, days, gap)
