"""Moments of traits: no label window of one part reaches into another."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portrait.features.histories.history_arrays import SECONDS_PER_DAY
from portrait.training.traits.cutoffs import MAX_CUTOFFS, Ineligible, place_cutoffs

days = st.integers(0, 3000)


@given(begin=days, learnt=days, end=days, horizon=st.integers(1, 120), windows=st.integers(3, 6))
def test_label_windows_never_overlap(begin: int, learnt: int, end: int, horizon: int, windows: int) -> None:
    begin, learnt, end = sorted((begin, learnt, end))
    try:
        found = place_cutoffs(*(day * SECONDS_PER_DAY for day in (begin, learnt, end)), horizon, windows * horizon)
    except Ineligible:
        return
    train, validation, test = (part / SECONDS_PER_DAY for part in (found.train, found.validation, found.test))
    assert min(len(train), len(validation), len(test)) > 0
    assert max(len(train), len(validation), len(test)) <= MAX_CUTOFFS
    assert train[0] >= begin + windows * horizon
    assert train[-1] + horizon <= learnt + 1e-6
    assert validation[0] >= learnt - 1e-6
    assert validation[-1] + horizon <= test[0] + 1e-6
    assert test[-1] + horizon <= end + 1e-6


@pytest.mark.parametrize(
    ("begin", "learnt", "end", "reason"),
    [(0, 1000, 1059, "goes on for 59 days"), (0, 119, 1000, "learnt from 119 days")],
)
def test_says_why_a_log_is_too_short(begin: int, learnt: int, end: int, reason: str) -> None:
    with pytest.raises(Ineligible, match=reason):
        place_cutoffs(*(day * SECONDS_PER_DAY for day in (begin, learnt, end)), 30, 90)
