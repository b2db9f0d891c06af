"""What batches of texts cost by their shape, in process: `python -m benchmarks.serving.shapes REPOSITORY`.

Fits seconds = fixed + per_place * rows * length to what is measured, by least squares of the relative errors. What
`SHAPES` of `portrait.server.inference.texts` calls the overhead is fixed / per_place.
"""

import argparse
import json
import statistics
import sys
import time
from datetime import date
from pathlib import Path

import numpy as np
import openvino  # type: ignore[import-untyped]

from benchmarks.machine import machine
from portrait.features import release as files

ROWS, LENGTHS = (1, 2, 4, 8, 16, 32, 64), (8, 16, 24, 32, 48, 64)
_LARGEST = 2048
_REPETITIONS = 5


def measure(repository: Path) -> dict[tuple[int, int], float]:
    """Seconds of each shape (rows, length): the median of some runs, after one that compiles it."""
    path = repository / "text_encoder" / str(files.releases(repository)[-1]) / "model.onnx"
    request = openvino.Core().compile_model(path, "CPU", {"PERFORMANCE_HINT": "LATENCY"}).create_infer_request()
    random = np.random.default_rng(1)
    seconds = {}
    for rows, length in ((rows, length) for rows in ROWS for length in LENGTHS if rows * length <= _LARGEST):
        ids = random.integers(1_000, 2_000, (rows, length))
        runs = []
        for _ in range(1 + _REPETITIONS):
            began = time.perf_counter()
            request.infer({"input_ids": ids, "attention_mask": np.ones_like(ids)})
            runs.append(time.perf_counter() - began)
        seconds[rows, length] = statistics.median(runs[1:])
    return seconds


def fit(seconds: dict[tuple[int, int], float]) -> tuple[float, float]:
    """Seconds that a batch costs, and that each of its places costs."""
    places = np.array([rows * length for rows, length in seconds])
    taken = np.array(list(seconds.values()))
    columns = np.stack([np.ones_like(places), places], axis=1) / taken[:, None]
    fixed, per_place = np.linalg.lstsq(columns, np.ones_like(taken), rcond=None)[0]
    return float(fixed), float(per_place)


def main(arguments: list[str]) -> int:
    """Measure, and print each shape and the fit as JSON lines."""
    parser = argparse.ArgumentParser(prog="benchmarks.serving.shapes", description=__doc__)
    parser.add_argument("repository", type=Path, help="model repository")
    seconds = measure(parser.parse_args(arguments).repository)
    sys.stderr.write(f"{machine()}, {date.today()}\n")
    for (rows, length), taken in seconds.items():
        print(json.dumps({"rows": rows, "length": length, "ms": round(1e3 * taken, 2)}))
    fixed, per_place = fit(seconds)
    told = {"fixed_ms": round(1e3 * fixed, 3), "per_place_us": round(1e6 * per_place, 2)}
    print(json.dumps(told | {"overhead_places": round(fixed / per_place)}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
