"""Seconds from a search to what it led to: by the events alone, and alike for one history and for many."""

from datetime import UTC, datetime, timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from portrait.features.events import EVENT_TYPE_CODES, EVENT_TYPES, Event, EventType
from portrait.features.histories.history_arrays import (
    EVENT_NUMBERS,
    build_event_columns,
    compute_event_numbers,
    compute_search_seconds,
    find_leading_searches,
)

START = datetime(2026, 1, 1, tzinfo=UTC)


def _events(*rows: tuple[EventType, float, str | None]) -> list[Event]:
    return [
        Event(str(place), kind, START + timedelta(seconds=seconds), "item", query=query)
        for place, (kind, seconds, query) in enumerate(rows)
    ]


def _seconds(events: list[Event]) -> list[float | None]:
    found = build_event_columns(events, lambda _: float("nan")).search_seconds
    return [None if np.isnan(value) else round(float(value), 3) for value in found]


def test_seconds_count_from_the_latest_search() -> None:
    search, click = EventType.SEARCH, EventType.CLICK
    rows = (
        (click, 0, None),
        (search, 10, "halo"),
        (search, 20, "halo 4"),
        (click, 32, None),
        (EventType.PURCHASE, 60, None),
    )
    assert _seconds(_events(*rows)) == [None, None, None, 12.0, 40.0]


def test_a_click_that_tells_its_query_counts_from_that_search() -> None:
    search, click = EventType.SEARCH, EventType.CLICK
    events = _events(
        (search, 0, "Halo"), (search, 5, "forza"), (click, 8, "Halo"), (click, 9, "fable"), (click, 11, "forza ")
    )
    assert _seconds(events) == [None, None, 8.0, None, 6.0]


def test_a_search_leads_to_nothing_of_its_own_moment_or_an_hour_later() -> None:
    search, click = EventType.SEARCH, EventType.CLICK
    assert _seconds(_events((search, 0, "halo"), (click, 0, None), (click, 3600, None), (click, 3601, None))) == [
        None, None, 3600.0, None,
    ]  # fmt: skip
    timeless = [Event("1", search, query="halo"), Event("2", click, item_id="item")]
    assert _seconds(timeless) == [None, None]


def test_numbers_tell_whether_the_search_is_known() -> None:
    events = _events((EventType.SEARCH, 0, "halo"), (EventType.CLICK, 3600, None))
    told = compute_event_numbers(build_event_columns(events, lambda _: float("nan")))
    place = EVENT_NUMBERS.index("search_seconds")
    assert told[:, place : place + 2].tolist() == [[0.0, 0.0], [1.0, 1.0]]


_ROWS = st.tuples(
    st.sampled_from(EVENT_TYPES), st.integers(0, 4000), st.sampled_from([None, "", "halo", "halo 4", "forza"])
)


@given(st.lists(st.lists(_ROWS, max_size=12), max_size=5))
def test_histories_side_by_side_are_as_each_alone(rows: list[list[tuple[EventType, int, str | None]]]) -> None:
    histories = [sorted(history, key=lambda row: row[1]) for history in rows]
    together = [row for history in histories for row in history]
    time = np.array([seconds for _, seconds, _ in together], dtype=np.float64)
    searches = find_leading_searches(
        np.cumsum([0, *(len(history) for history in histories)]),
        np.array([EVENT_TYPE_CODES[kind] for kind, _, _ in together], dtype=np.int64),
        time,
        [query for _, _, query in together],
    )
    found = compute_search_seconds(time, searches)
    alone = [value for history in histories for value in _seconds(_events(*history))]
    assert [None if np.isnan(value) else round(float(value), 3) for value in found] == alone


@given(st.lists(_ROWS, max_size=12), st.integers(0, 12))
def test_later_events_change_nothing(rows: list[tuple[EventType, int, str | None]], length: int) -> None:
    events = _events(*sorted(rows, key=lambda row: row[1]))
    assert _seconds(events)[:length] == _seconds(events[:length])
