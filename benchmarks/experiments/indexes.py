"""Indexes for the nearest items: `python -m benchmarks indexes REPOSITORY [--items N]`.

The vectors and the queries are the items and profiles of a synthetic catalogue, see
`benchmarks.common.synthetic_catalogue`. One thread searches for one query at a time, for the 200 nearest items that a
recommendation ranks.
"""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import date
from functools import partial

import faiss
import numpy as np
from numpy.typing import NDArray

from benchmarks.common import synthetic_catalogue as synthetic
from benchmarks.common.cli import add_repository, make_parser
from benchmarks.common.machine import describe_machine
from benchmarks.common.steps import open_repository
from portrait.export.nearest import RECALL_AT, recall_of
from portrait.features.candidates.sources import NEAREST_CANDIDATES
from portrait.features.search import row_bitmap as bits
from portrait.features.search.codes import Codes, make_codes, make_listed_codes
from portrait.features.search.scan import ScanIndex

_LINKS, _EFFORT = 32, 80
"""Parameters of HNSW: links of a node, and candidates at build time."""
_COMPARED = 3_200
"""Rows that are compared by their vectors where codes find them."""

Search = Callable[[NDArray[np.float32]], NDArray[np.int64]]


@dataclass(frozen=True)
class IndexCost:
    """The cost of one index at one search effort."""

    way: str
    looks_at: int | None
    """Lists, or candidates of HNSW."""
    build_seconds: float
    mib: float
    p50_ms: float
    recall_at_100: float


def measure(vectors: NDArray[np.float32], profiles: NDArray[np.float32]) -> Iterator[IndexCost]:
    """Measure all indexes, with all cores to build and one core to search."""
    _, nearest = faiss.knn(profiles, vectors, RECALL_AT, faiss.METRIC_INNER_PRODUCT)

    def found(way: str, looks_at: int | None, seconds: float, mib: float, search: Search) -> IndexCost:
        faiss.omp_set_num_threads(1)
        took, rows = [], []
        for profile in profiles:
            began = time.perf_counter()
            rows.append(search(profile[None]))
            took.append(time.perf_counter() - began)
        recall = recall_of(np.concatenate(rows)[:, :RECALL_AT], nearest)
        return IndexCost(way, looks_at, round(seconds, 1), round(mib), 1000 * statistics.median(took), recall)

    for way, make in (
        ("flat", _build_flat),
        ("flat, SQ8", _build_flat_sq8),
        ("IVF, SQ8", _build_ivf_sq8),
        ("HNSW, SQ8", _build_hnsw),
        ("codes", make_codes),
        ("codes in lists", make_listed_codes),
    ):
        faiss.omp_set_num_threads(os.cpu_count() or 1)
        began = time.monotonic()
        index = make(vectors)
        seconds, mib = time.monotonic() - began, len(faiss.serialize_index(index)) / 2**20
        for looks_at, set_to in _list_efforts(index):
            set_to()
            yield found(way, looks_at, seconds, mib, partial(_search, index, vectors))


def _list_efforts(index: faiss.Index) -> list[tuple[int | None, Callable[[], None]]]:
    """List the search efforts of an index, each with a function that sets it."""
    if isinstance(index, faiss.IndexIVF):
        return [(lists, partial(setattr, index, "nprobe", lists)) for lists in (16, 32, 64, 128, 256)]
    if isinstance(index, faiss.IndexHNSW):
        return [(size, partial(setattr, index.hnsw, "efSearch", size)) for size in (200, 400, 800)]
    return [(None, lambda: None)]


def _search(index: faiss.Index, vectors: NDArray[np.float32], wish: NDArray[np.float32]) -> NDArray[np.int64]:
    if isinstance(index, Codes):
        every = bits.pack_rows(np.ones(len(vectors), dtype=bool))
        return ScanIndex(index, vectors, _COMPARED).search(wish, NEAREST_CANDIDATES, every, 1.0)[0]
    _, rows = index.search(wish, NEAREST_CANDIDATES)
    return rows


def _build_flat(vectors: NDArray[np.float32]) -> faiss.Index:
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    return index


def _build_flat_sq8(vectors: NDArray[np.float32]) -> faiss.Index:
    index = faiss.IndexScalarQuantizer(vectors.shape[1], faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT)
    index.train(vectors)
    index.add(vectors)
    return index


def _build_ivf_sq8(vectors: NDArray[np.float32]) -> faiss.Index:
    rows, dimension = vectors.shape
    centres = faiss.IndexFlatIP(dimension)
    index = faiss.IndexIVFScalarQuantizer(
        centres, dimension, round(4 * rows**0.5), faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
    )
    index.train(vectors)
    index.add(vectors)
    return index


def _build_hnsw(vectors: NDArray[np.float32]) -> faiss.Index:
    index = faiss.IndexHNSWSQ(vectors.shape[1], faiss.ScalarQuantizer.QT_8bit, _LINKS, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = _EFFORT
    index.train(vectors)
    index.add(vectors)
    return index


def main(arguments: list[str]) -> int:
    """Print a JSON line for each index and search effort."""
    parser = make_parser("indexes", __doc__)
    add_repository(parser)
    parser.add_argument("--items", type=int, default=200_000, help="number of items (200,000)")
    options = parser.parse_args(arguments)
    sys.stderr.write(f"{describe_machine()}, {date.today()}\n")
    vectors, profiles = synthetic.draw_vectors(open_repository(options.repository), options.items, 300)
    for each in measure(vectors, profiles):
        print(json.dumps(asdict(each)), flush=True)
    return 0
