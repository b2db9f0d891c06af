"""Both engines of `portrait prepare` on the same logs: `python -m benchmarks prepare-engines [--events N …]`.

Logs of 10⁵, 10⁶ and 10⁷ events are generated as Parquet parts, unless `--events` names other sizes. DuckDB and Spark
clean each in processes of their own, Spark as `--master` says, by default on two cores of this machine. All tables and
the reports are compared, value by value. Results go to `benchmarks/results/` after each size. Returns 1 if anything
differs or a run needs more than 4 GiB, else 0.
"""

import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.common import log_generator, results
from benchmarks.common.cli import make_parser
from benchmarks.common.process_trees import UsedByTree, run_portrait_tree
from portrait.training.dataset.readers import read_parquet, scan_parquet

NAME = "prepare-engines"
SIZES = (100_000, 1_000_000, 10_000_000)
ENGINES = ("duckdb", "spark")
MEMORY_BOUND_GIB = 4.0
_TABLES = ("events", "items", "shoppers", "rejected")


@dataclass(frozen=True)
class Comparison:
    """Both engines on one log."""

    events: int
    used: dict[str, UsedByTree]
    """By engine."""
    kept: int
    rejected: int
    shards: int
    """Files of the events that Spark wrote."""
    differences: list[str]
    """Columns of tables, and fields of the report, in which the data sets differ."""

    @property
    def passed(self) -> bool:
        """True if the engines agree within the bound of memory."""
        return not self.differences and all(used.peak_gib <= MEMORY_BOUND_GIB for used in self.used.values())


def measure(events: int, seed: int, master: str, folder: Path) -> Comparison:
    """Generate a log in an empty folder, and prepare it with both engines.

    Raises:
        BenchmarkError: a command failed.
    """
    log = folder / "events"
    log.mkdir()
    log_generator.write_parts(log, events, seed)
    environment = os.environ | {"PYSPARK_SUBMIT_ARGS": f"--master {master} pyspark-shell"}
    used = {
        engine: run_portrait_tree(
            "prepare", "--engine", engine, str(log), str(folder / engine), environment=environment
        )
        for engine in ENGINES
    }
    report = _read_report(folder / "spark")
    return Comparison(
        events=events,
        used=used,
        kept=report["kept"],
        rejected=sum(report["rejected"].values()),
        shards=len(list((folder / "spark" / "events.parquet").iterdir())),
        differences=_find_differences(*(folder / engine for engine in ENGINES)),
    )


def _find_differences(one: Path, other: Path) -> list[str]:
    found = []
    for name in _TABLES:
        files = [folder / f"{name}.parquet" for folder in (one, other)]
        schemas = [scan_parquet(file).collect_schema() for file in files]
        if schemas[0] != schemas[1]:
            found.append(name)
            continue
        for column in schemas[0]:
            mine, theirs = (read_parquet(file, [column]) for file in files)
            if not mine.equals(theirs):
                found.append(f"{name}.{column}")
    reports = [_read_report(folder) for folder in (one, other)]
    return found + [
        f"report.{field}" for field in reports[0] if field != "prepared_at" and reports[0][field] != reports[1][field]
    ]


def _read_report(folder: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return report


def format_report(content: dict[str, Any]) -> str:
    """Format a table with a row for each size."""
    lines = [
        "# Both engines of `portrait prepare`",
        "",
        f"{results.format_origin(content['circumstances'])} Generated logs in Parquet parts of "
        f"{log_generator.PIECE:,} rows; Spark's master is `{content['master']}`. Time includes the start of the "
        "command, and of Java; where other work runs beside, CPU time tells more. CPU time and memory are those of all "
        f"processes on this machine together, memory at its highest, of {MEMORY_BOUND_GIB:g} GiB allowed. The last "
        "column counts the columns of tables and the fields of the report in which the data sets differ.",
        "",
        "| events | kept | rejected | DuckDB, s | CPU s | GiB | Spark, s | CPU s | GiB | shards | differences |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in sorted(content["sizes"], key=lambda row: int(row["events"])):
        times = " | ".join(
            f"{used['seconds']:,.1f} | {used['cpu_seconds']:,.1f} | {used['peak_gib']:.2f}"
            for used in (row["used"][engine] for engine in ENGINES)
        )
        lines.append(
            f"| {row['events']:,} | {row['kept']:,} | {row['rejected']:,} | {times} | {row['shards']} | "
            f"{len(row['differences'])} |"
        )
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    """Run the benchmark; return 1 if engines differ or need too much memory, else 0."""
    parser = make_parser(NAME, __doc__)
    parser.add_argument("--events", type=int, nargs="+", default=SIZES, help="numbers of events")
    parser.add_argument("--seed", type=int, default=0, help="seed of the generated logs")
    parser.add_argument("--master", default="local[2]", help="where Spark runs (local[2])")
    options = parser.parse_args(arguments)
    content: dict[str, Any] = {
        "circumstances": results.describe_circumstances(f"python -m benchmarks {' '.join([NAME, *arguments])}"),
        "master": options.master,
        "sizes": [],
    }
    passed = True
    for events in options.events:
        with tempfile.TemporaryDirectory() as folder:
            comparison = measure(events, options.seed, options.master, Path(folder))
        passed &= comparison.passed
        content["sizes"].append(asdict(comparison))
        results.write_results(NAME, content, format_report(content))
        print(json.dumps(content["sizes"][-1]))
    return 0 if passed else 1
