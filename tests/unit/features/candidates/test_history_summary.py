"""Summaries of histories: what is counted, by which clock, and what is unknown."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portrait.features.candidates.history_summary import (
    COUNTS,
    NO_GROUP,
    HistorySummary,
    count_later_moments,
    summarise_history,
)
from portrait.features.events import EVENT_TYPE_CODES, EventType
from portrait.features.histories.history_arrays import MAX_REMEMBERED_EVENTS

DAY = 86_400.0


A, B, C = 7, 3, 5
"""Numbers of items, in no order."""


def summarise(items: list[int], days: list[float], as_of: float = 10.0) -> HistorySummary:
    codes = np.full(len(items), EVENT_TYPE_CODES[EventType.ADD_TO_CART])
    times = np.array(days, dtype=np.float64) * DAY
    nothing = np.full(len(items), NO_GROUP)
    return summarise_history(
        np.array(items, dtype=np.int64), nothing, nothing, codes, times, np.full(len(items), np.nan), as_of * DAY
    )


def test_events_of_one_time_are_one_moment_and_unknown_times_are_moments_of_their_own() -> None:
    assert count_later_moments(np.array([1.0, 1.0, 2.0, 3.0, 3.0])).tolist() == [2, 2, 1, 0, 0]
    assert count_later_moments(np.full(3, np.nan)).tolist() == [2, 1, 0]
    assert count_later_moments(np.empty(0)).tolist() == []


def test_searches_change_nothing() -> None:
    # A request with a query may come before the event of its search is recorded, or after it.
    without = summarise([A, B, A], [1.0, 2.0, 3.0])
    with_searches = summarise([NO_GROUP, A, NO_GROUP, B, A, NO_GROUP], [0.5, 1.0, 1.5, 2.0, 3.0, 9.0])
    np.testing.assert_array_equal(with_searches.items.numbers, without.items.numbers)
    np.testing.assert_array_equal(with_searches.items.counts, without.items.counts)
    np.testing.assert_array_equal(with_searches.items.moments, without.items.moments)
    assert (with_searches.events, with_searches.moments, with_searches.idle_days) == (3, 3, 7.0)


def test_a_group_that_is_unknown_has_done_nothing() -> None:
    items = summarise([A, B], [1.0, 2.0]).items
    [row] = items.find_rows(np.array([C]))
    assert not items.counts[row].any()
    assert math.isinf(items.moments[row])
    assert math.isnan(items.days[row])
    assert items.find_rows(np.array([NO_GROUP, A, B, A + 1])).tolist() == [row, 1, 0, row]


def test_the_gap_is_the_mean_between_the_moments_of_an_item_that_came_three_times() -> None:
    # Item a twice in one basket, then after 2 and after 4 days; item b came at two moments only.
    items = summarise([A, A, B, A, B, A], [1.0, 1.0, 2.0, 3.0, 4.0, 7.0]).items
    assert items.gap_days[items.find_rows(np.array([A, B]))] == pytest.approx([3.0, math.nan], nan_ok=True)


def test_without_times_habits_by_days_and_recency_are_unknown_and_those_by_order_are_not() -> None:
    summary = summarise([A, B], [math.nan, math.nan], math.nan)
    counts = dict(zip(COUNTS, summary.items.counts[summary.items.find_rows(np.array([A, B]))].T.tolist(), strict=True))
    assert counts["habit_3d"] == counts["habit_180d"] == [0.0, 0.0]
    assert counts["moment_habit_0.6"] == pytest.approx([0.6, 1.0])
    assert counts["event_habit"] == pytest.approx([0.98, 1.0])
    assert counts["in_cart"] == pytest.approx([0.85, 1.0])
    assert np.isnan(summary.items.days).all()
    assert math.isnan(summary.idle_days)


def test_an_event_after_the_moment_of_the_summary_is_of_now() -> None:
    assert summarise([A], [12.0], as_of=10.0).idle_days == 0.0


@given(st.lists(st.tuples(st.sampled_from([A, B, C, NO_GROUP]), st.integers(0, 9)), max_size=40))
def test_counts_are_those_of_a_plain_loop(events: list[tuple[int, int]]) -> None:
    events.sort(key=lambda event: event[1])
    summary = summarise([item for item, _ in events], [float(day) for _, day in events])
    moments = sorted({day for item, day in events if item != NO_GROUP}, reverse=True)
    for item in (A, B, C):
        own = [day for each, day in events if each == item]
        [row] = summary.items.find_rows(np.array([item]))
        found = dict(zip(COUNTS, summary.items.counts[row].tolist(), strict=True))
        assert found["count"] == len(own)
        assert found["moment_habit_0.85"] == pytest.approx(sum(0.85 ** moments.index(day) for day in own))
        assert found["habit_45d"] == pytest.approx(sum(0.5 ** ((10 - day) / 45) for day in own))
    assert summary.moments == len(moments)


def test_only_the_latest_events_are_remembered() -> None:
    count = MAX_REMEMBERED_EVENTS
    summary = summarise([A, *[B] * count], [float(day) for day in range(count + 1)])
    assert summary.items.numbers.tolist() == [B]
    assert summary.events == count
