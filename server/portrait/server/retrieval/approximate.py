"""Approximate search: an inverted file of quantised vectors looks only where the nearest ones are likely to be.

Vectors are gathered around the centres of clusters, eight bits a number, and a search looks through the lists of the
nearest centres (Jégou, Douze and Schmid 2011, "Product quantization for nearest neighbor search", section IV, with
a scalar quantiser in place of the product quantiser; here by faiss).
"""

import math
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

from portrait.server.bits import Bits


class Approximate:
    """Finds the rows whose vectors have the largest inner products with others. Any number of threads may search.

    Args:
        index: an inverted file of all rows.
    """

    def __init__(self, index: faiss.IndexIVF) -> None:
        self._index = index
        self.lists, self.looked_at = int(index.nlist), int(index.nprobe)
        """Lists in all, and lists that a search for any row looks at."""

    @classmethod
    def open(cls, path: Path) -> "Approximate":
        """Map an index into memory; processes share it.

        Raises:
            RuntimeError: it is not one.
        """
        return cls(faiss.read_index(str(path), faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY))

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @property
    def dimension(self) -> int:
        """Length of the vectors."""
        return int(self._index.d)

    def search(
        self, vectors: NDArray[np.float32], k: int, among: Bits, share: float
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The nearest rows to each vector, best first, and their inner products.

        The fewer rows are searched among, the more lists are looked at, so that as many of them are compared; where
        the lists hold too few, all lists are.

        Args:
            vectors: `[vectors, dimension]`.
            k: how many for each.
            among: the rows that may be found.
            share: of all rows, how many these are.

        Returns:
            Twice `[vectors, k]`; row -1 where there are no more.
        """
        lists = min(self.lists, math.ceil(self.looked_at / max(share, 1.0 / len(self))))
        rows, scores = self._look(vectors, k, among, lists)
        wanting = np.flatnonzero(rows[:, -1] < 0) if k <= share * len(self) else ()
        if len(wanting) and lists < self.lists:
            rows[wanting], scores[wanting] = self._look(vectors[wanting], k, among, self.lists)
        return rows, scores

    def _look(
        self, vectors: NDArray[np.float32], k: int, among: Bits, lists: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        within = faiss.SearchParametersIVF(sel=faiss.IDSelectorBitmap(among), nprobe=lists)
        scores, rows = self._index.search(vectors, k, params=within)
        return rows, scores
