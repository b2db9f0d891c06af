"""The largest of many scores, by blocks of them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_MIN_BLOCK = 4
"""Scores of a block below which blocks save nothing."""
_MAX_SCORES = 2**20
"""Scores that are looked at at once: few enough for a processor's cache."""


def find_largest(scores: NDArray[np.floating[Any]], k: int) -> NDArray[np.int64]:
    """Find the `k` largest scores of each row, in no order: `[rows, scores]` → `[rows, k]`.

    One pass finds the largest score of each block, and only the k blocks with the largest ones are looked into: a score
    outside of them is no larger than any of their maxima. Which of several equal scores is found where not all fit in
    is not determined.

    Args:
        scores: none is NaN.
        k: at least 1, at most the number of scores.
    """
    found = np.empty((len(scores), k), dtype=np.int64)
    size = int((scores.shape[1] / k) ** 0.5)  # It makes the sum of all maxima and of all scores in k blocks smallest.
    rows = max(1, _MAX_SCORES // scores.shape[1])
    for begin in range(0, len(scores), rows):
        part = scores[begin : begin + rows]
        found[begin : begin + rows] = _find_by_blocks(part, k, size) if size >= _MIN_BLOCK else _find_at_once(part, k)
    return found


def _find_at_once(scores: NDArray[np.floating[Any]], k: int) -> NDArray[np.int64]:
    return np.argpartition(-scores, k - 1, axis=1)[:, :k]


def _find_by_blocks(scores: NDArray[np.floating[Any]], k: int, size: int) -> NDArray[np.int64]:
    """Find the largest scores by blocks of `size` scores, of which there are more than k."""
    blocks = scores.shape[1] // size
    # Block b holds the columns b, b + blocks, b + 2 · blocks, …; a rest of fewer than `size` columns is in no block.
    maxima = scores[:, : blocks * size].reshape(len(scores), size, blocks).max(1)
    inside = (_find_at_once(maxima, k)[:, :, None] + blocks * np.arange(size)).reshape(len(scores), -1)
    rest = np.broadcast_to(np.arange(blocks * size, scores.shape[1]), (len(scores), scores.shape[1] % size))
    columns = np.concatenate([inside, rest], axis=1)
    best = _find_at_once(np.take_along_axis(scores, columns, 1), k)
    return np.take_along_axis(columns, best, 1)
