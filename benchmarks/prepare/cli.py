"""Speed and memory of `portrait prepare`: `python -m benchmarks prepare [--events N]`.

Generates a log, prepares it in a process of its own, and writes the figures to `benchmarks/results/`.
"""

import json
import tempfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.common import log_generator as log
from benchmarks.common.cli import make_parser
from benchmarks.common.machine import describe_machine
from benchmarks.common.processes import run_portrait
from benchmarks.common.results import RESULTS

MEMORY_BOUND_GIB = 4.0


@dataclass(frozen=True)
class Figures:
    """One run."""

    events: int
    log_mib: float
    seconds: float
    rows_per_second: int
    peak_gib: float
    """Resident memory of the process at its highest."""
    kept: int
    rejected: dict[str, int]
    machine: str
    date: str


def measure(events: int, seed: int, folder: Path) -> Figures:
    """Generate a log in the folder and prepare it."""
    file = folder / "log" / "events.csv"
    file.parent.mkdir()
    log.write_log(file, events, seed)
    used = run_portrait("prepare", str(file.parent), str(folder / "data"))
    report = json.loads((folder / "data" / "report.json").read_text(encoding="utf-8"))
    return Figures(
        events=events,
        log_mib=round(file.stat().st_size / 2**20, 1),
        seconds=used.seconds,
        rows_per_second=round(events / used.seconds),
        peak_gib=used.peak_gib,
        kept=report["kept"],
        rejected=report["rejected"],
        machine=describe_machine(),
        date=datetime.now(UTC).date().isoformat(),
    )


def format_report(figures: Figures) -> str:
    """The figures as a Markdown table."""
    rejected = ", ".join(f"{count:,} {reason.replace('_', ' ')}" for reason, count in figures.rejected.items())
    rows = {
        "events": f"{figures.events:,} ({figures.log_mib:,} MiB of CSV)",
        "wall time": f"{figures.seconds} s",
        "rows a second": f"{figures.rows_per_second:,}",
        "peak resident memory": f"{figures.peak_gib} GiB (bound: {MEMORY_BOUND_GIB} GiB)",
        "kept": f"{figures.kept:,}",
        "rejected": rejected,
        "machine": figures.machine,
        "date": figures.date,
    }
    return "\n".join(
        ["| `portrait prepare` | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())]
    )


def main(arguments: list[str]) -> int:
    """Run the benchmark; return 1 if the memory bound is broken, else 0."""
    parser = make_parser("prepare", __doc__)
    parser.add_argument("--events", type=int, default=10_000_000, help="number of events in the log")
    parser.add_argument("--seed", type=int, default=0, help="seed of the generated log")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(options.events, options.seed, Path(folder))
    print(format_report(figures))
    (RESULTS / "prepare.json").write_text(json.dumps(asdict(figures), indent=2) + "\n", encoding="utf-8")
    (RESULTS / "prepare.md").write_text(format_report(figures) + "\n", encoding="utf-8")
    return int(figures.peak_gib > MEMORY_BOUND_GIB)
