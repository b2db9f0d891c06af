"""The ranker's candidate features, worked out by hand."""

import math

import numpy as np
import pytest

from portrait.features.candidates.associations import AssociatedItems
from portrait.features.candidates.candidate_features import (
    CANDIDATE_FEATURES,
    CandidateColumns,
    compute_candidate_features,
)
from portrait.features.candidates.cold_start import ColdStartNeighbours
from portrait.features.candidates.history_summary import NO_GROUP, HistorySummary, summarise_history
from portrait.features.candidates.item_statistics import ITEM_STATISTICS
from portrait.features.candidates.relations import RELATIONS, RelatedItems
from portrait.features.events import EVENT_TYPE_CODES, EventType, Item
from portrait.features.search.item_words import ItemWords
from portrait.features.search.word_index import WordIndex

DAY = 86_400.0
NOTHING = AssociatedItems(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32))
UNRELATED = RelatedItems(NOTHING, 3)
A, B, C = 0, 1, 2
TEA, ACME, NORDEN = 0, 0, 1
SOLD = [Item("a", "Green tea", category_path=("Tea",)), Item("b", "Tea pot", category_path=("Tea",)), Item("c", "Lamp")]
QUERY = WordIndex.from_items(SOLD).read_query("green teas")


def columns_of_three(neighbours: ColdStartNeighbours | None = None) -> CandidateColumns:
    """Items a and b are of one category, c is a cold item of another brand; b is bought again after 3 days."""
    statistics = np.zeros((3, len(ITEM_STATISTICS)), dtype=np.float32)
    statistics[:, 0] = [0.5, 0.25, 0.75]
    statistics[1, ITEM_STATISTICS.index("repeat_days")] = math.log1p(3.0)
    return CandidateColumns(
        np.array([A, B, C]), np.array([TEA, TEA, NO_GROUP]), np.array([ACME, NO_GROUP, NORDEN]), statistics,
        np.array([False, False, True]),
        np.array([0.9, np.nan, 0.4]), neighbours or ColdStartNeighbours.of_known_items(np.arange(3)),
        ItemWords.from_items(SOLD),
    )  # fmt: skip


def history_of_four() -> HistorySummary:
    """View of a on day 0, basket of a search and of b on day 1, purchase of a on day 2; it is day 3."""
    codes = [EVENT_TYPE_CODES[kind] for kind in (EventType.VIEW, EventType.VIEW, EventType.SEARCH, EventType.PURCHASE)]
    return summarise_history(
        np.array([A, B, NO_GROUP, A]),
        np.array([TEA, TEA, NO_GROUP, TEA]),
        np.array([ACME, NO_GROUP, NO_GROUP, ACME]),
        np.array(codes),
        np.array([0.0, DAY, DAY, 2 * DAY]),
        np.array([0.2, np.nan, np.nan, 0.6]),
        3 * DAY,
    )


def by_name(features: np.ndarray) -> dict[str, list[float]]:
    return dict(zip(CANDIDATE_FEATURES, features.T.tolist(), strict=True))


def test_candidates_of_a_shopper_by_hand() -> None:
    column = by_name(compute_candidate_features(columns_of_three(), history_of_four(), UNRELATED, QUERY))
    assert column["popularity"] == [0.5, 0.25, 0.75]
    assert column["repeat_days"] == pytest.approx([0.0, math.log1p(3.0), 0.0])
    assert column["cold_item"] == [0.0, 0.0, 1.0]
    assert column["seen"] == [1.0, 1.0, 0.0]
    # Item a was in the first of three moments and in the last, item b in the second.
    assert column["item_count"] == pytest.approx(np.log1p([2.0, 1.0, 0.0]))
    assert column["item_event_habit"] == pytest.approx(np.log1p([1.0 + 0.98**2, 0.98, 0.0]))
    assert column["item_moment_habit_0.6"] == pytest.approx(np.log1p([1.0 + 0.6**2, 0.6, 0.0]))
    assert column["item_habit_14d"] == pytest.approx(np.log1p([0.5 ** (1 / 14) + 0.5 ** (3 / 14), 0.5 ** (2 / 14), 0]))
    assert column["item_looked_at"] == pytest.approx(np.log1p([0.85**2, 0.85, 0.0]))
    assert column["item_purchased"] == pytest.approx(np.log1p([1.0, 0.0, 0.0]))
    assert column["item_in_cart"] == [0.0, 0.0, 0.0]
    share = np.array([1.0 + 0.85**2, 0.85, 0.0])
    assert column["item_share"] == pytest.approx(share / share.sum())
    assert column["item_recency"] == pytest.approx([1 / (1 + np.log1p(1)), 1 / (1 + np.log1p(2)), 0.0])
    assert column["item_moments"] == pytest.approx([1.0, 0.5, 0.0])
    assert column["category_share"] == pytest.approx([1.0, 1.0, 0.0])
    assert column["category_moment_habit_0.95"] == pytest.approx(np.log1p([1 + 0.95 + 0.95**2] * 2 + [0.0]))
    assert column["category_moments"] == pytest.approx([1.0, 1.0, 0.0])
    assert column["brand_share"] == pytest.approx([1.0, 0.0, 0.0])
    assert column["brand_recency"] == pytest.approx([1 / (1 + np.log1p(1)), 0.0, 0.0])
    assert column["price_distance"] == pytest.approx([0.5, 0.0, 0.0])
    assert column["price_known"] == [1.0, 0.0, 1.0]
    assert column["events"] == pytest.approx([np.log1p(3)] * 3)
    assert column["moments"] == pytest.approx([np.log1p(3)] * 3)
    assert column["repeats"] == pytest.approx([1 / 3] * 3)
    assert column["idle_days"] == pytest.approx([np.log1p(1)] * 3)
    assert column["has_query"] == [1.0] * 3
    assert column["query_all_words"] == [1.0, 0.0, 0.0]
    assert column["query_title"][0] == 1.0 > column["query_title"][1] > column["query_title"][2] == 0.0


def test_what_is_overdue_is_measured_by_the_own_gap_or_else_by_that_of_all() -> None:
    nothing = np.full(4, NO_GROUP)
    history = summarise_history(
        np.array([A, A, A, B]), nothing, nothing, np.full(4, EVENT_TYPE_CODES[EventType.PURCHASE]),
        np.array([0.0, 2 * DAY, 8 * DAY, 8 * DAY]), np.full(4, np.nan), 9 * DAY,
    )  # fmt: skip
    column = by_name(compute_candidate_features(columns_of_three(), history, UNRELATED, query=None))
    # Item a came every 4 days, 1 day ago; item b comes to others every 3 days; nothing is known of c.
    assert column["overdue"] == pytest.approx([math.log(2 / 5), math.log(2 / 4), 0.0], rel=1e-6)
    assert column["overdue_known"] == [1.0, 1.0, 0.0]


def test_relations_are_read_of_the_neighbours_of_a_cold_item() -> None:
    neighbours = ColdStartNeighbours.of_known_items(np.array([0, 1, -1]))
    neighbours.rows[2, :2], neighbours.weights[2, :2] = [0, 1], [0.25, 0.75]
    places = np.arange(len(RELATIONS))
    leads = RelatedItems(AssociatedItems(3 * places + places % 2, (0.03 * (places + 1)).astype(np.float32)), 3)
    told = compute_candidate_features(columns_of_three(neighbours), history_of_four(), leads, query=None)
    column = by_name(told)
    assert column["association"] == pytest.approx([np.log(2), 0.0, np.log1p(0.25)])
    assert column["transition"] == pytest.approx([0.0, np.log1p(2), np.log1p(0.75 * 2)])
    assert column["two_hops"] == pytest.approx([np.log1p(3), 0.0, np.log1p(0.25 * 3)])
    assert column["title"] == pytest.approx([0.0, np.log1p(0.4), np.log1p(0.75 * 0.4)])


def test_nothing_is_told_of_a_shopper_without_a_past() -> None:
    empty, none = np.empty(0), np.empty(0, dtype=np.int64)
    history = summarise_history(none, none, none, none, empty, empty, math.nan)
    told = compute_candidate_features(columns_of_three(), history, UNRELATED, query=None)
    assert np.isfinite(told).all()
    known = {*ITEM_STATISTICS, "cold_item"}
    assert not any(any(values) for name, values in by_name(told).items() if name not in known)


def test_candidates_of_nobody_are_none() -> None:
    none = np.empty(0, dtype=np.int64)
    nothing = CandidateColumns(
        none, none, none, np.zeros((0, len(ITEM_STATISTICS)), dtype=np.float32), np.zeros(0, dtype=bool), np.zeros(0),
        ColdStartNeighbours.empty(0), ItemWords.from_items([]),
    )  # fmt: skip
    told = compute_candidate_features(nothing, history_of_four(), UNRELATED, query=None)
    assert told.shape == (0, len(CANDIDATE_FEATURES))
