"""Approximate search: an inverted file of quantised vectors looks only where the nearest ones are likely to be.

Vectors are gathered around the centres of clusters, eight bits a number, and a search looks through the lists of the
nearest centres (Jégou, Douze and Schmid 2011, "Product quantization for nearest neighbor search", section IV, with
a scalar quantiser in place of the product quantiser; here by faiss).
"""

import math

import faiss
import numpy as np
from numpy.typing import NDArray

from portrait.features.search import row_bitmap as bits
from portrait.features.search.base import ItemIndex
from portrait.features.search.row_bitmap import RowBitmap

_OVERFETCH_FACTOR, _MAX_FETCHED = 2.0, 1_000
"""Over-fetch for filters: so many times as many rows are fetched as are wanted, but no more than the second."""


class IvfIndex(ItemIndex):
    """Looks through the lists of the nearest centres.

    Where many rows may be found, a few more than are wanted are fetched and the others thrown away, since asking of
    each row that is looked at costs more than comparing it. Else they are searched among alone: the fewer they are, the
    more lists are looked at, and where these hold too few, all lists.

    Args:
        index: an inverted file of all rows.
    """

    def __init__(self, index: faiss.IndexIVF) -> None:
        self._index = index
        self.lists, self.looked_at = int(index.nlist), int(index.nprobe)
        """Lists in all, and lists that a search for any row looks at."""

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @property
    def dimension(self) -> int:  # noqa: D102 - see `ItemIndex`
        return int(self._index.d)

    def search(  # noqa: D102 - see `ItemIndex`
        self, vectors: NDArray[np.float32], k: int, among: RowBitmap, share: float
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        rows = np.full((len(vectors), k), -1, dtype=np.int64)
        scores = np.zeros((len(vectors), k), dtype=np.float32)
        fetched = k if share >= 1.0 else math.ceil(_OVERFETCH_FACTOR * k / max(share, 1e-9))
        if fetched <= _MAX_FETCHED:
            rows, scores = _filter_found(*self._search_lists(vectors, fetched, None, self.looked_at), k, among)
        for lists in (math.ceil(self.looked_at / max(share, 1.0 / len(self))), self.lists):
            wanting = np.flatnonzero(rows[:, -1] < 0)
            if len(wanting):
                rows[wanting], scores[wanting] = self._search_lists(vectors[wanting], k, among, min(lists, self.lists))
        return rows, scores

    def _search_lists(
        self, vectors: NDArray[np.float32], k: int, among: RowBitmap | None, lists: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        selector = None if among is None else faiss.IDSelectorBitmap(among)
        scores, rows = self._index.search(vectors, k, params=faiss.SearchParametersIVF(sel=selector, nprobe=lists))
        return rows, scores


def _filter_found(
    rows: NDArray[np.int64], scores: NDArray[np.float32], k: int, among: RowBitmap
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The first `k` of each that may be found; row -1 behind them."""
    kept = bits.contains_rows(among, rows) & (rows >= 0)
    first = np.argsort(~kept, axis=1, kind="stable")[:, :k]
    found = np.where(np.take_along_axis(kept, first, 1), np.take_along_axis(rows, first, 1), -1)
    return found, np.take_along_axis(scores, first, 1)
