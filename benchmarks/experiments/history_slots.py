"""Profiles of long and short histories in process: `python -m benchmarks history-slots REPOSITORY`.

The profile encoder is causal, so states of earlier events could be kept for the next call. What that saves at most is
the difference between encoding a whole history and encoding its last event alone: CPU time of the graph, without the
call of Triton, which either needs. The benchmark `serving --only cold` prints what the whole call takes.
"""

import statistics
import sys
import time
from datetime import date
from pathlib import Path

import numpy as np
import onnxruntime

from benchmarks.common.cli import add_repository, make_parser
from benchmarks.common.machine import describe_machine
from benchmarks.common.steps import open_repository
from benchmarks.common.targets import Result
from portrait.features.histories.history_arrays import EVENT_NUMBERS, MAX_ENCODED_SLOTS
from portrait.features.release import layout as release_layout
from portrait.features.release.manifest import Manifest

SLOTS = (1, 8, 32, MAX_ENCODED_SLOTS)
RUNS, _WARM = 400, 20


def measure(repository: Path) -> list[Result]:
    """Measure the CPU time of one profile by slots of the history; kept states would leave the last slot to encode."""
    number = release_layout.list_releases(repository)[-1]
    dimension = Manifest.read(release_layout.release_folder(repository, number)).dimension
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    path = release_layout.model_file(repository, "profile_encoder", number)
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    cpu_ms = {slots: _time_profile(session, slots, dimension) for slots in SLOTS}
    last = cpu_ms[SLOTS[0]]
    return [
        Result(f"profile of {slots} slots", ms, "ms", f"the last one alone, {last:.3f} ms", ms / last, "value >= 0")
        for slots, ms in cpu_ms.items()
        if slots > SLOTS[0]
    ]


def _time_profile(session: onnxruntime.InferenceSession, slots: int, dimension: int) -> float:
    """Return the median CPU milliseconds of one profile."""
    random = np.random.default_rng(slots)
    inputs = {
        "event_embedding": random.normal(size=(1, slots, dimension)).astype(np.float32),
        "event_type": np.ones((1, slots), dtype=np.int64),
        "event_age": np.arange(slots, 0.0, -1.0, dtype=np.float32)[None],
        "event_numbers": random.random((1, slots, len(EVENT_NUMBERS))).astype(np.float32),
        "mask": np.ones((1, slots), dtype=np.int64),
    }
    taken = []
    for _ in range(RUNS):
        began = time.thread_time()
        session.run(["profile"], inputs)
        taken.append(time.thread_time() - began)
    return 1e3 * statistics.median(taken[_WARM:])


def main(arguments: list[str]) -> int:
    """Measure and print the results."""
    parser = make_parser("history-slots", __doc__)
    add_repository(parser)
    options = parser.parse_args(arguments)
    sys.stderr.write(f"{describe_machine()}, {date.today()}\n")
    print("\n".join(map(str, measure(open_repository(options.repository)))))
    return 0
