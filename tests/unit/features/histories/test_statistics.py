"""Statistics of histories: what heads of traits read beside the profile."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portrait.features.events import EVENT_TYPES, Event, EventType
from portrait.features.histories.history_arrays import MAX_REMEMBERED_EVENTS, SECONDS_PER_DAY
from portrait.features.histories.statistics import (
    RFM,
    STATISTICS,
    compute_history_statistics,
    compute_spending,
    compute_statistics,
)

NOW = datetime(2026, 1, 31, tzinfo=UTC)


def bought(days_ago: float, price: float | None = 10.0, quantity: float | None = None) -> Event:
    return Event("e", EventType.PURCHASE, NOW - timedelta(days=days_ago), "i", price=price, quantity=quantity)


def told(events: list[Event]) -> dict[str, float]:
    found = compute_history_statistics(events, NOW)
    assert found is not None
    return dict(zip(STATISTICS, np.expm1(found.astype(np.float64)).round(4).tolist(), strict=True))


def test_counts_days_money_and_events_over_each_span() -> None:
    seen = Event("v", EventType.VIEW, NOW - timedelta(days=1), "i", price=99.0)
    found = told([bought(400), bought(40, 5.0, 3.0), bought(10), bought(10), seen])
    assert found["recency"] == 10
    assert found["last_event"] == 1
    assert found["tenure"] == 400
    assert found["gap"] == 195
    assert [found[f"frequency_{span}"] for span in (30, 90, 365)] == [1, 2, 2]
    assert [found[f"monetary_{span}"] for span in (30, 90, 365)] == [20, 35, 35]
    assert [found[f"events_{span}"] for span in (30, 90, 365)] == [3, 4, 4]


def test_says_never_of_who_bought_nothing() -> None:
    found = told([Event("v", EventType.VIEW, NOW, "i")])
    assert found["recency"] == found["gap"] == pytest.approx(730, rel=1e-6)
    assert found["monetary_365"] == found["frequency_365"] == 0


def test_other_catalogues_do_not_count() -> None:
    seen = Event("a", EventType.CLICK, NOW, "ad", catalogue="ads")
    assert told([bought(3), seen]) == told([bought(3)])


def test_refunds_do_not_count() -> None:
    back = Event("r", EventType.REFUND, NOW - timedelta(days=1), "i", price=10.0)
    assert told([bought(20), back]) == told([bought(20)])


def test_counts_no_money_where_the_price_is_unknown() -> None:
    assert told([bought(1, None)])["monetary_30"] == 0


def test_has_none_of_a_history_without_times() -> None:
    assert compute_history_statistics([Event("e", EventType.PURCHASE, None, "i")], NOW) is None


def test_the_baseline_reads_some_of_them() -> None:
    assert set(RFM) <= set(STATISTICS)


ages = st.lists(st.floats(0, 1000), min_size=1, max_size=30).map(lambda drawn: sorted(drawn, reverse=True))


@given(ages, st.data())
def test_are_the_same_from_columns_as_from_a_history(drawn: list[float], data: st.DataObject) -> None:
    kinds = data.draw(st.lists(st.sampled_from(EVENT_TYPES), min_size=len(drawn), max_size=len(drawn)))
    events = [
        Event("e", kind, NOW - timedelta(days=age), "i", price=age, quantity=2.0)
        for kind, age in zip(kinds, drawn, strict=True)
    ]
    times = [event.time.timestamp() for event in events if event.time]
    found = compute_statistics(
        np.array(times),
        np.array([kind is EventType.PURCHASE for kind in kinds]),
        compute_spending(np.array(drawn), np.full(len(drawn), 2.0)),
        NOW.timestamp(),
    )
    np.testing.assert_array_equal(found, compute_history_statistics(events, NOW))
    assert np.isfinite(found).all()


def test_look_at_the_remembered_events_only() -> None:
    time = NOW.timestamp() - SECONDS_PER_DAY * np.arange(MAX_REMEMBERED_EVENTS + 50, 0, -1)
    every = np.ones(len(time), dtype=bool)
    latest = slice(-MAX_REMEMBERED_EVENTS, None)
    whole = compute_statistics(time, every, np.ones(len(time)), NOW.timestamp())
    part = compute_statistics(time[latest], every[latest], np.ones(MAX_REMEMBERED_EVENTS), NOW.timestamp())
    np.testing.assert_array_equal(whole, part)
