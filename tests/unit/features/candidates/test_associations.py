"""Associations: what a sparse item-to-item matrix says of a history."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portrait.features.candidates.associations import MAX_ASSOCIATION_EVENTS, Associations

ITEMS = 6


def chain() -> Associations:
    """After item i comes item i + 1 (weight 1), and item i + 2 (weight 0.5); nothing comes after the last two."""
    following = [(row, row + step, 1.0 / step) for row in range(ITEMS) for step in (1, 2) if row + step < ITEMS]
    counts = np.bincount([row for row, _, _ in following], minlength=ITEMS)
    return Associations(
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        np.array([item for _, item, _ in following], dtype=np.int32),
        np.array([weight for _, _, weight in following], dtype=np.float32),
        0.5,
    )


def test_adds_up_what_each_item_leads_to_by_how_many_moments_ago_it_was() -> None:
    found = chain().score_history([0, -1, 1], [1.0, 2.0, 3.0])
    # Item 0 is one known moment older than item 1: 1 → 2 (1) and 3 (.5); 0 → 1 (.5) and 2 (.25).
    assert dict(zip(found.rows.tolist(), found.scores.tolist(), strict=True)) == {1: 0.5, 2: 1.25, 3: 0.5}
    assert found.rows_by_score().tolist() == [2, 1, 3]
    assert found.scores_of(np.array([3, 0, -1, 2])).tolist() == [0.5, 0.0, 0.0, 1.25]


def test_events_of_one_moment_count_alike_and_unknown_times_are_moments_of_their_own() -> None:
    basket = chain().score_history([0, 3], [7.0, 7.0])
    assert basket.scores_of(np.array([1, 4])).tolist() == [1.0, 1.0]
    unknown = chain().score_history([0, 3], [math.nan, math.nan])
    assert unknown.scores_of(np.array([1, 4])).tolist() == [0.5, 1.0]


@pytest.mark.parametrize("rows", [[], [-1], [ITEMS - 1]])
def test_a_history_that_leads_nowhere_has_no_scores(rows: list[int]) -> None:
    found = chain().score_history(rows, [0.0] * len(rows))
    assert len(found.rows) == 0
    assert found.scores_of(np.arange(3)).tolist() == [0.0, 0.0, 0.0]


@given(st.lists(st.integers(-1, ITEMS - 1), max_size=3 * MAX_ASSOCIATION_EVENTS))
def test_equals_the_dense_product(rows: list[int]) -> None:
    associations = chain()
    dense = np.zeros((ITEMS, ITEMS))
    for row in range(ITEMS):
        part = slice(associations.starts[row], associations.starts[row + 1])
        dense[row, associations.items[part]] = associations.weights[part]
    expected = np.zeros(ITEMS)
    known = [row for row in rows if row >= 0][-MAX_ASSOCIATION_EVENTS:]
    for steps, row in enumerate(reversed(known)):
        expected += associations.decay**steps * dense[row]
    found = associations.score_history(rows, list(range(len(rows))))
    assert np.allclose(found.scores_of(np.arange(ITEMS)), expected, atol=1e-6)
