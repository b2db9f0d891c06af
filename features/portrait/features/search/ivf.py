"""Approximate search: an inverted file of quantised vectors looks only where the nearest ones are likely to be.

Vectors are gathered around the centres of clusters, eight bits a number, and a search looks through the lists of the
nearest centres (Jégou, Douze and Schmid 2011, "Product quantization for nearest neighbor search", section IV, with
a scalar quantiser in place of the product quantiser; here by faiss).
"""

import math
from collections.abc import Sequence

import faiss
import numpy as np
from numpy.typing import NDArray

from portrait.features.search import row_bitmap as bits
from portrait.features.search.base import Found, ItemIndex, Want, drop_missing
from portrait.features.search.conditions import NO_CONDITIONS, RowConditions
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
        self,
        vectors: NDArray[np.float32],
        k: int,
        among: RowBitmap,
        share: float,
        conditions: RowConditions = NO_CONDITIONS,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        fetched = _count_fetched(k, share)
        return self._choose(vectors, self._fetch(vectors, fetched if fetched <= _MAX_FETCHED else 0), k, among, share)

    def search_several(self, vector: NDArray[np.float32], wants: Sequence[Want]) -> list[Found]:
        """Look through the lists once for all wants; see `ItemIndex.search_several`."""
        fetched = [_count_fetched(k, share) for k, _, share, _ in wants]
        most = max((count for count in fetched if count <= _MAX_FETCHED), default=0)
        rows, scores = self._fetch(vector[None], most)
        answers = []
        for count, (k, among, share, _) in zip(fetched, wants, strict=True):
            kept = count if count <= most else 0
            chosen, inner = self._choose(vector[None], (rows[:, :kept], scores[:, :kept]), k, among, share)
            answers.append(drop_missing(chosen[0], inner[0]))
        return answers

    def _fetch(self, vectors: NDArray[np.float32], count: int) -> Found:
        """`[vectors, count]` twice: the nearest rows of all, and their inner products."""
        if not count:
            return np.empty((len(vectors), 0), dtype=np.int64), np.empty((len(vectors), 0), dtype=np.float32)
        return self._search_lists(vectors, count, None, self.looked_at)

    def _choose(
        self, vectors: NDArray[np.float32], fetched: Found, k: int, among: RowBitmap, share: float
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Choose `k` of the fetched rows; where too few of them may be found, search those that may alone."""
        rows = np.full((len(vectors), k), -1, dtype=np.int64)
        scores = np.zeros((len(vectors), k), dtype=np.float32)
        some, inner = _filter_found(*fetched, k, among)
        rows[:, : some.shape[1]], scores[:, : some.shape[1]] = some, inner
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


def _count_fetched(k: int, share: float) -> int:
    """Count the rows to fetch, so that `k` of them are likely to be of a share of all."""
    return k if share >= 1.0 else math.ceil(_OVERFETCH_FACTOR * k / max(share, 1e-9))


def _filter_found(
    rows: NDArray[np.int64], scores: NDArray[np.float32], k: int, among: RowBitmap
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The first `k` of each that may be found; row -1 behind them."""
    kept = bits.contains_rows(among, rows) & (rows >= 0)
    first = np.argsort(~kept, axis=1, kind="stable")[:, :k]
    found = np.where(np.take_along_axis(kept, first, 1), np.take_along_axis(rows, first, 1), -1)
    return found, np.take_along_axis(scores, first, 1)
