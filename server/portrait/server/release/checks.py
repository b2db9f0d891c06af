"""Soundness: the arrays of a release are of the size and type that its items need, and point at rows that are there."""

import numpy as np
from numpy.typing import NDArray

from portrait.features.candidates.associations import Associations
from portrait.features.candidates.cold_start import MAX_NEIGHBOURS, ColdStartNeighbours
from portrait.features.candidates.item_statistics import ITEM_STATISTICS
from portrait.features.candidates.relations import Relations
from portrait.features.population.profile_distribution import ProfileDistribution
from portrait.features.search.base import ItemIndex
from portrait.features.search.word_index import WordIndex

_ROWS_AT_ONCE = 1 << 16


def check_vectors(vectors: NDArray[np.float32], items: int, dimension: int) -> None:
    """Require finite vectors, one an item; raises ValueError."""
    _require(vectors, (items, dimension), np.float32, np.float16)
    for begin in range(0, items, _ROWS_AT_ONCE):
        _require_finite(vectors[begin : begin + _ROWS_AT_ONCE])


def check_index(index: ItemIndex, items: int, dimension: int) -> None:
    """Require an index of all items; raises ValueError."""
    if (len(index), index.dimension) != (items, dimension):
        raise ValueError(f"it holds {len(index)} vectors of {index.dimension} numbers, not {items} of {dimension}")


def check_words(index: WordIndex, items: int) -> None:
    """Require one list of words an item, and one of rows that are there a word; raises ValueError."""
    count, words = len(index.words), len(index.vocabulary)
    for values, shape, kind in (
        (index.words, (count,), np.uint32),
        (index.places, (count,), np.uint8),
        (index.vocabulary, (words,), np.uint32),
        (index.rows, (count,), np.int32),
        (index.row_places, (count,), np.uint8),
    ):
        _require(values, shape, kind)
    _require_ranges(index.starts, items, count)
    _require_ranges(index.posting_start, words, count)
    if (index.vocabulary[1:] <= index.vocabulary[:-1]).any():
        raise ValueError("the words of the vocabulary are not in order")
    _require_rows(index.rows, 0, items)


def check_statistics(statistics: NDArray[np.float32], items: int) -> None:
    """Require finite numbers, a row of `ITEM_STATISTICS` an item; raises ValueError."""
    _require(statistics, (items, len(ITEM_STATISTICS)), np.float32)
    _require_finite(statistics)


def check_neighbours(neighbours: ColdStartNeighbours, items: int) -> None:
    """Require neighbours that are items, -1 for none; raises ValueError."""
    _require(neighbours.rows, (items, MAX_NEIGHBOURS), np.int32)
    _require(neighbours.weights, (items, MAX_NEIGHBOURS), np.float32)
    _require_rows(neighbours.rows, -1, items)
    _require_finite(neighbours.weights)


def check_relations(relations: Relations, items: int) -> None:
    """Require of each matrix one range of weights an item, each of a row that is there; raises ValueError."""
    for name, matrix in relations.by_name.items():
        try:
            _check_weights(matrix, items)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error


def _check_weights(associations: Associations, items: int) -> None:
    starts, count = associations.starts, len(associations.items)
    _require(associations.items, (count,), np.int32)
    _require(associations.weights, (count,), np.float32)
    _require_ranges(starts, items, count)
    _require_rows(associations.items, 0, items)
    _require_finite(associations.weights)


def check_profiles(profiles: ProfileDistribution, dimension: int) -> None:
    """Require mean and covariance of vectors; raises ValueError."""
    for values, shape in (
        (profiles.mean, (dimension,)),
        (profiles.covariance, (dimension, dimension)),
        (profiles.item_mean, (dimension,)),
    ):
        _require(values, shape, np.float32)
        _require_finite(values)


def _require(values: NDArray[np.generic], shape: tuple[int, ...], *kinds: type[np.generic]) -> None:
    if values.shape != shape or values.dtype.type not in kinds:
        wanted = " or ".join(kind.__name__ for kind in kinds)
        raise ValueError(f"it holds {values.dtype} of shape {values.shape}, not {wanted} of {shape}")


def _require_ranges(starts: NDArray[np.int64], lists: int, count: int) -> None:
    """Require starts that cut so many entries into lists."""
    _require(starts, (lists + 1,), np.int64)
    if starts[0] != 0 or starts[-1] != count or (np.diff(starts) < 0).any():
        raise ValueError("the ranges do not fit")


def _require_finite(values: NDArray[np.generic]) -> None:
    if not np.isfinite(values).all():
        raise ValueError("it holds a number that is not finite")


def _require_rows(rows: NDArray[np.int32], minimum: int, items: int) -> None:
    if rows.size and not (minimum <= rows.min() and rows.max() < items):
        raise ValueError("it names a row that is not there")
