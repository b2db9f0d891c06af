"""Exact search: every row is looked at."""

import numpy as np
from numpy.typing import NDArray


def top_k(scores: NDArray[np.float32], k: int, allowed: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The rows with the highest scores among those allowed, best first; equal scores by row.

    Args:
        scores: `[rows]`.
        k: at most this many.
        allowed: `[rows]`.
    """
    rows = np.flatnonzero(allowed)
    chosen = scores[rows]
    if len(rows) > k:
        part = np.argpartition(-chosen, k - 1)[:k]
        # Rows that tie with the last one are all let in, so that which of them is cut depends on the row only.
        part = np.flatnonzero(chosen >= chosen[part].min())
        rows, chosen = rows[part], chosen[part]
    return rows[np.argsort(-chosen, kind="stable")][:k]
