"""Short codes of rows: four bits for each pair of numbers of a vector, by which the best rows are found quickly.

A row of 128 numbers takes 32 bytes (André, Kermarrec and Le Scouarnec 2015, "Cache locality is not enough"). The codes
of many rows are gathered in lists around the centres of clusters, of which a scan looks at the nearest (Jégou, Douze
and Schmid 2011, "Product quantization for nearest neighbor search", section IV). Both here by faiss.
"""

import math
from typing import TypeAlias

import faiss
import numpy as np
from numpy.typing import NDArray

Codes: TypeAlias = faiss.IndexPQFastScan | faiss.IndexIVFPQFastScan
"""Codes of all rows: one after the other, or in lists."""

_BITS = 4
_LISTS_BY_ROOT = 2.0
"""Lists for each square root of the number of rows."""
_ROUNDS, _LEARNT_FROM = 8, 40
"""Rounds of k-means, and vectors for each centre that it learns from, at most."""


def make_codes(vectors: NDArray[np.float32]) -> faiss.IndexPQFastScan:
    """Make the codes of all rows, one after the other.

    Args:
        vectors: `[rows, dimension]`, of an even dimension.
    """
    dimension = vectors.shape[1]
    codes = faiss.IndexPQFastScan(dimension, dimension // 2, _BITS, faiss.METRIC_INNER_PRODUCT)
    codes.train(vectors)
    codes.add(vectors)
    return codes


def make_listed_codes(vectors: NDArray[np.float32]) -> faiss.IndexIVFPQFastScan:
    """Make the codes of all rows in lists, of which a scan looks at all until `nprobe` is set.

    Args:
        vectors: `[rows, dimension]`, of an even dimension.
    """
    rows, dimension = vectors.shape
    codes = faiss.IndexIVFPQFastScan(
        faiss.IndexFlatIP(dimension), dimension, max(1, round(_LISTS_BY_ROOT * math.sqrt(rows))), dimension // 2,
        _BITS, faiss.METRIC_INNER_PRODUCT,
    )  # fmt: skip
    codes.by_residual = False  # a code means the same in every list
    codes.cp.spherical, codes.cp.niter = True, _ROUNDS
    codes.cp.min_points_per_centroid, codes.cp.max_points_per_centroid = 1, _LEARNT_FROM
    codes.train(vectors)
    codes.add(vectors)
    codes.nprobe = codes.nlist
    return codes


def scan_codes(codes: Codes, vector: NDArray[np.float32], count: int, reach: float) -> NDArray[np.int64]:
    """Find the best rows by their codes, best first; fewer than `count` if the lists that are looked at hold fewer.

    Args:
        codes: of all rows.
        vector: `[dimension]`.
        count: number of rows.
        reach: how many times as many lists are looked at as the codes have in `nprobe`; 1 at least.
    """
    if not isinstance(codes, faiss.IndexIVF):
        found: NDArray[np.int64] = codes.search(vector[None], count)[1][0]
        return found
    lists = min(codes.nlist, math.ceil(codes.nprobe * max(1.0, reach)))
    found = codes.search(vector[None], count, params=faiss.SearchParametersIVF(nprobe=lists))[1][0]
    return found[found >= 0]
