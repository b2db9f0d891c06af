"""Share and worth of each source of candidates, by three targets that are counted by hand."""

import numpy as np
import pytest

from portrait.features.candidates.candidate_features import CANDIDATE_FEATURES
from portrait.training.ranker.candidates import SOURCES, Candidates
from portrait.training.run.candidate_metrics import measure_candidates

PROFILE, HABIT = (1 << SOURCES.index(name) for name in ("profile", "habit"))


@pytest.fixture
def chosen() -> Candidates:
    """Three candidates of each of three targets; the last one of the third target was not found by any source.

    The first target is found by the profile alone, the second by both sources, the third by none.
    """
    found_by = np.array([[HABIT, PROFILE, PROFILE | HABIT], [HABIT, PROFILE | HABIT, 0], [PROFILE, HABIT, 0]])
    shape = found_by.shape
    return Candidates(
        items=np.tile(np.arange(3), (3, 1)),
        features=np.zeros((*shape, len(CANDIDATE_FEATURES)), dtype=np.float32),
        shown=found_by > 0,
        found_by=found_by.astype(np.uint16),
        weight=np.ones(shape, dtype=np.float32),
        label=np.array([[0, 1, 0], [0, 1, 0], [0, 0, 1]], dtype=bool),
        together=np.zeros(shape, dtype=bool),
        bought=np.ones(3, dtype=bool),
        query=np.full(3, -1),
    )


def test_sources_are_measured_by_what_they_find_and_by_what_is_lost_without_them(chosen: Candidates) -> None:
    # The first candidate stands before the second everywhere, the third last.
    measured = measure_candidates(chosen, np.where(chosen.shown, np.arange(3), -1))
    assert measured["count"] == pytest.approx(7 / 3)
    assert measured["recall"] == pytest.approx(2 / 3)
    assert set(measured["by_source"]) == {"profile", "habit"}
    profile, habit = measured["by_source"]["profile"], measured["by_source"]["habit"]
    assert (profile["recall"], habit["recall"]) == pytest.approx((2 / 3, 1 / 3))
    assert (profile["alone"], habit["alone"]) == pytest.approx((1 / 3, 0.0))
    second = 1 / np.log2(3)
    # Without the profile the first target is lost. Without habit both targets that are found come first.
    assert profile["loss_without"] == pytest.approx(second / 3)
    assert habit["loss_without"] == pytest.approx(2 * (second - 1.0) / 3)
