"""Lenders: the known items that lend a newcomer, an item without events, what behaviour taught about them.

Words say what an item is, behaviour what it is wanted with. A newcomer has words only, so the known items whose
vectors are nearest to its words stand for it: their vectors are mixed into its own, and it is as popular and as
associated as they are on average. A known item lends to itself alone.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from portrait.features.candidates.associations import Associated
from portrait.features.files.atomic_write import replacing
from portrait.features.release import layout as release_layout

LENDERS = 10
"""A newcomer has so many lenders at most."""
_SHARPNESS = 10.0
"""A lender's share grows with `exp` of so many times its cosine."""
_SCORES = 2**23
"""So many cosines are held at once."""


@dataclass(frozen=True, slots=True)
class Lenders:
    """The neighbours that lend to each of some items, by row of the release."""

    rows: NDArray[np.int32]
    """`[items, LENDERS]`; -1 where there is no lender."""
    shares: NDArray[np.float32]
    """`[items, LENDERS]`: what each lender counts; they add up to 1, or are 0 where there is no lender."""

    @classmethod
    def none(cls, count: int) -> "Lenders":
        """Items that nobody lends to."""
        return cls(np.full((count, LENDERS), -1, dtype=np.int32), np.zeros((count, LENDERS), dtype=np.float32))

    @classmethod
    def themselves(cls, rows: NDArray[np.int64]) -> "Lenders":
        """Known items, by row; nobody lends to row -1."""
        lenders = cls.none(len(rows))
        lenders.rows[:, 0], lenders.shares[:, 0] = rows, rows >= 0
        return lenders

    @classmethod
    def nearest(cls, words: NDArray[np.float32], vectors: NDArray[np.float32], known: NDArray[np.bool_]) -> "Lenders":
        """The known items that are nearest to newcomers.

        Args:
            words: `[newcomers, dimension]`, embeddings of their texts, unit length.
            vectors: `[items, dimension]`, vectors of the release's items, unit length.
            known: `[items]`, which of them have events.
        """
        lenders, count = cls.none(len(words)), min(LENDERS, int(known.sum()))
        block = max(1, _SCORES // max(1, len(known)))
        for begin in range(0, len(words) if count else 0, block):
            part = slice(begin, begin + block)
            cosines = np.where(known, words[part] @ vectors.T, -np.inf)
            places = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
            near = cls.near(places, np.take_along_axis(cosines, places, 1))
            lenders.rows[part, :count], lenders.shares[part, :count] = near.rows, near.shares
        return lenders

    @classmethod
    def near(cls, rows: NDArray[np.int64], cosines: NDArray[np.float32]) -> "Lenders":
        """Known items that are near to newcomers, each with a share that grows with its nearness.

        Args:
            rows: `[newcomers, lenders]`; -1 where there is none.
            cosines: `[newcomers, lenders]`.
        """
        weights = np.where(rows >= 0, np.exp(_SHARPNESS * cosines), np.float32(0.0))
        shares = weights / np.maximum(weights.sum(1, keepdims=True), np.float32(1e-12))
        return cls(rows.astype(np.int32), shares.astype(np.float32))

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, places: NDArray[np.int64]) -> "Lenders":
        """Those of some of the items."""
        return Lenders(self.rows[places], self.shares[places])

    def joined(self, other: "Lenders") -> "Lenders":
        """These and others after them."""
        return Lenders(np.concatenate([self.rows, other.rows]), np.concatenate([self.shares, other.shares]))

    def mean(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """`[rows, …]` values of the release's items → `[items, …]`, of each item its lenders' mean; 0 without any."""
        shares = self.shares.reshape(*self.shares.shape, *(1,) * (values.ndim - 1))
        lent: NDArray[np.float32] = (values[self.rows] * shares).sum(1)
        return lent

    def associated(self, associated: Associated) -> NDArray[np.float32]:
        """`[items]`: what a history leads to, of each item its lenders' mean."""
        scores = associated.scores_of(self.rows.ravel().astype(np.int64)).reshape(self.rows.shape)
        lent: NDArray[np.float32] = (scores * self.shares).sum(1)
        return lent

    def save(self, path: Path) -> None:
        """Write to a file, all of it or nothing."""
        held = np.empty(len(self), dtype=[("rows", np.int32, (LENDERS,)), ("shares", np.float32, (LENDERS,))])
        held["rows"], held["shares"] = self.rows, self.shares
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.save(file, held)

    @classmethod
    def load(cls, folder: Path) -> "Lenders":
        """Read those of a release's folder, mapped into memory."""
        held = np.asarray(np.load(folder / release_layout.LENDERS, mmap_mode="r"))
        return cls(held["rows"], held["shares"])


def with_lent(
    words: NDArray[np.float32], lenders: Lenders, vectors: NDArray[np.float32], towers: int
) -> NDArray[np.float32]:
    """Vectors of items that borrow: each tower the direction of words and lent vector together; unit length.

    Args:
        words: `[items, dimension]`, embeddings of their texts, unit length.
        lenders: of these items.
        vectors: `[rows, dimension]`, vectors of the release's items, unit length.
        towers: equal parts of the vectors that are compared each by itself.
    """
    mixed = (words + lenders.mean(vectors)).reshape(len(words), towers, words.shape[1] // towers)
    mixed /= np.maximum(np.linalg.norm(mixed, axis=-1, keepdims=True), 1e-12) * np.float32(towers**0.5)
    return mixed.reshape(words.shape).astype(np.float32)
