"""Neighbours: the known items that lend a cold item, an item without events, what behaviour taught about them.

Words say what an item is, behaviour what it is wanted with. A cold item has words only, so the known items whose
vectors are nearest to its words stand for it: their vectors are mixed into its own, and it is as popular and as
associated as they are on average. A known item lends to itself alone.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from portrait.features.candidates.associations import AssociatedItems
from portrait.features.files.atomic_write import atomic_write
from portrait.features.release import layout as release_layout

MAX_NEIGHBOURS = 10
"""A cold item has so many neighbours at most."""
_SHARPNESS = 10.0
"""A neighbour's share grows with `exp` of so many times its cosine."""
_MAX_COSINES = 2**23
"""So many cosines are held at once."""


@dataclass(frozen=True, slots=True)
class ColdStartNeighbours:
    """The neighbours that lend to each of some items, by row of the release."""

    rows: NDArray[np.int32]
    """`[items, MAX_NEIGHBOURS]`; -1 where there is no neighbour."""
    weights: NDArray[np.float32]
    """`[items, MAX_NEIGHBOURS]`: what each neighbour counts; they add up to 1, or are 0 where there is no neighbour."""

    @classmethod
    def empty(cls, count: int) -> "ColdStartNeighbours":
        """Items that nobody lends to."""
        return cls(
            np.full((count, MAX_NEIGHBOURS), -1, dtype=np.int32), np.zeros((count, MAX_NEIGHBOURS), dtype=np.float32)
        )

    @classmethod
    def of_known_items(cls, rows: NDArray[np.int64]) -> "ColdStartNeighbours":
        """Known items, by row; nobody lends to row -1."""
        neighbours = cls.empty(len(rows))
        neighbours.rows[:, 0], neighbours.weights[:, 0] = rows, rows >= 0
        return neighbours

    @classmethod
    def find_nearest(
        cls, words: NDArray[np.float32], vectors: NDArray[np.float32], known: NDArray[np.bool_]
    ) -> "ColdStartNeighbours":
        """The known items that are nearest to cold items.

        Args:
            words: `[cold items, dimension]`, embeddings of their texts, unit length.
            vectors: `[items, dimension]`, vectors of the release's items, unit length.
            known: `[items]`, which of them have events.
        """
        neighbours, count = cls.empty(len(words)), min(MAX_NEIGHBOURS, int(known.sum()))
        block = max(1, _MAX_COSINES // max(1, len(known)))
        for begin in range(0, len(words) if count else 0, block):
            part = slice(begin, begin + block)
            cosines = np.where(known, words[part] @ vectors.T, -np.inf)
            places = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
            near = cls.from_cosines(places, np.take_along_axis(cosines, places, 1))
            neighbours.rows[part, :count], neighbours.weights[part, :count] = near.rows, near.weights
        return neighbours

    @classmethod
    def from_cosines(cls, rows: NDArray[np.int64], cosines: NDArray[np.float32]) -> "ColdStartNeighbours":
        """Known items that are near to cold items, each with a share that grows with its nearness.

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
        """Those of some of the items."""
        return ColdStartNeighbours(self.rows[places], self.weights[places])

    def concatenate(self, other: "ColdStartNeighbours") -> "ColdStartNeighbours":
        """These and others after them."""
        return ColdStartNeighbours(
            np.concatenate([self.rows, other.rows]), np.concatenate([self.weights, other.weights])
        )

    def average(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Average `[rows, …]` values of the release's items over the neighbours: `[items, …]`, 0 without any."""
        shares = self.weights.reshape(*self.weights.shape, *(1,) * (values.ndim - 1))
        averaged: NDArray[np.float32] = (values[self.rows] * shares).sum(1)
        return averaged

    def average_associations(self, associated: AssociatedItems) -> NDArray[np.float32]:
        """`[items]`: what a history leads to, of each item its neighbours' mean."""
        scores = associated.scores_of(self.rows.ravel().astype(np.int64)).reshape(self.rows.shape)
        averaged: NDArray[np.float32] = (scores * self.weights).sum(1)
        return averaged

    def save(self, path: Path) -> None:
        """Write to a file, all of it or nothing."""
        held = np.empty(
            len(self), dtype=[("rows", np.int32, (MAX_NEIGHBOURS,)), ("weights", np.float32, (MAX_NEIGHBOURS,))]
        )
        held["rows"], held["weights"] = self.rows, self.weights
        with atomic_write(path) as temporary, temporary.open("wb") as file:
            np.save(file, held)

    @classmethod
    def load(cls, folder: Path) -> "ColdStartNeighbours":
        """Read those of a release's folder, mapped into memory."""
        held = np.asarray(np.load(folder / release_layout.COLD_START_NEIGHBOURS, mmap_mode="r"))
        return cls(held["rows"], held["weights"])


def blend_neighbours(
    words: NDArray[np.float32], neighbours: ColdStartNeighbours, vectors: NDArray[np.float32], subspaces: int
) -> NDArray[np.float32]:
    """Vectors of items that borrow: each subspace the direction of words and lent vector together; unit length.

    Args:
        words: `[items, dimension]`, embeddings of their texts, unit length.
        neighbours: of these items.
        vectors: `[rows, dimension]`, vectors of the release's items, unit length.
        subspaces: equal parts of the vectors that are compared each by itself.
    """
    mixed = (words + neighbours.average(vectors)).reshape(len(words), subspaces, words.shape[1] // subspaces)
    mixed /= np.maximum(np.linalg.norm(mixed, axis=-1, keepdims=True), 1e-12) * np.float32(subspaces**0.5)
    return mixed.reshape(words.shape).astype(np.float32)
