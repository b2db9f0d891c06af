"""The ranker's candidate features, worked out by hand."""

import numpy as np
import pytest

from portrait.features.candidates.candidate_features import (
    CANDIDATE_FEATURES,
    compute_candidate_features,
    summarise_interactions,
)

DAY = 86_400.0


def test_a_shoppers_memory_by_hand() -> None:
    remembered = summarise_interactions(
        ["a", "b", None, "a"], [0.0, DAY, DAY, 2 * DAY], np.array([0.2, np.nan, np.nan, 0.6])
    )
    told = compute_candidate_features(
        ["a", "b", "c"],
        np.array([0.5, 0.25, 0.75], dtype=np.float32),
        np.array([False, False, True]),
        np.array([0.9, np.nan, 0.4]),
        np.array([0.0, 0.03, 0.0], dtype=np.float32),
        remembered,
        3 * DAY,
        has_query=True,
    )
    column = dict(zip(CANDIDATE_FEATURES, told.T.tolist(), strict=True))
    assert column["popularity"] == [0.5, 0.25, 0.75]
    assert column["cold_item"] == [0.0, 0.0, 1.0]
    assert column["seen"] == [1.0, 1.0, 0.0]
    assert column["seen_count"] == pytest.approx([np.log(2), 0.0, 0.0])
    assert column["seen_habit"] == pytest.approx([np.log1p(1 + 0.98**3), np.log1p(0.98**2), 0.0])
    assert column["seen_recency"] == pytest.approx([1 / (1 + np.log1p(1)), 1 / (1 + np.log1p(2)), 0.0])
    assert column["price_distance"] == pytest.approx([0.5, 0.0, 0.0])
    assert column["price_known"] == [1.0, 0.0, 1.0]
    assert column["association"] == pytest.approx([0.0, np.log(2), 0.0])
    assert column["has_query"] == [1.0, 1.0, 1.0]
