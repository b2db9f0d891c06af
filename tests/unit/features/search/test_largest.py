"""The largest scores of each row, whatever the number of blocks."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from portrait.features.search.largest import find_largest


@given(st.integers(0, 2**16), st.integers(1, 1_000), st.integers(1, 40), st.booleans())
def test_no_score_that_is_left_out_is_larger(seed: int, count: int, k: int, has_ties: bool) -> None:
    random, k = np.random.default_rng(seed), min(k, count)
    scores = random.normal(size=(3, count)).astype(np.float32)
    if has_ties:
        scores = np.round(scores)
    scores[:, random.random(count) < 0.2] = -np.inf
    found = find_largest(scores, k)
    assert found.shape == (3, k)
    for row, chosen in zip(scores, found, strict=True):
        assert len(np.unique(chosen)) == k
        assert np.array_equal(np.sort(row[chosen]), np.sort(row)[-k:])
