"""The search by short codes finds what an exact comparison finds, whatever may not be found."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from portrait.features.search import row_bitmap as bits
from portrait.features.search.base import Want
from portrait.features.search.codes import make_codes
from portrait.features.search.scan import ScanIndex

COUNT, DIMENSION, WANTED = 20_000, 32, 50


@pytest.fixture(scope="module")
def vectors() -> NDArray[np.float32]:
    """Rows around three hundred centres."""
    random = np.random.default_rng(0)
    drawn = random.normal(size=(300, DIMENSION))[random.integers(0, 300, COUNT)]
    drawn += random.normal(0.0, 0.5, size=drawn.shape)
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def index(vectors: NDArray[np.float32]) -> ScanIndex:
    return ScanIndex(make_codes(vectors), vectors)


def bar_by_chance(inner: NDArray[np.float32]) -> NDArray[np.bool_]:
    return np.random.default_rng(1).random(COUNT) < 0.6


def bar_most_of_the_nearest(inner: NDArray[np.float32]) -> NDArray[np.bool_]:
    barred = np.argsort(-inner)[:2_000]
    return ~np.isin(np.arange(COUNT), barred[np.random.default_rng(2).random(2_000) < 0.8])


def bar_all_of_the_nearest(inner: NDArray[np.float32]) -> NDArray[np.bool_]:
    return ~np.isin(np.arange(COUNT), np.argsort(-inner)[:4_000])


def bar_all_but_few(inner: NDArray[np.float32]) -> NDArray[np.bool_]:
    return np.arange(COUNT) % 100 == 0


@pytest.mark.parametrize("bar", [bar_by_chance, bar_most_of_the_nearest, bar_all_of_the_nearest, bar_all_but_few])
def test_it_finds_the_nearest_of_those_that_may_be_found(
    vectors: NDArray[np.float32], index: ScanIndex, bar: Callable[[NDArray[np.float32]], NDArray[np.bool_]]
) -> None:
    recalls = []
    for vector in vectors[:20]:
        inner = vectors @ vector
        mask = bar(inner)
        every = Want(WANTED, bits.pack_rows(np.ones(COUNT, dtype=bool)), 1.0)
        [(all_rows, _), (rows, scores)] = index.search_several(
            vector, [every, Want(WANTED, bits.pack_rows(mask), float(mask.mean()))]
        )
        assert len(all_rows) == len(rows) == WANTED
        assert mask[rows].all()
        np.testing.assert_allclose(scores, inner[rows], rtol=1e-5)
        assert (np.diff(scores) <= 0).all()
        exact = np.argsort(-np.where(mask, inner, -np.inf), kind="stable")[:WANTED]
        recalls.append(len(np.intersect1d(exact, rows)) / WANTED)
    assert np.mean(recalls) >= 0.99


def test_it_finds_all_where_fewer_may_be_found_than_are_wanted(vectors: NDArray[np.float32], index: ScanIndex) -> None:
    mask = np.arange(COUNT) < 3
    rows, scores = index.search(vectors[:2], WANTED, bits.pack_rows(mask), 3 / COUNT)
    assert (np.sort(rows[:, :3]) == [0, 1, 2]).all()
    assert (rows[:, 3:] == -1).all()
    assert scores.shape == (2, WANTED)
