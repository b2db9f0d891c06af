"""Summaries of histories by single items, categories and brands: counts of the past at several half-lives."""

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
NO_GROUP = -1
"""In place of the number of an item, a category or a brand, where there is none; any other number is one."""
_NEVER = np.inf


@dataclass(frozen=True, slots=True)
class GroupCounts:
    """Counts of a history by item, by category or by brand. Any other group has the last row: nothing was done."""

    numbers: NDArray[np.int64]
    """`[groups]`, ascending: the number of each group."""
    first: NDArray[np.int64]
    """`[groups]`: place of the earliest event of each in the history."""
    counts: NDArray[np.float64]
    """`[groups + 1, len(COUNTS)]`."""
    moments: NDArray[np.float64]
    """`[groups + 1]`: moments since the latest event; infinite without one."""
    days: NDArray[np.float64]
    """`[groups + 1]`: days since the latest event; NaN if unknown or without one."""
    gap_days: NDArray[np.float64]
    """`[groups + 1]`: mean days between the moments of a group with three moments at least; NaN of others."""

    def find_rows(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """`[len(numbers)]`: the row of each group."""
        last = len(self.numbers)
        if not last:
            return np.zeros(len(numbers), dtype=np.int64)
        rows = np.searchsorted(self.numbers, numbers)
        return np.where(self.numbers[np.minimum(rows, last - 1)] == numbers, rows, last)


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
    items: NDArray[np.int64],
    categories: NDArray[np.int64],
    brands: NDArray[np.int64],
    types: NDArray[np.int64],
    times: NDArray[np.float64],
    percentiles: NDArray[np.float64],
    as_of: float,
) -> HistorySummary:
    """Summarise the latest `MAX_REMEMBERED_EVENTS` events of a history that have an item.

    Searches do not count, not even as moments: a request may have the query of a search that its history lacks.

    Args:
        items: `[events]`, number of each event's item, oldest first; `NO_GROUP` for a search, or an item of another
            catalogue.
        categories: `[events]`, number of the category of each event's item; `NO_GROUP` if it has none.
        brands: `[events]`, number of its brand; `NO_GROUP` if it has none.
        types: `[events]`, codes of `EVENT_TYPE_CODES`.
        times: `[events]`, seconds since 1970, NaN if unknown.
        percentiles: `[events]`, price percentile of each event, NaN if unknown.
        as_of: the moment of the summary, seconds since 1970; NaN if times mean nothing.
    """
    latest = np.flatnonzero(items != NO_GROUP)[-MAX_REMEMBERED_EVENTS:]
    times = times[latest]
    moment = count_later_moments(times)
    age = np.maximum((as_of - times) / SECONDS_PER_DAY, 0.0)
    known = percentiles[latest]
    known = known[~np.isnan(known)]
    groups = np.stack([items[latest], categories[latest], brands[latest]])
    by_item, by_category, by_brand = _count_groups(groups, _weigh_events(types[latest], moment, age), moment, age)
    done = len(latest)
    return HistorySummary(
        items=by_item,
        categories=by_category,
        brands=by_brand,
        events=done,
        moments=int(moment[0]) + 1 if done else 0,
        repeats=1.0 - len(by_item.numbers) / done if done else 0.0,
        idle_days=float(age[-1]) if done else float("nan"),
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
    groups: NDArray[np.int64],
    weights: NDArray[np.float64],
    moment: NDArray[np.int64],
    age: NDArray[np.float64],
) -> list[GroupCounts]:
    """Count the groups of each kind: `[kinds, events]` numbers, all in one pass."""
    kind, event = np.nonzero(groups != NO_GROUP)
    number = groups[kind, event]
    order = np.lexsort((number, kind))  # events of one group stay in their order
    kind, event, number = kind[order], event[order], number[order]
    is_first = np.ones(len(event), dtype=bool)
    is_first[1:] = (kind[1:] != kind[:-1]) | (number[1:] != number[:-1])
    begins = np.flatnonzero(is_first)
    first, last = event[begins], event[np.append(begins[1:], len(event))[: len(begins)] - 1]
    is_first[1:] |= moment[event[1:]] != moment[event[:-1]]
    visits = np.add.reduceat(is_first, begins, dtype=np.int64)
    counts = np.add.reduceat(weights[event], begins, axis=0)
    gap = np.where(visits >= 3, (age[first] - age[last]) / np.maximum(visits - 1, 1), np.nan)
    ends = np.searchsorted(kind[begins], np.arange(len(groups) + 1))
    return [
        GroupCounts(
            number[begins[part]],
            first[part],
            np.concatenate([counts[part], np.zeros((1, counts.shape[1]))]),
            np.append(moment[last[part]], _NEVER),
            np.append(age[last[part]], np.nan),
            np.append(gap[part], np.nan),
        )
        for part in map(slice, ends[:-1].tolist(), ends[1:].tolist())
    ]
