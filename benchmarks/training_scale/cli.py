"""Time and memory of `portrait prepare` and `train` by the size of the log: `python -m benchmarks training-scale`.

Logs of 100,000, a million and ten million events are generated, unless `--events` names other sizes. Each command runs
with default settings in a process of its own. Results go to `benchmarks/results/` after each size. Returns 1 if a
process needs more than 8 GiB, else 0.
"""

import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.common import results
from benchmarks.common.cli import make_parser
from benchmarks.common.log_generator import SHOPPERS, write_log
from benchmarks.common.processes import Used, run_portrait

NAME = "training-scale"
SIZES = (100_000, 1_000_000, 10_000_000)
MEMORY_BOUND_GIB = 8.0
_EVENTS_PER_SHOPPER = 25


@dataclass(frozen=True)
class Scale:
    """One size of log."""

    events: int
    shoppers: int
    prepare: Used
    train: Used

    @property
    def peak_gib(self) -> float:
        """Resident memory of the larger process at its highest."""
        return max(self.prepare.peak_gib, self.train.peak_gib)


def measure(events: int, folder: Path) -> Scale:
    """Generate a log of some length, prepare it and train on it.

    Args:
        events: length of the log.
        folder: an empty folder.

    Raises:
        BenchmarkError: a command failed.
    """
    log, data = folder / "log", folder / "data"
    log.mkdir()
    shoppers = min(SHOPPERS, events // _EVENTS_PER_SHOPPER)
    write_log(log / "events.csv", events, seed=0, shoppers=shoppers)
    prepare = run_portrait("prepare", str(log), str(data))
    shutil.rmtree(log)
    return Scale(events, shoppers, prepare, run_portrait("train", str(data), str(folder / "run")))


def format_report(content: dict[str, Any]) -> str:
    """Format a table with a row for each size."""
    lines = [
        "# Training by the size of the log",
        "",
        f"{results.format_origin(content['circumstances'])} Generated logs, default settings; resident memory of each "
        f"process at its highest, of {MEMORY_BOUND_GIB:g} GiB allowed. Training takes as many steps as the settings "
        "say, however long the log is; what grows is what comes before and after them.",
        "",
        "| events | shoppers | `prepare`, s | GiB | `train`, s | CPU s | GiB |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in sorted(content["sizes"], key=lambda row: int(row["events"])):
        prepare, train = row["prepare"], row["train"]
        lines.append(
            f"| {row['events']:,} | {row['shoppers']:,} | {prepare['seconds']:,.0f} | {prepare['peak_gib']:.1f} | "
            f"{train['seconds']:,.0f} | {train['cpu_seconds']:,.0f} | {train['peak_gib']:.1f} |"
        )
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    """Measure the sizes, one after another; return 1 if the memory bound is broken, else 0."""
    parser = make_parser(NAME, __doc__)
    parser.add_argument("--events", type=int, nargs="+", default=SIZES, help="lengths of the logs (%(default)s)")
    options = parser.parse_args(arguments)
    sizes = "" if tuple(options.events) == SIZES else f" --events {' '.join(map(str, options.events))}"
    circumstances = results.describe_circumstances(f"python -m benchmarks {NAME}{sizes}")
    content: dict[str, Any] = {"circumstances": circumstances, "sizes": []}
    bounded = True
    for events in options.events:
        with tempfile.TemporaryDirectory() as folder:
            scale = measure(events, Path(folder))
        bounded &= scale.peak_gib <= MEMORY_BOUND_GIB
        content["sizes"].append(asdict(scale))
        results.write_results(NAME, content, format_report(content))
    print(format_report(content))
    return int(not bounded)
