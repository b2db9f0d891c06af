"""Orders by which sources choose candidates, and the scales of the statistics that they order by."""

import numpy as np
import pytest

from portrait.features.candidates.history_summary import NO_GROUP, summarise_history
from portrait.features.candidates.item_statistics import (
    ITEM_STATISTICS,
    POPULARITY,
    RECENT_POPULARITY,
    scale_popularity,
    scale_recent_popularity,
)
from portrait.features.candidates.sources import order_by_habit, order_by_popularity
from portrait.features.events import EVENT_TYPE_CODES, EventType


def test_familiar_items_are_ordered_by_habit_and_not_by_the_latest() -> None:
    rare, usual, early, late = 1, 5, 8, 3
    items = np.array([rare, usual, usual, early, NO_GROUP, usual, late])
    nothing, count = np.full(len(items), NO_GROUP), len(items)
    views = np.full(count, EVENT_TYPE_CODES[EventType.VIEW])
    summary = summarise_history(
        items, nothing, nothing, views, np.arange(float(count)), np.full(count, np.nan), float(count)
    )
    assert order_by_habit(summary.items).tolist() == [usual, late, early, rare]


def test_popular_items_are_ordered_of_late_then_by_all_events_then_by_row() -> None:
    statistics = np.zeros((5, len(ITEM_STATISTICS)), dtype=np.float32)
    statistics[:, RECENT_POPULARITY] = [0.0, 0.5, 0.5, 0.0, 0.0]
    statistics[:, POPULARITY] = [0.2, 0.1, 0.9, 0.3, 0.2]
    assert order_by_popularity(statistics).tolist() == [2, 1, 3, 0, 4]


def test_popularity_is_on_a_logarithmic_scale_up_to_one() -> None:
    assert scale_popularity(np.array([0.0, 1.0, 3.0])) == pytest.approx([0.0, 0.5, 1.0])
    assert scale_popularity(np.zeros(2)).tolist() == [0.0, 0.0]


def test_popularity_of_late_is_the_share_of_the_decayed_events_by_the_number_of_items() -> None:
    found = scale_recent_popularity(np.array([[1.0, 0.0], [3.0, 0.0]]), np.array([4.0, 0.0]), 2)
    assert found == pytest.approx(np.array([[np.log1p(0.5), 0.0], [np.log1p(1.5), 0.0]]))
