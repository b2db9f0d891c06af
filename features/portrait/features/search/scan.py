"""Search by short codes of all rows, of which the best are compared by their vectors.

Each pair of numbers of a vector is one of sixteen, so a row of 128 numbers takes 32 bytes and all rows stay in the
processor's cache (André, Kermarrec and Le Scouarnec 2015, "Cache locality is not enough"; here by faiss).
"""

import math
from collections.abc import Sequence

import faiss
import numpy as np
from numpy.typing import NDArray

from portrait.features.search import row_bitmap as bits
from portrait.features.search.base import Found, ItemIndex, Want
from portrait.features.search.conditions import NO_CONDITIONS, RowConditions
from portrait.features.search.row_bitmap import RowBitmap

COMPARED = 8
"""Rows that are compared by their vectors for each one wanted."""
_MAX_COMPARED = 8_192
"""Most rows that are compared so; where few pass a filter and more would be, all that pass are compared."""


class ScanIndex(ItemIndex):
    """Looks at the codes of all rows, and compares the best by their vectors.

    Args:
        codes: the codes of all rows.
        vectors: `[rows, dimension]`, which the codes were made of.
    """

    def __init__(self, codes: faiss.IndexPQFastScan, vectors: NDArray[np.float32]) -> None:
        self._codes, self._vectors = codes, vectors

    def __len__(self) -> int:
        return int(self._codes.ntotal)

    @property
    def dimension(self) -> int:  # noqa: D102 - see `ItemIndex`
        return int(self._codes.d)

    def search(  # noqa: D102 - see `ItemIndex`
        self,
        vectors: NDArray[np.float32],
        k: int,
        among: RowBitmap,
        share: float,
        conditions: RowConditions = NO_CONDITIONS,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        rows = np.full((len(vectors), k), -1, dtype=np.int64)
        scores = np.zeros((len(vectors), k), dtype=np.float32)
        for place, vector in enumerate(vectors):
            [(best, inner)] = self.search_several(vector, [Want(k, among, share)])
            rows[place, : len(best)], scores[place, : len(best)] = best, inner
        return rows, scores

    def search_several(self, vector: NDArray[np.float32], wants: Sequence[Want]) -> list[Found]:
        """Look at the codes once for all wants; see `ItemIndex.search_several`."""
        compared = [math.ceil(COMPARED * k / max(share, 1.0 / len(self))) for k, _, share, _ in wants]
        scanned = max((count for count in compared if count <= min(_MAX_COMPARED, len(self))), default=0)
        best = self._codes.search(vector[None], scanned)[1][0] if scanned else np.empty(0, dtype=np.int64)
        inner, answers = self._compare(vector, best), []
        for count, (k, among, *_) in zip(compared, wants, strict=True):
            usable = count if count <= scanned else 0
            answers.append(self._choose(vector, k, among, (best[:usable], inner[:usable])))
        return answers

    def _choose(self, vector: NDArray[np.float32], k: int, among: RowBitmap, compared: Found) -> Found:
        """Choose `k` of the compared rows that may be found, or of all that may where those are too few."""
        rows, inner = compared
        kept = np.flatnonzero(bits.contains_rows(among, rows))
        if len(kept) < k:
            rows = np.flatnonzero(bits.unpack_rows(among, len(self)))
            inner = self._compare(vector, rows)
        else:
            rows, inner = rows[kept], inner[kept]
        order = np.argsort(-inner, kind="stable")[:k]
        return rows[order], inner[order]

    def _compare(self, vector: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Compute the inner products of some rows with a vector, in full precision."""
        inner: NDArray[np.float32] = self._vectors[rows].astype(np.float32, copy=False) @ vector
        return inner


def make_codes(vectors: NDArray[np.float32]) -> faiss.IndexPQFastScan:
    """Make the codes of all rows, four bits for each pair of numbers.

    Args:
        vectors: `[rows, dimension]`, of an even dimension.
    """
    dimension = vectors.shape[1]
    codes = faiss.IndexPQFastScan(dimension, dimension // 2, 4, faiss.METRIC_INNER_PRODUCT)
    codes.train(vectors)
    codes.add(vectors)
    return codes
