"""Search by short codes (`codes`), of which the best rows are compared by their vectors."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from portrait.features.search import row_bitmap as bits
from portrait.features.search.base import Found, ItemIndex, Want
from portrait.features.search.codes import Codes, scan_codes
from portrait.features.search.conditions import NO_CONDITIONS, RowConditions
from portrait.features.search.row_bitmap import RowBitmap

_COMPARED = 8
"""Rows that are compared by their vectors for each one wanted, at least."""
MIN_COMPARED = 500
"""So many are compared anyway: a few nearest rows are often not among the very best by their codes."""
_MEASURED_AT = 100
"""Nearest rows, of which the rows to compare and the lists to look at are known to find nearly all."""
_MIN_SHARED, _MAX_SHARED = 1_000, 8_192
"""Fewest and most rows that are scanned for all wants at once. Most of a scan's time goes to the codes of all rows, and
little to the number of the best; a want that needs more is answered by itself."""
_WIDENING = 4
"""Factor by which more rows are scanned, where too few of those scanned before may be found."""
_ENOUGH = 0.6
"""Share of the rows to compare that suffices: fewer than expected may be found, by chance or because those that may be
found lie a little farther away than others."""

_NO_ROWS = np.empty(0, dtype=np.int64)


class ScanIndex(ItemIndex):
    """Looks at the codes of all rows, or of those in the nearest lists, and compares the best by their vectors.

    Args:
        codes: the codes of all rows.
        vectors: `[rows, dimension]`, which the codes were made of.
        compared: rows that are compared by their vectors, at least. The more rows lie close together, the more of them
            have equal codes, and the more must be compared, however few are wanted.
    """

    def __init__(self, codes: Codes, vectors: NDArray[np.float32], compared: int = MIN_COMPARED) -> None:
        self._codes, self._vectors, self.compared = codes, vectors, compared

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
        """Look at the codes once for all wants; see `ItemIndex.search_several`.

        Rows that may not be found may stand together around the vector, as where a filter bars what a shopper likes
        best: for such a want more is looked at.
        """
        ranks = [want.k / max(want.share, 1.0 / len(self)) for want in wants]
        needed = [self._count_scanned(rank) for rank in ranks]
        shared = [(count, rank) for count, rank in zip(needed, ranks, strict=True) if count <= _MAX_SHARED]
        best = _NO_ROWS
        if shared:
            most = max(_MIN_SHARED, *(count for count, _ in shared))
            best = self._scan(vector, most, max(rank for _, rank in shared))
        places = [self._find_places(want, best) for want in wants]
        inner = self._compare_once(vector, best, places)
        return [
            _choose(best[some], inner[some], want.k)
            if len(some) >= _ENOUGH * max(_COMPARED * want.k, MIN_COMPARED)
            else self._answer_apart(vector, want, max(count, 2 * _WIDENING * len(best)))
            for want, count, some in zip(wants, needed, places, strict=True)
        ]

    def _count_scanned(self, rank: float) -> int:
        """Count the rows to scan, so that nearly all of so many nearest rows are among them.

        The farther away rows are, the less their codes tell them from their neighbours. In measurements with a million
        items, what was needed grew with the root of the rank.
        """
        return math.ceil(max(_COMPARED * rank, self.compared * max(1.0, math.sqrt(rank / _MEASURED_AT))))

    def _find_places(self, want: Want, best: NDArray[np.int64]) -> NDArray[np.int64]:
        """Find the places of the rows to compare for a want among the best by their codes."""
        return np.flatnonzero(bits.contains_rows(want.among, best))[: max(_COMPARED * want.k, self.compared)]

    def _compare_once(
        self, vector: NDArray[np.float32], best: NDArray[np.int64], places: Sequence[NDArray[np.int64]]
    ) -> NDArray[np.float32]:
        """`[best]`: inner products with a vector, of the rows at some places; each row is compared once for all."""
        compared = np.zeros(len(best), dtype=bool)
        for some in places:
            compared[some] = True
        inner = np.empty(len(best), dtype=np.float32)
        inner[compared] = self._compare(vector, best[compared])
        return inner

    def _answer_apart(self, vector: NDArray[np.float32], want: Want, scanned: int) -> Found:
        """Answer a want of which too few rows are among those that were scanned for all.

        Args:
            vector: `[dimension]`.
            want: the search.
            scanned: number of rows to scan first.
        """
        rows = self._widen(vector, want, scanned)
        return _choose(rows, self._compare(vector, rows), want.k)

    def _widen(self, vector: NDArray[np.float32], want: Want, scanned: int) -> NDArray[np.int64]:
        """Find the rows to compare among those that may be found: the best by their codes, or all where these are few.

        Args:
            vector: `[dimension]`.
            want: the search.
            scanned: number of rows to scan first.
        """
        wanted, allowed = _COMPARED * want.k, want.share * len(self)
        # The best of a quarter of all rows take as long as a comparison of all.
        while allowed > _WIDENING * wanted and scanned <= len(self) // _WIDENING:
            rows = self._scan(vector, scanned, scanned / _COMPARED)
            rows = rows[bits.contains_rows(want.among, rows)]
            if len(rows) >= _ENOUGH * wanted:
                return rows[: max(wanted, self.compared)]
            scanned *= _WIDENING
        return np.flatnonzero(bits.unpack_rows(want.among, len(self)))

    def _scan(self, vector: NDArray[np.float32], count: int, rank: float) -> NDArray[np.int64]:
        """Find the best rows by their codes, best first.

        Args:
            vector: `[dimension]`.
            count: number of rows.
            rank: so many nearest rows should be among them.
        """
        return scan_codes(self._codes, vector, min(count, len(self)), rank / _MEASURED_AT)

    def _compare(self, vector: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Compute the inner products of some rows with a vector, in full precision."""
        inner: NDArray[np.float32] = self._vectors.take(rows, axis=0).astype(np.float32, copy=False) @ vector
        return inner


def _choose(rows: NDArray[np.int64], inner: NDArray[np.float32], k: int) -> Found:
    """Choose the `k` rows with the largest inner products, best first."""
    order = np.argsort(-inner, kind="stable")[:k]
    return rows[order], inner[order]
