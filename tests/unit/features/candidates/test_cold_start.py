"""Neighbours that lend to cold items, and the weights that they lend."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from portrait.features.candidates.cold_start import MAX_NEIGHBOURS, ColdStartNeighbours, blend_neighbours
from portrait.features.release import layout as release_layout

KNOWN, NEW = 40, 3


def unit(random: np.random.Generator, count: int, subspaces: int = 1) -> NDArray[np.float32]:
    made = random.normal(size=(count, subspaces, 8 // subspaces)).astype(np.float32)
    made /= np.linalg.norm(made, axis=-1, keepdims=True) * subspaces**0.5
    return made.reshape(count, 8)


@given(st.integers(0, 2**16), st.integers(0, KNOWN))
def test_the_nearest_known_items_lend_and_their_shares_add_up(seed: int, known_count: int) -> None:
    random = np.random.default_rng(seed)
    vectors, words = unit(random, KNOWN), unit(random, NEW)
    known = np.zeros(KNOWN, dtype=bool)
    known[random.choice(KNOWN, known_count, replace=False)] = True
    neighbours = ColdStartNeighbours.find_nearest(words, vectors, known)
    assert len(neighbours) == NEW
    expected = sorted(np.flatnonzero(known), key=lambda row: -float(vectors[row] @ words[0]))[:MAX_NEIGHBOURS]
    assert set(neighbours.rows[0].tolist()) - {-1} == {int(row) for row in expected}
    assert np.allclose(neighbours.weights.sum(1), 1.0 if known_count else 0.0, atol=1e-5)
    assert not neighbours.weights[neighbours.rows < 0].any()


def test_a_known_item_lends_to_itself_alone() -> None:
    neighbours = ColdStartNeighbours.of_known_items(np.array([2, -1]))
    values = np.array([0.1, 0.2, 0.3], dtype=np.float32)
    assert neighbours.average(values) == pytest.approx([0.3, 0.0])
    assert neighbours.average_of(lambda rows: values[rows, None])[:, 0] == pytest.approx([0.3, 0.0])


@given(st.integers(0, 2**16), st.sampled_from([1, 2, 4]))
def test_what_is_lent_keeps_every_tower_at_one_length(seed: int, subspaces: int) -> None:
    random = np.random.default_rng(seed)
    vectors, words = unit(random, KNOWN, subspaces), unit(random, NEW, subspaces)
    neighbours = ColdStartNeighbours.find_nearest(words, vectors, np.ones(KNOWN, dtype=bool))
    blended = blend_neighbours(words, neighbours, vectors, subspaces)
    assert np.allclose(np.linalg.norm(blended.reshape(NEW, subspaces, -1), axis=-1), subspaces**-0.5, atol=1e-5)
    assert ((blended * neighbours.average(vectors)).sum(1) > (words * neighbours.average(vectors)).sum(1) - 1e-5).all()


def test_without_neighbours_words_stay_what_they_are() -> None:
    words = unit(np.random.default_rng(0), NEW)
    vectors = unit(np.random.default_rng(1), KNOWN)
    assert np.allclose(blend_neighbours(words, ColdStartNeighbours.empty(NEW), vectors, 1), words, atol=1e-6)
    assert blend_neighbours(words[:0], ColdStartNeighbours.empty(0), vectors, 2).shape == (0, 8)


def test_they_are_read_as_they_were_written(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    neighbours = ColdStartNeighbours.find_nearest(unit(random, NEW), unit(random, KNOWN), np.ones(KNOWN, dtype=bool))
    neighbours.save(tmp_path / release_layout.COLD_START_NEIGHBOURS)
    read = ColdStartNeighbours.load(tmp_path)
    assert np.array_equal(read.rows, neighbours.rows)
    assert np.array_equal(read.weights, neighbours.weights)
