"""Probabilities of a request's candidates: at most one item is next, so that they sum to at most 1."""

import numpy as np
from numpy.typing import NDArray


def limit_total(probabilities: NDArray[np.float32], totals: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale probabilities down where those of all candidates of a request would sum to more than 1.

    Args:
        probabilities: `[…, candidates]`.
        totals: `[…]`, sums over the candidates of each request of the probability to be next.
    """
    return probabilities / np.maximum(totals, np.float32(1.0))[..., None]
