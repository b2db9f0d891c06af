"""Search of the nearest items: of all ways, the cheapest one on this machine that misses hardly any."""

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from portrait.features.files.path_names import utf8_path
from portrait.features.release import layout as release_layout
from portrait.features.search import row_bitmap as bits
from portrait.features.search.base import ItemIndex
from portrait.features.search.codes import Codes, make_codes, make_listed_codes
from portrait.features.search.flat import FlatIndex
from portrait.features.search.row_bitmap import RowBitmap
from portrait.features.search.scan import MIN_COMPARED, ScanIndex

EXACT, SCAN, LISTS = "exact", "scan", "lists"
WAYS = (EXACT, SCAN, LISTS)
RECALL_AT = 100
_WANTED_RECALL = 0.99
_PROFILES = 500
"""Profiles that recall is measured with."""
_TIMED = 100
"""Searches whose median is the cost of a way."""
_FEW_ITEMS = 5_000
"""So few items are searched exactly: no other way would save a tenth of a millisecond."""
_DEAR_MILLISECONDS = 1.0
"""Lists, which take long to build, are tried only where the other ways cost more."""
_FULL_PRECISION_BYTES = 2**29
"""Vectors that take more in 32 bits a number are kept in 16: a million of 128 numbers take so much. In 16 bits, rows
take two or three times as long to compare, since each is converted first."""
_ROWS_COMPARED = (MIN_COMPARED, 800, 1_250, 2_000, 3_200, 5_000, 8_000)
"""Rows that a search by codes may compare, at least; the fewest that give the recall that is wanted are taken."""
_FEWEST_LISTS = 16


@dataclass(frozen=True)
class Retrieval:
    """Settings of the search of the nearest items, their number and their cost, as the manifest has them."""

    kind: str
    """`exact`, or the index in faiss' notation."""
    looked_at: int | None = None
    """Rows that are compared in full, at least."""
    recall_at_100: float = 1.0
    """Share of the 100 nearest items of a profile that are found."""
    profiles: int = 0
    """Number of profiles that it was measured with."""
    milliseconds: float | None = None
    """Median of a search by one thread; None if it was not measured."""

    def __str__(self) -> str:
        """In words."""
        if self.milliseconds is None:
            return self.kind
        return (
            f"{self.kind}, {self.milliseconds:.2f} ms a search: recall@{RECALL_AT} {self.recall_at_100:.3f} over "
            f"{self.profiles} profiles"
        )


def write(
    vectors: NDArray[np.float32],
    profiles: Callable[[int], NDArray[np.float32]],
    folder: Path,
    ways: Sequence[str] = WAYS,
) -> Retrieval:
    """Write the items' vectors into a release's folder, and an index of them where that is the cheapest way.

    Of a large catalogue the vectors are kept in sixteen bits a number.

    Args:
        vectors: `[items, dimension]`, unit length.
        profiles: makes up to so many vectors of shoppers that no test knows.
        folder: the release's.
        ways: those to choose from.
    """
    kept = vectors if vectors.nbytes <= _FULL_PRECISION_BYTES else vectors.astype(np.float16)
    np.save(folder / release_layout.ITEM_VECTORS, kept)
    if len(vectors) <= _FEW_ITEMS and EXACT in ways:
        return Retrieval(EXACT)
    asked = profiles(_PROFILES)
    _, nearest = faiss.knn(asked, vectors, RECALL_AT, faiss.METRIC_INNER_PRODUCT)
    tried = [_TRY[way](vectors, kept, asked, nearest) for way in ways if way != LISTS]
    if LISTS in ways and all(_cost(each) > _DEAR_MILLISECONDS for each in tried):
        tried.append(_try_lists(vectors, kept, asked, nearest))
    retrieval, index = min(tried, key=_cost)
    if index is not None:
        faiss.write_index(index, utf8_path(folder / release_layout.ITEM_INDEX))
    return retrieval


Tried = tuple[Retrieval, faiss.Index | None]
"""Retrieval of a way, and its index."""


def _cost(tried: Tried) -> float:
    """Milliseconds of a search; infinite for one that misses too much."""
    retrieval, _ = tried
    if retrieval.milliseconds is None or retrieval.recall_at_100 < _WANTED_RECALL:
        return math.inf
    return retrieval.milliseconds


def _try_exact(
    vectors: NDArray[np.float32], _: NDArray[Any], asked: NDArray[np.float32], nearest: NDArray[np.int64]
) -> Tried:
    return Retrieval(EXACT, None, *_measure(FlatIndex(vectors), asked, nearest)), None


def _try_scan(
    vectors: NDArray[np.float32], kept: NDArray[Any], asked: NDArray[np.float32], nearest: NDArray[np.int64]
) -> Tried:
    """Try codes, and compare by the vectors as they are kept, which may have sixteen bits a number."""
    codes = make_codes(vectors)
    return _try_codes(f"PQ{codes.pq.M}x4fs", codes, kept, asked, nearest)


def _try_lists(
    vectors: NDArray[np.float32], kept: NDArray[Any], asked: NDArray[np.float32], nearest: NDArray[np.int64]
) -> Tried:
    """Try codes in lists, of which a search looks at as few as give the recall that is wanted, or at all."""
    codes = make_listed_codes(vectors)
    codes.nprobe = min(_FEWEST_LISTS, codes.nlist)
    most = ScanIndex(codes, kept, _ROWS_COMPARED[-1])
    while codes.nprobe < codes.nlist and _find_recall(most, asked, nearest) < _WANTED_RECALL:
        codes.nprobe = min(2 * codes.nprobe, codes.nlist)
    return _try_codes(f"IVF{codes.nlist},PQ{codes.pq.M}x4fs", codes, kept, asked, nearest)


def _try_codes(
    kind: str, codes: Codes, kept: NDArray[Any], asked: NDArray[np.float32], nearest: NDArray[np.int64]
) -> Tried:
    """Try codes, and compare as few rows as give the recall that is wanted, or the most."""
    for compared in _ROWS_COMPARED:
        index = ScanIndex(codes, kept, compared)
        if _find_recall(index, asked, nearest) >= _WANTED_RECALL:
            break
    return Retrieval(kind, index.compared, *_measure(index, asked, nearest)), codes


def _find_recall(index: ItemIndex, asked: NDArray[np.float32], nearest: NDArray[np.int64]) -> float:
    found, _ = index.search(asked, RECALL_AT, _every_row(len(index)), 1.0)
    return recall_of(found, nearest)


def _every_row(count: int) -> RowBitmap:
    return bits.pack_rows(np.ones(count, dtype=bool))


_TRY = {EXACT: _try_exact, SCAN: _try_scan}


def _measure(index: ItemIndex, asked: NDArray[np.float32], nearest: NDArray[np.int64]) -> tuple[float, int, float]:
    """Measure recall, over how many profiles, and the milliseconds of a search."""
    every, seconds = _every_row(len(index)), []
    for profile in asked[:_TIMED]:
        began = time.perf_counter()
        index.search(profile[None], RECALL_AT, every, 1.0)
        seconds.append(time.perf_counter() - began)
    return _find_recall(index, asked, nearest), len(asked), round(1e3 * statistics.median(seconds), 3)


def recall_of(found: NDArray[np.int64], nearest: NDArray[np.int64]) -> float:
    """Share of the nearest rows that were found, each `[profiles, rows]`."""
    pairs = zip(found, nearest, strict=True)
    return float(np.mean([np.isin(wanted, got).mean() for got, wanted in pairs]))
