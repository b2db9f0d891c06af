"""The search of all rows finds what an exact comparison finds, among any set of rows."""

import numpy as np
import pytest
from numpy.typing import NDArray

from portrait.features.search import row_bitmap as bits
from portrait.features.search.flat import FlatIndex

COUNT, DIMENSION, WANTED = 5_000, 16, 100


@pytest.fixture(scope="module")
def vectors() -> NDArray[np.float32]:
    drawn = np.random.default_rng(0).normal(size=(COUNT, DIMENSION))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("share", [1.0, 0.3, 0.01])
def test_it_finds_the_nearest_among_some_rows(vectors: NDArray[np.float32], share: float) -> None:
    wishes, mask = vectors[:20] + vectors[20:40], np.random.default_rng(1).random(COUNT) < share
    count = min(WANTED, int(mask.sum()))
    found, scores = FlatIndex(vectors).search(wishes, WANTED, bits.pack_rows(mask), share)
    exact = np.where(mask, wishes @ vectors.T, -np.inf)
    for wish, rows in enumerate(found):
        assert mask[rows[:count]].all()
        assert (rows[count:] == -1).all()
        # Half precision may exchange neighbours of nearly the same score, and no others.
        np.testing.assert_allclose(scores[wish, :count], np.sort(exact[wish])[::-1][:count], atol=2e-3)
        np.testing.assert_allclose(scores[wish, :count], exact[wish, rows[:count]], atol=2e-3)


def test_it_counts_its_rows(vectors: NDArray[np.float32]) -> None:
    index = FlatIndex(vectors.astype(np.float16))
    assert (len(index), index.dimension) == (COUNT, DIMENSION)
