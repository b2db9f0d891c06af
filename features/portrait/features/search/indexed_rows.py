"""The part of a release's items that an engine of its own needs, to search the nearest of them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class IndexedRows:
    """Vectors and filtered columns of a release's items, by row."""

    vectors: NDArray[np.floating[Any]]
    """`[rows, dimension]`, unit length."""
    catalogue: NDArray[np.int32]
    path: NDArray[np.int32]
    brand: NDArray[np.int32]
    """`[rows]` each: codes of the release."""
    price: NDArray[np.float64]
    """`[rows]`, NaN if unknown."""
    is_cold: NDArray[np.bool_]
    """`[rows]`."""

    def __len__(self) -> int:
        return len(self.vectors)
