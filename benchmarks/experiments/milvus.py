"""Milvus Lite beside the ways in memory: `python -m benchmarks milvus [--items N …]`.

Vectors of 128 numbers are drawn around centres, one for each fifty items, which lie around fewer centres themselves; a
query is the mean of three items of one such group. One search at a time, for the 100 nearest items: of all, and of a
tenth that a filter by category lets through. Milvus Lite runs in a process of its own, is filled as by `portrait
index-release`, and is asked as the gateway asks it, but may take longer than the gateway would wait.
"""

import json
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

from benchmarks.common import results
from benchmarks.common.cli import make_parser
from benchmarks.common.errors import BenchmarkError
from portrait.export import nearest
from portrait.export.nearest import RECALL_AT, recall_of
from portrait.features.release import layout as release_layout
from portrait.features.search import row_bitmap as bits
from portrait.features.search.base import ItemIndex
from portrait.features.search.conditions import NO_CONDITIONS, RowConditions
from portrait.features.search.flat import FlatIndex
from portrait.features.search.indexed_rows import IndexedRows
from portrait.features.search.item_index import open_index
from portrait.server.search.milvus import index as milvus_index
from portrait.server.search.milvus.collections import MilvusCollections, connect

_DIMENSION, _GROUPS, _ITEMS_EACH = 128, 200, 50
"""Length of the vectors, groups of centres, and items around each centre on average."""
_SPREAD_OF_CENTRES, _SPREAD_OF_ITEMS = 0.7, 0.5
"""Distances from the middle of a group, and from the centre, beside a middle of length 1."""
_PATHS, _PASSING = 10, range(1)
"""Categories, drawn for each item, and those that the filter lets through."""
_MIB = 2**20
_START_SECONDS, _PATIENCE_SECONDS = 60.0, 120.0
_RESULTS = "milvus"


@dataclass(frozen=True)
class SearchCost:
    """The cost of one way at one size."""

    items: int
    way: str
    build_seconds: float
    mib: float
    """Memory of the index; of Milvus Lite, of its whole process."""
    p10_ms: float
    p50_ms: float
    recall: float
    filtered_p10_ms: float
    filtered_p50_ms: float
    filtered_recall: float


@dataclass(frozen=True)
class _Task:
    """The task of all ways: vectors, queries, and the rows that the filter passes."""

    rows: IndexedRows
    profiles: NDArray[np.float32]
    passing: NDArray[np.bool_]

    def measure(self, way: str, index: ItemIndex, build_seconds: float, mib: float) -> SearchCost:
        every = np.ones(len(self.rows), dtype=bool)
        whole = self._search(index, every, NO_CONDITIONS)
        filtered = self._search(index, self.passing, RowConditions(paths=(_PASSING,)))
        return SearchCost(len(self.rows), way, round(build_seconds, 1), round(mib, 1), *whole, *filtered)

    def _search(self, index: ItemIndex, mask: NDArray[np.bool_], conditions: RowConditions) -> tuple[float, ...]:
        """Search for each profile; returns the fastest tenth and the median in milliseconds, and the recall."""
        among, share, seconds, found = bits.pack_rows(mask), float(mask.mean()), [], []
        for profile in self.profiles:
            began = time.perf_counter()
            rows, _ = index.search(profile[None], RECALL_AT, among, share, conditions)
            seconds.append(time.perf_counter() - began)
            found.append(rows[0])
        own = np.flatnonzero(mask)
        _, best = faiss.knn(self.profiles, self.rows.vectors[own], RECALL_AT, faiss.METRIC_INNER_PRODUCT)
        return (*(1e3 * np.quantile(seconds, [0.1, 0.5])).tolist(), recall_of(np.stack(found), own[best]))


def _draw_vectors(
    count: int, profiles: int, random: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Draw vectors of items, and of profiles."""
    centres = count // _ITEMS_EACH
    group = np.sort(random.integers(_GROUPS, size=centres))
    middles = _draw_directions(_GROUPS, random)[group]
    around = _normalise(middles + _SPREAD_OF_CENTRES * _draw_directions(centres, random))
    centre = np.sort(random.integers(centres, size=count))
    vectors = _normalise(around[centre] + _SPREAD_OF_ITEMS * _draw_directions(count, random))
    first = random.integers(count - 2 * _ITEMS_EACH, size=profiles)
    return vectors, _normalise(vectors[first] + vectors[first + _ITEMS_EACH] + vectors[first + 2 * _ITEMS_EACH])


def _draw_directions(count: int, random: np.random.Generator) -> NDArray[np.float32]:
    return _normalise(random.standard_normal((count, _DIMENSION), dtype=np.float32))


def _normalise(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    unit: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def measure(count: int, profiles: int) -> Iterator[SearchCost]:
    """Measure all ways at one size."""
    random = np.random.default_rng(1)
    vectors, wishes = _draw_vectors(count, profiles, random)
    path = random.integers(_PATHS, size=count).astype(np.int32)
    none = np.zeros(count, dtype=np.int32)
    rows = IndexedRows(vectors, none, path, none, np.ones(count), np.zeros(count, dtype=bool))
    task = _Task(rows, wishes, path == 0)
    began = time.monotonic()
    flat = FlatIndex(vectors)
    yield task.measure("exact, 16 bits a number", flat, time.monotonic() - began, vectors.nbytes / 2 / _MIB)
    del flat
    for way in (nearest.SCAN, nearest.LISTS):
        with tempfile.TemporaryDirectory() as folder:
            began = time.monotonic()
            made = nearest.write(vectors, lambda _: wishes, Path(folder), (way,))
            seconds = time.monotonic() - began
            file = Path(folder) / release_layout.ITEM_INDEX
            yield task.measure(
                f"faiss {made.kind}",
                open_index(file, vectors, made.looked_at or 0),
                seconds,
                file.stat().st_size / _MIB,
            )
    with tempfile.TemporaryDirectory() as folder, _run_milvus(Path(folder)) as (collections, pid):
        began, identity = time.monotonic(), f"1-{count:012x}"
        collections.fill(identity, rows, lambda stored: None)
        seconds = time.monotonic() - began
        index = collections.open(identity, vectors)
        cost = task.measure("Milvus Lite, HNSW", index, seconds, 0.0)
        yield SearchCost(**asdict(cost) | {"mib": round(_read_memory(pid) / _MIB, 1)})


@contextmanager
def _run_milvus(folder: Path) -> Iterator[tuple[MilvusCollections, int]]:
    """Run a server in a process of its own; yields its collections and its process id."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    program = Path(sys.executable).parent / "milvus-lite"
    command = [str(program), "server", "--data-dir", str(folder / "data"), "--host", "127.0.0.1", "--port", str(port)]
    with (
        (folder / "log").open("w", encoding="utf-8") as log,
        subprocess.Popen(command, stdout=log, stderr=log) as process,
    ):
        try:
            _wait_for_port(port, process)
            collections = connect(f"http://127.0.0.1:{port}")
            yield collections, process.pid
            collections.close()
        finally:
            process.kill()


def _read_memory(pid: int) -> int:
    """Read the resident memory of a process, in bytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()[1])
    return pages * resource.getpagesize()


def _wait_for_port(port: int, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + _START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError as error:
            if process.poll() is not None or time.monotonic() > until:
                raise BenchmarkError("milvus-lite does not start") from error
            time.sleep(0.1)


def format_report(costs: list[SearchCost], where: dict[str, str]) -> str:
    """Format the figures as Markdown."""
    lines = [
        "# Milvus Lite beside the ways in memory",
        "",
        f"{results.format_origin(where)} One search at a time for the {RECALL_AT} nearest; the filter passes a tenth "
        "of the items. Memory: of the index in each gateway; of Milvus Lite, its process.",
        "",
        "| items | way | built in, s | memory, MiB | p10, p50, ms | recall | with a filter p10, p50, ms | recall |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for each in sorted(costs, key=lambda each: each.items):
        whole = f"{each.p10_ms:,.2f}, {each.p50_ms:,.2f} | {each.recall:.3f}"
        filtered = f"{each.filtered_p10_ms:,.2f}, {each.filtered_p50_ms:,.2f} | {each.filtered_recall:.3f}"
        lines.append(
            f"| {each.items:,} | {each.way} | {each.build_seconds:,.1f} | {each.mib:,.1f} | {whole} | {filtered} |"
        )
    return "\n".join(lines) + "\n"


def _read_other_sizes(sizes: list[int]) -> list[SearchCost]:
    """Read the results of earlier runs with other sizes, since each may take long."""
    path = results.RESULTS / f"{_RESULTS}.json"
    known = json.loads(path.read_text(encoding="utf-8"))["costs"] if path.exists() else []
    return [SearchCost(**each) for each in known if each["items"] not in sizes]


def main(arguments: list[str]) -> int:
    """Run the benchmark; return the exit code."""
    parser = make_parser("milvus", __doc__)
    parser.add_argument("--items", type=int, nargs="+", default=[10_000, 100_000, 1_000_000], help="numbers of items")
    parser.add_argument("--profiles", type=int, default=50, help="number of searches (50)")
    options = parser.parse_args(arguments)
    where = results.describe_circumstances(f"python -m benchmarks milvus --profiles {options.profiles}")
    milvus_index.SEARCH_SECONDS = _PATIENCE_SECONDS
    faiss.omp_set_num_threads(2)
    costs = []
    for count in options.items:
        for cost in measure(count, options.profiles):
            print(json.dumps(asdict(cost)), flush=True)
            costs.append(cost)
    costs += _read_other_sizes(options.items)
    report = format_report(costs, where)
    results.write_results(_RESULTS, {"circumstances": where, "costs": [asdict(cost) for cost in costs]}, report)
    print(report)
    return 0
