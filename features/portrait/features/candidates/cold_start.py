"""Cold-start neighbours: known items whose behaviour stands in for that of a cold item, an item without events.

A text says what an item is; behaviour says what it is wanted with. A cold item has only its text, so the known items
whose vectors are nearest to its text embedding represent it: their vectors are mixed into its own, and its statistics
and relations are the weighted mean of theirs. A known item is its own and only neighbour.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

from portrait.features.files.atomic_write import atomic_write
from portrait.features.release import layout as release_layout

MAX_NEIGHBOURS = 10
"""Maximum number of neighbours of a cold item."""
_SHARPNESS = 10.0
"""Inverse temperature of the softmax over cosines that weights the neighbours."""


@dataclass(frozen=True, slots=True)
class ColdStartNeighbours:
    """The neighbours of some items, as rows of the release's items, with weights."""

    rows: NDArray[np.int32]
    """`[items, MAX_NEIGHBOURS]`; -1 where there is no neighbour."""
    weights: NDArray[np.float32]
    """`[items, MAX_NEIGHBOURS]`: weight of each neighbour; they sum to 1 per item, or are 0 without neighbours."""

    @classmethod
    def empty(cls, count: int) -> "ColdStartNeighbours":
        """Make `count` items without neighbours."""
        return cls(
            np.full((count, MAX_NEIGHBOURS), -1, dtype=np.int32), np.zeros((count, MAX_NEIGHBOURS), dtype=np.float32)
        )

    @classmethod
    def of_known_items(cls, rows: NDArray[np.int64]) -> "ColdStartNeighbours":
        """Make each known item, `[items]` rows, its own neighbour; row -1 has none."""
        neighbours = cls.empty(len(rows))
        neighbours.rows[:, 0], neighbours.weights[:, 0] = rows, rows >= 0
        return neighbours

    @classmethod
    def find_nearest(
        cls, text_vectors: NDArray[np.float32], vectors: NDArray[np.float32], known: NDArray[np.bool_]
    ) -> "ColdStartNeighbours":
        """Find the known items nearest to cold items, by exact search.

        Args:
            text_vectors: `[cold items, dimension]`, embeddings of their texts, unit length.
            vectors: `[items, dimension]`, vectors of the release's items, unit length.
            known: `[items]`, True for items with events.
        """
        rows = np.flatnonzero(known)
        count = min(MAX_NEIGHBOURS, len(rows))
        if not count or not len(text_vectors):
            return cls.empty(len(text_vectors))
        # Many items of a shop share a text: each is compared once.
        distinct, place = np.unique(text_vectors, axis=0, return_inverse=True)
        cosines, found = faiss.knn(distinct, np.ascontiguousarray(vectors[rows]), count, faiss.METRIC_INNER_PRODUCT)
        near = cls.from_cosines(rows[found], cosines).select(place.reshape(-1))
        neighbours = cls.empty(len(text_vectors))
        neighbours.rows[:, :count], neighbours.weights[:, :count] = near.rows, near.weights
        return neighbours

    @classmethod
    def from_cosines(cls, rows: NDArray[np.int64], cosines: NDArray[np.float32]) -> "ColdStartNeighbours":
        """Weight known items that are near to cold items by the softmax of their cosines.

        Args:
            rows: `[cold items, neighbours]`; -1 where there is none.
            cosines: `[cold items, neighbours]`.
        """
        weights = np.where(rows >= 0, np.exp(_SHARPNESS * cosines), np.float32(0.0))
        shares = weights / np.maximum(weights.sum(1, keepdims=True), np.float32(1e-12))
        return cls(rows.astype(np.int32), shares.astype(np.float32))

    def __len__(self) -> int:
        return len(self.rows)

    def select(self, places: NDArray[np.int64]) -> "ColdStartNeighbours":
        """Select the neighbours of some of the items, by index."""
        return ColdStartNeighbours(self.rows[places], self.weights[places])

    def concatenate(self, other: "ColdStartNeighbours") -> "ColdStartNeighbours":
        """Append the neighbours of other items."""
        return ColdStartNeighbours(
            np.concatenate([self.rows, other.rows]), np.concatenate([self.weights, other.weights])
        )

    def average(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Average `[rows, …]` values of the release's items over the neighbours: `[items, …]`, 0 without any."""
        shares = self.weights.reshape(*self.weights.shape, *(1,) * (values.ndim - 1))
        averaged: NDArray[np.float32] = (values[self.rows] * shares).sum(1)
        return averaged

    def average_of(self, read: Callable[[NDArray[np.int32]], NDArray[np.float32]]) -> NDArray[np.float32]:
        """Average values that are computed for the neighbours alone.

        Args:
            read: `[…]` rows → `[…, values]`; those of row -1 don't count.
        """
        averaged: NDArray[np.float32] = read(self.rows[:, 0]) * self.weights[:, 0, None]
        several = np.flatnonzero(self.weights[:, 1] > 0)  # few: a known item is its own and only neighbour
        if len(several):
            averaged[several] = (read(self.rows[several]) * self.weights[several, :, None]).sum(1)
        return averaged

    def save(self, path: Path) -> None:
        """Write to a file, atomically."""
        neighbours_on_disk = np.empty(
            len(self), dtype=[("rows", np.int32, (MAX_NEIGHBOURS,)), ("weights", np.float32, (MAX_NEIGHBOURS,))]
        )
        neighbours_on_disk["rows"], neighbours_on_disk["weights"] = self.rows, self.weights
        with atomic_write(path) as temporary, temporary.open("wb") as file:
            np.save(file, neighbours_on_disk)

    @classmethod
    def load(cls, folder: Path) -> "ColdStartNeighbours":
        """Load the neighbours of a release's cold items from its folder, mapped into memory."""
        neighbours_on_disk = np.asarray(np.load(folder / release_layout.COLD_START_NEIGHBOURS, mmap_mode="r"))
        return cls(neighbours_on_disk["rows"], neighbours_on_disk["weights"])


def blend_neighbours(
    text_vectors: NDArray[np.float32], neighbours: ColdStartNeighbours, vectors: NDArray[np.float32], subspaces: int
) -> NDArray[np.float32]:
    """Add the mean vector of the neighbours to the text embedding of each item, and normalise each subspace.

    Args:
        text_vectors: `[items, dimension]`, embeddings of their texts, unit length.
        neighbours: neighbours of these items.
        vectors: `[rows, dimension]`, vectors of the release's items, unit length.
        subspaces: number of equal parts of the vectors that are compared on their own.

    Returns:
        `[items, dimension]`, unit length.
    """
    mixed = (text_vectors + neighbours.average(vectors)).reshape(
        len(text_vectors), subspaces, text_vectors.shape[1] // subspaces
    )
    mixed /= np.maximum(np.linalg.norm(mixed, axis=-1, keepdims=True), 1e-12) * np.float32(subspaces**0.5)
    return mixed.reshape(text_vectors.shape).astype(np.float32)
