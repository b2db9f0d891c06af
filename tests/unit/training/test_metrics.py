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


@pytest.mark.parametrize("count", [2_000, 200_000])
def test_the_error_by_chance_is_that_of_chances_that_are_true(count: int) -> None:
    random = np.random.default_rng(0)
    chances, ones = random.beta(1, 20, count), np.ones(count)
    errors = [metrics.calibration_error(chances, random.random(count) < chances, ones) for _ in range(50)]
    assert metrics.calibration_error_by_chance(chances, ones) == pytest.approx(np.mean(errors), rel=0.15)


def test_interval_holds_the_mean() -> None:
    values = np.random.default_rng(1).random(500)
    low, high = metrics.bootstrap_interval(values)
    assert low < values.mean() < high
    assert high - low < 0.1


def test_reliability_bins_by_hand() -> None:
    """Four chances that expect 2 in all: each of two bins expects 1."""
    chances, labels = np.array([0.5, 0.25, 1.0, 0.25]), np.array([True, False, True, False])
    low, high = metrics.reliability_bins(chances, labels, np.ones(4), bins=2)
    # The bin of a chance is decided by what has been expected up to it, itself counted.
    assert low == metrics.ReliabilityBin(weight=2.0, expected=0.5, observed=0.0)
    assert high == metrics.ReliabilityBin(weight=2.0, expected=1.5, observed=2.0)
    assert metrics.calibration_error(chances, labels, np.ones(4), bins=2) == pytest.approx((0.5 + 0.5) / 2.0)


@given(st.lists(st.tuples(st.floats(0.01, 1), st.booleans(), st.floats(0.1, 5)), min_size=1, max_size=50))
def test_reliability_bins_hold_everything_once(rows: list[tuple[float, bool, float]]) -> None:
    chances, labels, weights = map(np.array, zip(*rows, strict=True))
    bins = metrics.reliability_bins(chances, labels, weights)
    assert sum(each.weight for each in bins) == pytest.approx(weights.sum())
    assert sum(each.expected for each in bins) == pytest.approx((chances * weights).sum())
    assert sum(each.observed for each in bins) == pytest.approx(weights[labels].sum())


def test_cumulative_gain_by_hand() -> None:
    scores, labels = np.array([1.0, 3.0, 2.0, 1.0]), np.array([True, True, False, False])
    shares = np.array([0.0, 0.125, 0.25, 0.5, 0.75, 1.0])
    # The two that tie share their one hit.
    assert metrics.cumulative_gain(scores, labels, np.ones(4), shares) == pytest.approx([0, 0.25, 0.5, 0.5, 0.75, 1])
    assert metrics.cumulative_gain(np.ones(4), labels, np.ones(4), shares) == pytest.approx(shares)


def test_difference_interval_holds_the_difference() -> None:
    random = np.random.default_rng(2)
    ours, others = random.random(400) + 0.2, random.random(300)
    low, high = metrics.bootstrap_difference_interval(ours, others)
    assert 0 < low < ours.mean() - others.mean() < high


def test_intervals_of_many_columns_are_those_of_each() -> None:
    values = np.random.default_rng(1).random((40, 3))
    found = metrics.bootstrap_intervals(values)
    for column, interval in zip(values.T, found, strict=True):
        assert interval == pytest.approx(metrics.bootstrap_interval(column))
