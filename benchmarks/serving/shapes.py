"""Cost of batches of texts by shape, in process: `python -m benchmarks batch-shapes REPOSITORY`.

Fits seconds = fixed + per_place * rows * length to what is measured, by least squares of the relative errors. What
`SHAPES` of `portrait.server.inference.texts` calls the overhead is fixed / per_place.
"""

import json
import os
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.common.cli import add_repository, make_parser
from benchmarks.common.encoders import Encoder, open_openvino_encoder
from benchmarks.common.machine import describe_machine
from benchmarks.common.steps import open_repository
from portrait.features.release import layout as release_layout
from portrait.server.triton.configuration import instances

ROWS, LENGTHS = (1, 2, 4, 8, 16, 32, 64), (8, 16, 24, 32, 48, 64)
_LARGEST = 2048
_MODEL = "text_encoder"
_REPETITIONS = 5


def measure(repository: Path) -> dict[tuple[int, int], float]:
    """Measure the seconds of each shape (rows, length), on all instances at the same time, each on its cores.

    The median of some runs, after one that compiles it.
    """
    path = repository / _MODEL / str(release_layout.list_releases(repository)[-1]) / "model.onnx"
    running = instances(repository, _MODEL)
    threads = max(1, len(os.sched_getaffinity(0)) // running)
    random = np.random.default_rng(1)
    seconds = {}
    with ThreadPoolExecutor(running) as pool:
        encoders = [open_openvino_encoder(path, threads) for _ in range(running)]
        for rows, length in ((rows, length) for rows in ROWS for length in LENGTHS if rows * length <= _LARGEST):
            ids = random.integers(1_000, 2_000, (rows, length))
            every = list(pool.map(lambda encode, ids=ids: _time_runs(encode, ids), encoders))
            seconds[rows, length] = statistics.median(taken for runs in every for taken in runs)
    return seconds


def _time_runs(encode: Encoder, ids: NDArray[np.int64]) -> list[float]:
    """Time each run but the first."""
    runs = []
    for _ in range(1 + _REPETITIONS):
        began = time.perf_counter()
        encode(ids, np.ones_like(ids))
        runs.append(time.perf_counter() - began)
    return runs[1:]


def fit_cost(seconds: dict[tuple[int, int], float]) -> tuple[float, float]:
    """Fit the fixed seconds of a batch, and the seconds of each place."""
    places = np.array([rows * length for rows, length in seconds])
    taken = np.array(list(seconds.values()))
    columns = np.stack([np.ones_like(places), places], axis=1) / taken[:, None]
    fixed, per_place = np.linalg.lstsq(columns, np.ones_like(taken), rcond=None)[0]
    return float(fixed), float(per_place)


def main(arguments: list[str]) -> int:
    """Measure, and print each shape and the fit as JSON lines."""
    parser = make_parser("batch-shapes", __doc__)
    add_repository(parser)
    seconds = measure(open_repository(parser.parse_args(arguments).repository))
    sys.stderr.write(f"{describe_machine()}, {date.today()}\n")
    for (rows, length), taken in seconds.items():
        print(json.dumps({"rows": rows, "length": length, "ms": round(1e3 * taken, 2)}))
    fixed, per_place = fit_cost(seconds)
    told = {"fixed_ms": round(1e3 * fixed, 3), "per_place_us": round(1e6 * per_place, 2)}
    print(json.dumps(told | {"overhead_places": round(fixed / per_place)}))
    return 0
