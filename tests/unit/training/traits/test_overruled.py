"""Corrections of people are labels of training, from the moment of their time on; nothing else of the shopper is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portrait.features.histories.history_arrays import SECONDS_PER_DAY
from portrait.training.traits.declarations import Trait
from portrait.training.traits.overruled import Overruled
from portrait.training.traits.samples import Samples

HORIZON = 30
TRAIT = Trait("buys", "", HORIZON, 90, "SELECT", None)
MOMENTS = [0.0, 30.0, 60.0]
"""Days; one horizon apart, as in training."""


def draw(shoppers: int) -> Samples:
    """Every shopper at every moment, with the label false."""
    as_of = np.repeat(np.array(MOMENTS) * SECONDS_PER_DAY, shoppers)
    return Samples(np.tile(np.arange(shoppers), len(MOMENTS)), as_of, np.zeros(len(as_of), dtype=np.bool_))


def overrule(reviews: dict[int, tuple[float, float]]) -> Overruled:
    """Overrule a trait of shoppers, on a day, with a probability or NaN."""
    rows = sorted(reviews)
    days, corrected = ([reviews[row][place] for row in rows] for place in (0, 1))
    return Overruled(np.array(rows), np.array(days) * SECONDS_PER_DAY, np.array(corrected, dtype=np.float32))


@pytest.mark.parametrize(
    ("day", "moments"),
    [(-1.0, [0.0, 30.0, 60.0]), (30.0, [0.0, 30.0, 60.0]), (30.1, [30.0, 60.0]), (90.0, [60.0]), (90.1, [])],
)
def test_a_correction_counts_from_the_moment_whose_horizon_contains_it(day: float, moments: list[float]) -> None:
    learnt, corrected = overrule({1: (day, 0.25)}).correct(draw(3), TRAIT)
    is_corrected = ~np.isnan(corrected)
    assert (learnt.as_of[is_corrected] / SECONDS_PER_DAY).tolist() == moments
    assert set(learnt.shopper[is_corrected].tolist()) <= {1}
    assert set(corrected[is_corrected].tolist()) <= {0.25}
    assert sorted(learnt.shopper[~is_corrected].tolist()) == [0, 0, 0, 2, 2, 2]


REVIEWS = st.dictionaries(
    st.integers(0, 5), st.tuples(st.floats(-100, 200), st.one_of(st.just(np.nan), st.floats(0, 1))), min_size=1
)


@given(REVIEWS)
def test_nothing_is_learnt_from_what_was_said_after_the_horizon(reviews: dict[int, tuple[float, float]]) -> None:
    samples, overruled = draw(4), overrule(reviews)
    learnt, corrected = overruled.correct(samples, TRAIT)
    for shopper, as_of, value in zip(learnt.shopper.tolist(), learnt.as_of, corrected, strict=True):
        if shopper in reviews:
            day, stated = reviews[shopper]
            assert value == np.float32(stated)
            assert day * SECONDS_PER_DAY <= as_of + HORIZON * SECONDS_PER_DAY
        else:
            assert np.isnan(value)
    others = overruled.leave_out(samples)
    assert set(others.shopper.tolist()) == set(range(4)) - reviews.keys()
    assert len(others) == int(np.isnan(corrected).sum())
