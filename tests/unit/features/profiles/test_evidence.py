"""A weighted history without some of its events is the history that never had them, weighted."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portrait.features.events import Event, EventType, Item
from portrait.features.profiles.evidence import Evidence

NOW = datetime(2026, 5, 1, tzinfo=UTC)
ITEM = Item("lamp", "Lamp", category_path=("Home", "Lamps"))


def event(number: int, kind: EventType, days: int | None, item_id: str) -> Event:
    return Event(
        f"e{number}",
        kind,
        None if days is None else NOW - timedelta(days=days),
        None if kind is EventType.SEARCH else item_id,
        query="lamp" if kind is EventType.SEARCH else None,
    )


def item(event: Event) -> Item | None:
    return ITEM if event.item_id == "lamp" else None


KINDS = st.tuples(st.sampled_from(EventType), st.integers(0, 60), st.sampled_from(["lamp", "rug", "pan"]))


@given(st.lists(st.tuples(KINDS, st.booleans()), max_size=30))
def test_what_is_left_counts_as_if_the_rest_had_never_been(
    drawn: list[tuple[tuple[EventType, int, str], bool]],
) -> None:
    history = [event(number, *values) for number, (values, _) in enumerate(drawn)]
    history.sort(key=lambda each: each.time or NOW)
    removed = [each for each in history if drawn[int(each.event_id[1:])][1]]
    kept = [each for each in history if each not in removed]
    left = Evidence.from_history(history, NOW, item).without(removed)
    refunded = {each.item_id for each in history if each.type is EventType.REFUND}
    if left is None:
        assert refunded.intersection(each.item_id for each in removed)
        return
    fresh = Evidence.from_history(kept, NOW, item)
    assert [each[:2] for each in left.events] == [each[:2] for each in fresh.events]
    assert np.array([each[2:] for each in left.events]) == pytest.approx(np.array([each[2:] for each in fresh.events]))
    np.testing.assert_array_equal(left.seconds, fresh.seconds)


def test_events_without_times_count_by_their_order_and_so_anew() -> None:
    history = [event(number, EventType.VIEW, None, "lamp") for number in range(3)]
    assert Evidence.from_history(history, NOW, item).without(history[:1]) is None
