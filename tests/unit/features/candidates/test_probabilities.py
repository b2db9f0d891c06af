"""Probabilities of candidates sum to at most 1."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portrait.features.candidates.probabilities import limit_total


@given(st.lists(st.lists(st.floats(0.0, 1.0, width=32), min_size=3, max_size=3), min_size=1, max_size=5))
def test_only_what_sums_to_more_than_one_is_scaled_down(rows: list[list[float]]) -> None:
    click = np.array(rows, dtype=np.float32)
    limited = limit_total(click, click.sum(1))
    for before, after in zip(click, limited, strict=True):
        if before.sum() <= 1.0:
            assert np.array_equal(before, after)
        else:
            assert after.sum() == pytest.approx(1.0)
            assert after * before.sum() == pytest.approx(before)
