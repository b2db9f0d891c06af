"""The largest of many scores, by blocks of them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_BLOCK = 64
"""Scores of a block: one pass finds the largest of each, and only the blocks with the largest ones are looked into."""


def find_largest(scores: NDArray[np.floating[Any]], k: int) -> NDArray[np.int64]:
    """Find the `k` largest scores of each row, in no order: `[rows, scores]` → `[rows, k]`.

    No more than k blocks can hold them: a score outside of the k blocks with the largest maxima is no larger than any
    of these maxima. Which of several equal scores is found where not all fit in is not determined.

    Args:
        scores: none is NaN.
        k: at least 1, at most the number of scores.
    """
    blocks = scores.shape[1] // _BLOCK
    if k >= blocks:
        return np.argpartition(-scores, k - 1, axis=1)[:, :k]
    # Block b holds the columns b, b + blocks, b + 2 · blocks, …; a rest of fewer than `_BLOCK` columns is in no block.
    maxima = scores[:, : blocks * _BLOCK].reshape(len(scores), _BLOCK, blocks).max(1)
    chosen = np.argpartition(-maxima, k - 1, axis=1)[:, :k]
    inside = (chosen[:, :, None] + blocks * np.arange(_BLOCK)).reshape(len(scores), -1)
    rest = np.broadcast_to(np.arange(blocks * _BLOCK, scores.shape[1]), (len(scores), scores.shape[1] % _BLOCK))
    columns = np.concatenate([inside, rest], axis=1)
    best = np.argpartition(-np.take_along_axis(scores, columns, 1), k - 1, axis=1)[:, :k]
    return np.take_along_axis(columns, best, 1)
