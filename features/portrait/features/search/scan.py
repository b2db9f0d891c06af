"""Search by short codes of all rows, of which the best are compared by their vectors.

Each pair of numbers of a vector is one of sixteen, so a row of 128 numbers takes 32 bytes and all rows stay in the
processor's cache (André, Kermarrec and Le Scouarnec 2015, "Cache locality is not enough"; here by faiss).
"""

import math

import faiss
import numpy as np
from numpy.typing import NDArray

from portrait.features.search import row_bitmap as bits
from portrait.features.search.row_bitmap import RowBitmap

COMPARED = 8
"""Rows that are compared by their vectors for each one wanted."""
_MAX_COMPARED = 8_192
"""Most rows that are compared so; where few pass a filter and more would be, all that pass are compared."""


class ScanIndex:
    """Finds the rows whose vectors have the largest inner products with others. Any number of threads may search.

    Args:
        codes: the codes of all rows.
        vectors: `[rows, dimension]`, which the codes were made of.
    """

    def __init__(self, codes: faiss.IndexPQFastScan, vectors: NDArray[np.float32]) -> None:
        self._codes, self._vectors = codes, vectors

    def __len__(self) -> int:
        return int(self._codes.ntotal)

    @property
    def dimension(self) -> int:
        """Length of the vectors."""
        return int(self._codes.d)

    def search(
        self, vectors: NDArray[np.float32], k: int, among: RowBitmap, share: float
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Find the nearest rows to each vector, best first, and their inner products, as `IvfIndex.search` does.

        Args:
            vectors: `[vectors, dimension]`.
            k: how many for each.
            among: the rows that may be found.
            share: of all rows, how many these are at most.
        """
        rows = np.full((len(vectors), k), -1, dtype=np.int64)
        scores = np.zeros((len(vectors), k), dtype=np.float32)
        for place, vector in enumerate(vectors):
            best, inner = self._find(vector, k, among, share)
            rows[place, : len(best)], scores[place, : len(best)] = best, inner
        return rows, scores

    def _find(
        self, vector: NDArray[np.float32], k: int, among: RowBitmap, share: float
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        compared = math.ceil(COMPARED * k / max(share, 1.0 / len(self)))
        rows = np.empty(0, dtype=np.int64)
        if compared <= min(_MAX_COMPARED, len(self)):
            rows = self._codes.search(vector[None], compared)[1][0]
            rows = rows[bits.contains_rows(among, rows)]
        if len(rows) < k:
            rows = np.flatnonzero(bits.unpack_rows(among, len(self)))
        inner = self._vectors[rows].astype(np.float32, copy=False) @ vector
        best = np.argsort(-inner, kind="stable")[:k]
        return rows[best], inner[best]


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
