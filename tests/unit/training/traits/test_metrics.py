"""Calibration and its intervals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portrait.training.traits import metrics

chances = st.lists(st.floats(0, 1), min_size=1, max_size=200).map(np.array)


@given(chances)
def test_bins_ascend_and_hold_equal_chances_together(drawn: np.ndarray) -> None:
    of = metrics.assign_bins(drawn)
    order = np.argsort(drawn, kind="stable")
    assert (np.diff(of[order]) >= 0).all()
    assert of.max() < metrics.BINS
    for chance in np.unique(drawn):
        assert len(np.unique(of[drawn == chance])) == 1


def test_bins_are_of_equal_numbers() -> None:
    of = metrics.assign_bins(np.random.default_rng(0).random(3000))
    assert np.bincount(of).tolist() == [200] * metrics.BINS


def test_calibration_error_is_the_mean_distance() -> None:
    predicted = np.array([0.2] * 10 + [0.8] * 10)
    came = np.array([True] * 4 + [False] * 6 + [True] * 8 + [False] * 2)
    assert metrics.calibration_error(predicted, came, np.ones(20)) == pytest.approx(0.1)
    assert [(point.samples, round(point.rate, 3)) for point in metrics.reliability_points(predicted, came)] == [
        (10, 0.4),
        (10, 0.8),
    ]


def test_intervals_widen_where_shoppers_repeat() -> None:
    random = np.random.default_rng(0)
    predicted = random.random(400)
    came = random.random(400) < predicted
    alone = metrics.summarise(predicted, came, np.arange(400))["brier"]["interval"]
    together = metrics.summarise(np.repeat(predicted[:40], 10), np.repeat(came[:40], 10), np.repeat(np.arange(40), 10))[
        "brier"
    ]["interval"]
    assert together[1] - together[0] > 2 * (alone[1] - alone[0])


def test_a_model_is_not_better_than_itself() -> None:
    random = np.random.default_rng(0)
    predicted = random.random(100)
    found = metrics.auc_difference(predicted, predicted, random.random(100) < predicted, np.arange(100))
    assert found == {"value": 0.0, "interval": [0.0, 0.0]}
