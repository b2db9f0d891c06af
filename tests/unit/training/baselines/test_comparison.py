"""Metrics of Portrait beside its baselines, and the paired interval that a warning is decided by."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portrait.training.baselines.comparison import BaselineRanks, find_strongest_not_beaten, measure_rankings
from portrait.training.metrics import MISSED, ndcg
from portrait.training.run.validation import describe_shortfall

ranks = st.lists(st.tuples(st.integers(MISSED, 30), st.integers(MISSED, 30)), min_size=1, max_size=60)


def _measure(ours: list[int], **theirs: list[int]) -> dict[str, dict]:
    return measure_rankings(np.array(ours), BaselineRanks({}, {name: np.array(each) for name, each in theirs.items()}))


@settings(max_examples=10, deadline=None)
@given(pairs=ranks)
def test_the_difference_is_paired(pairs: list[tuple[int, int]]) -> None:
    ours, theirs = map(list, zip(*pairs, strict=True))
    measured = _measure(ours, other=theirs)
    paired = measured["other"]["NDCG@10"]["portrait_minus_this"]
    values = [measured[name]["NDCG@10"]["value"] for name in ("portrait", "other")]
    assert paired["difference"] == pytest.approx(values[0] - values[1], abs=1e-12)
    low, high = paired["interval"]
    # Resamples of the pairs stay within the smallest and the largest difference of a pair.
    differences = ndcg(np.array(ours), 10) - ndcg(np.array(theirs), 10)
    assert differences.min() - 1e-9 <= low <= high <= differences.max() + 1e-9
    assert set(measured["portrait"]) == {f"{name}@{k}" for name in ("NDCG", "HR", "MRR") for k in (5, 10, 20)}


def test_a_constant_gain_has_an_interval_without_width_though_each_mean_has_one() -> None:
    ours, theirs = [0] * 30 + [MISSED] * 30, [1] * 30 + [MISSED] * 30
    same = _measure(ours, other=ours)["other"]["NDCG@10"]
    assert same["portrait_minus_this"] == {"difference": 0.0, "interval": (0.0, 0.0)}
    gain = _measure(ours, other=theirs)["other"]["NDCG@10"]
    low, high = gain["interval"]
    paired_low, paired_high = gain["portrait_minus_this"]["interval"]
    assert high - low > paired_high - paired_low > 0.0


def test_the_strongest_baseline_that_is_not_beaten_is_named() -> None:
    portrait, weak, equal, strong = [1] * 50, [9] * 50, [1] * 50, [0] * 50
    measured = _measure(portrait, weak=weak, equal=equal, strong=strong)
    assert find_strongest_not_beaten(measured) == "strong"
    warning = describe_shortfall(measured)
    assert warning is not None
    assert "'strong': NDCG@10 0.6309 against 1.0000" in warning
    assert "-0.3691" in warning
    # A tie is no win.
    assert "'equal'" in str(describe_shortfall(_measure(portrait, weak=weak, equal=equal)))


def test_nothing_is_said_where_portrait_is_above_all() -> None:
    assert describe_shortfall(_measure([0] * 50, weak=[9] * 50, missed=[MISSED] * 50)) is None
