"""Similarity of profiles to those of a seed."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from portrait.features.population.profile_distribution import ProfileDistribution
from portrait.server.audiences.matchers import read_embeddings
from portrait.server.audiences.table import CHUNK_ROWS, AudienceTable, Rows


class SeedCentroid:
    """The mean profile of a seed, summed chunk by chunk.

    Args:
        table: holds the profiles.
        rows: of the seed.
    """

    def __init__(self, table: AudienceTable, rows: Rows) -> None:
        self._table, self._rows = table, rows
        self._sum = np.zeros(table.description.dimension, dtype=np.float64)
        self._known = 0

    def iterate_chunks(self) -> Iterator[slice]:
        """Iterate over the arguments of `add`."""
        for begin in range(0, len(self._rows), CHUNK_ROWS):
            yield slice(begin, begin + CHUNK_ROWS)

    def add(self, step: slice) -> None:
        """Add some rows; those without a profile do not count."""
        profiles = read_embeddings(self._table, self._rows[step])
        self._sum += profiles.sum(axis=0, dtype=np.float64)
        self._known += int(profiles.any(axis=1).sum())

    @property
    def mean(self) -> NDArray[np.float32]:
        """`[dimension]`."""
        return (self._sum / max(1, self._known)).astype(np.float32)


def compute_similarities(
    profiles: NDArray[np.float32], direction: NDArray[np.float32], shoppers: ProfileDistribution | None
) -> NDArray[np.float32]:
    """`[profiles]`: cosine of each profile, less the mean of the release's shoppers, with a direction; NaN without one.

    All profiles have something in common, which makes any two alike: less their mean, they are told apart.

    Args:
        profiles: `[profiles, dimension]`; zeros where there is none.
        direction: `[dimension]`, unit length: what sets the seed apart; see `labels.direction`.
        shoppers: of the release; None if it has no statistics.
    """
    apart = profiles - (np.float32(0.0) if shoppers is None else shoppers.mean)
    length = np.sqrt(np.einsum("ij,ij->i", apart, apart))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(profiles.any(axis=1), apart @ direction / length, np.nan).astype(np.float32)
