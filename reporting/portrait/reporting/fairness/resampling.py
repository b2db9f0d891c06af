"""Resampling of groups of shoppers: bootstrap draws within each group, and random groups of the same size."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Matrix: TypeAlias = "NDArray[np.float64] | sparse.csr_array"

DRAWS = 1000
"""Bootstrap draws of an interval."""
CHANCE_DRAWS = 200
"""Random groups by which a distance is judged."""
_CHUNK = 50
"""Draws at a time, so that memory does not grow with their number."""


@dataclass(frozen=True)
class Strata:
    """Shoppers in groups that are resampled each on its own; whoever is in no shown group is in the last one.

    The same draws serve all groups: the difference of two groups that are everybody is exactly opposite for both.
    """

    of_row: NDArray[np.int64]
    """`[rows]`: stratum of each shopper, 0 to `count` - 1."""
    count: int

    @classmethod
    def of_groups(cls, part: NDArray[np.int64], shown: list[int]) -> "Strata":
        """Make a stratum of each shown group, in their order, and one of all other shoppers.

        Args:
            part: `[rows]`, group of each shopper.
            shown: numbers of the groups that are shown.
        """
        of_row = np.full(len(part), len(shown))
        for stratum, group in enumerate(shown):
            of_row[part == group] = stratum
        return cls(of_row, len(shown) + 1)

    @property
    def sizes(self) -> NDArray[np.float64]:
        """`[count]`: shoppers in each stratum."""
        return np.bincount(self.of_row, minlength=self.count).astype(np.float64)

    def sum_groups(self, matrix: Matrix) -> NDArray[np.float64]:
        """`[count, columns]`: sums of the rows `[rows, columns]` of each stratum."""
        return np.stack([np.asarray(matrix[self.of_row == stratum].sum(axis=0)) for stratum in range(self.count)])

    def resample_sums(self, matrix: Matrix, seed: int = 0) -> NDArray[np.float64]:
        """`[DRAWS, count, columns]`: the same sums over bootstrap draws; equal seeds draw the same shoppers."""
        parts = []
        for stratum in range(self.count):
            own = matrix[self.of_row == stratum]
            random = np.random.default_rng((seed, stratum))
            parts.append(np.concatenate([weights @ own for weights in _draw_weights(random, own.shape[0])]))
        return np.stack(parts, axis=1)


def _draw_weights(random: np.random.Generator, rows: int) -> Iterator[NDArray[np.float64]]:
    """Yield `[_CHUNK, rows]`: how often each row is drawn, with replacement, in as many draws as there are rows."""
    for _ in range(DRAWS // _CHUNK):
        drawn = (np.bincount(random.integers(0, rows, rows), minlength=rows) for _ in range(_CHUNK)) if rows else ()
        yield np.array(list(drawn), dtype=np.float64).reshape(_CHUNK, rows)


def draw_random_groups(matrix: Matrix, size: int, seed: int = 0) -> NDArray[np.float64]:
    """`[CHANCE_DRAWS, columns]`: mean of the rows of random groups of a size, minus that of all other rows."""
    random = np.random.default_rng(seed)
    rows = matrix.shape[0]
    total = np.asarray(matrix.sum(axis=0))
    sums = []
    for _ in range(CHANCE_DRAWS // _CHUNK):
        weights = np.zeros((_CHUNK, rows))
        for draw in weights:
            draw[random.permutation(rows)[:size]] = 1.0
        sums.append(weights @ matrix)
    inside = np.concatenate(sums)
    return inside / size - (total - inside) / (rows - size)
