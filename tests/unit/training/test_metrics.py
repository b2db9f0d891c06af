"""Metrics against values worked out by hand, and against scikit-learn where it has them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portrait.training import metrics


def test_ranking_metrics_by_hand() -> None:
    ranks = np.array([0, 2, 9, 10, metrics.MISSED])
    assert metrics.hit_rate(ranks, 10).tolist() == [1, 1, 1, 0, 0]
    assert metrics.reciprocal_rank(ranks, 10) == pytest.approx([1, 1 / 3, 0.1, 0, 0])
    assert metrics.ndcg(ranks, 10) == pytest.approx([1, 0.5, 1 / np.log2(11), 0, 0])


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans(), st.floats(0.1, 5)), min_size=2, max_size=50))
def test_auc_agrees_with_scikit_learn(rows: list[tuple[float, bool, float]]) -> None:
    roc_auc_score = pytest.importorskip("sklearn.metrics").roc_auc_score
    scores, labels, weights = map(np.array, zip(*rows, strict=True))
    value = metrics.auc(scores, labels, weights)
    if labels.all() or not labels.any():
        assert np.isnan(value)
    else:
        assert value == pytest.approx(roc_auc_score(labels, scores, sample_weight=weights), abs=1e-9)


def test_chances_that_are_true_are_calibrated() -> None:
    random = np.random.default_rng(0)
    chances = random.beta(1, 20, 200_000)
    labels = random.random(200_000) < chances
    ones = np.ones(200_000)
    assert metrics.calibration_error(chances, labels, ones) < 0.05
    assert metrics.calibration_error(np.clip(3 * chances, 0, 1), labels, ones) > 0.5
    assert metrics.log_loss(chances, labels, ones) < metrics.log_loss(np.clip(3 * chances, 0, 1), labels, ones)


def test_interval_holds_the_mean() -> None:
    values = np.random.default_rng(1).random(500)
    low, high = metrics.interval(values)
    assert low < values.mean() < high
    assert high - low < 0.1
