"""Search of the nearest items: exact up to `EXACT_ITEMS` items, beyond that by an index built here."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

from portrait.features.files.path_names import utf8_path
from portrait.features.release import layout as release_layout
from portrait.features.search import row_bitmap as bits
from portrait.features.search.ivf import IvfIndex

EXACT_ITEMS = 100_000
"""The largest catalogue that is searched exactly; `python -m benchmarks indexes` compares."""
RECALL_AT = 100
_WANTED_RECALL = 0.95
_PROFILES = 500
"""Profiles that recall is measured with."""
_LISTS_BY_ROOT = 4.0
"""Lists for each square root of the number of items."""
_ROUNDS, _LEARNT_FROM = 8, 40
"""Rounds of k-means, and vectors for each centre that it learns from, at most."""


@dataclass(frozen=True)
class Retrieval:
    """Settings of the search of the nearest items, and their number, as the manifest has them."""

    kind: str
    """`exact`, or the index in faiss' notation."""
    looked_at: int | None = None
    """Lists that a search looks at; the fewest that give the recall that is wanted, or all."""
    recall_at_100: float = 1.0
    """Share of the 100 nearest items of a profile that are found."""
    profiles: int = 0
    """Number of profiles that it was measured with."""

    def __str__(self) -> str:
        """In words."""
        if self.looked_at is None:
            return "exact"
        return (
            f"{self.kind}, {self.looked_at} lists looked at: recall@{RECALL_AT} {self.recall_at_100:.3f} "
            f"over {self.profiles} profiles"
        )


def write(
    vectors: NDArray[np.float32], profiles: Callable[[int], NDArray[np.float32]], folder: Path, *, exact: int
) -> Retrieval:
    """Write the items' vectors into a release's folder, and an index of them if there are many.

    Beside an index, which holds the vectors in eight bits a number, they are kept in sixteen for the ranker: a million
    items of 384 numbers take 1.2 GB together, where in full precision the vectors alone took 1.5 GB.

    Args:
        vectors: `[items, dimension]`, unit length.
        profiles: makes up to so many vectors of shoppers that no test knows.
        folder: the release's.
        exact: the most items that are searched without an index.
    """
    if len(vectors) <= exact:
        np.save(folder / release_layout.ITEM_VECTORS, vectors)
        return Retrieval("exact")
    np.save(folder / release_layout.ITEM_VECTORS, vectors.astype(np.float16))
    index = inverted_file(vectors)
    asked = profiles(_PROFILES)
    recall = _look_at_enough(index, asked, vectors)
    faiss.write_index(index, utf8_path(folder / release_layout.ITEM_INDEX))
    return Retrieval(f"IVF{index.nlist},SQ8", int(index.nprobe), recall, len(asked))


def inverted_file(vectors: NDArray[np.float32]) -> faiss.IndexIVFScalarQuantizer:
    """An inverted file of all vectors, eight bits a number."""
    count, dimension = vectors.shape
    lists = max(1, round(_LISTS_BY_ROOT * math.sqrt(count)))
    centres = faiss.IndexFlatIP(dimension)
    index = faiss.IndexIVFScalarQuantizer(
        centres, dimension, lists, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
    )
    index.own_fields = False
    index.cp.spherical, index.cp.niter = True, _ROUNDS
    index.cp.min_points_per_centroid, index.cp.max_points_per_centroid = 1, _LEARNT_FROM
    index.train(vectors)
    index.add(vectors)
    return index


def _look_at_enough(index: faiss.IndexIVF, profiles: NDArray[np.float32], vectors: NDArray[np.float32]) -> float:
    """Let the index look at as few lists as give the recall that is wanted; returns the recall."""
    every = bits.pack_rows(np.ones(len(vectors), dtype=bool))
    _, nearest = faiss.knn(profiles, vectors, RECALL_AT, faiss.METRIC_INNER_PRODUCT)
    recall, lists = 0.0, 1
    while recall < _WANTED_RECALL and lists <= index.nlist:
        index.nprobe = lists
        found, _ = IvfIndex(index).search(profiles, RECALL_AT, every, 1.0)
        recall = recall_of(found, nearest)
        lists *= 2
    return recall


def recall_of(found: NDArray[np.int64], nearest: NDArray[np.int64]) -> float:
    """Share of the nearest rows that were found, each `[profiles, rows]`."""
    pairs = zip(found, nearest, strict=True)
    return float(np.mean([np.isin(wanted, got).mean() for got, wanted in pairs]))
