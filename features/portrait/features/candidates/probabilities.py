"""Probabilities of a request's candidates: at most one item is next, so that they sum to at most 1."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

F = TypeVar("F", np.float32, np.float64)


def limit_total(probabilities: NDArray[F], totals: NDArray[F]) -> NDArray[F]:
    """Scale probabilities down where those of all candidates of a request would sum to more than 1.

    Args:
        probabilities: `[…, candidates]`.
        totals: `[…]`, sums over the candidates of each request of the probability to be next.
    """
    divisor: NDArray[F] = np.maximum(totals, 1).astype(probabilities.dtype)[..., None]
    limited: NDArray[F] = probabilities / divisor
    return limited
