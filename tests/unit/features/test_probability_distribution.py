"""The distribution of probabilities, and the population stability index."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from portrait.features.population.probability_distribution import ProbabilityDistribution

SAMPLES = st.lists(st.floats(0.0, 1.0, width=32), min_size=1, max_size=80).map(np.array)


@given(SAMPLES, SAMPLES)
def test_each_probability_is_in_one_bin(own: np.ndarray, others: np.ndarray) -> None:
    measured = ProbabilityDistribution.measure(own)
    assert measured.count(others).sum() == len(others)
    assert measured.count(own.astype(np.float32)).tolist() == list(measured.counts)
    assert ProbabilityDistribution.from_json(json.loads(json.dumps(measured.to_json()))) == measured


@given(SAMPLES, SAMPLES)
def test_the_index_is_zero_of_the_same_shares_and_else_positive(own: np.ndarray, others: np.ndarray) -> None:
    measured = ProbabilityDistribution.measure(own)
    assert measured.compute_stability_index(np.array(measured.counts)) == pytest.approx(0.0, abs=1e-9)
    assert measured.compute_stability_index(measured.count(others)) >= 0.0


def test_the_index_by_hand() -> None:
    measured = ProbabilityDistribution((0.5,), (49, 49))
    # Half a probability more in each bin: shares of 0.5 and 0.5 against 0.8 and 0.2.
    assert measured.compute_stability_index(np.array([79, 19])) == pytest.approx(
        0.295 * math.log(79.5 / 49.5) + (49.5 - 19.5) / 99 * math.log(49.5 / 19.5), rel=0.02
    )


def test_bins_hold_a_tenth_each() -> None:
    measured = ProbabilityDistribution.measure(np.linspace(0.0, 1.0, 1000))
    assert len(measured.counts) == 10
    assert all(abs(count - 100) <= 1 for count in measured.counts)


@pytest.mark.parametrize("bins", [2, 5, 10])
def test_chance_exceeds_its_bound_in_one_of_twenty_cases(bins: int) -> None:
    measured = ProbabilityDistribution(tuple(each / bins for each in range(1, bins)), (400,) * bins)
    expected = stats.chi2.ppf(0.95, bins - 1) * (1 / 500 + 1 / (400 * bins))
    assert measured.compute_chance_index(500) == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"edges": [], "counts": [1]},
        {"edges": [0.5, 0.5], "counts": [1, 1, 1]},
        {"edges": [0.5], "counts": [1]},
        {"edges": [0.5], "counts": [-1, 2]},
        {"edges": [0.5], "counts": [0, 0]},
        {"edges": ["half"], "counts": [1, 1]},
        {"edges": [math.nan, 0.5], "counts": [1, 1, 1]},
    ],
)
def test_what_is_no_distribution_is_refused(content: dict[str, list[float]]) -> None:
    with pytest.raises((KeyError, ValueError)):
        ProbabilityDistribution.from_json(content)
