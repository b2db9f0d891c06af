"""All targets of serving, in one run on one machine: `python -m benchmarks serving REPOSITORY [--only peers,encoding]`.

Writes `results/serving.json`, a list of results as `benchmarks.common.targets` has them, with a table and a plot beside
it. A run of some parts replaces the results of these parts only.
"""

import importlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import results
from benchmarks.common.cli import add_repository, make_parser
from benchmarks.common.steps import open_repository
from benchmarks.common.targets import Result, format_table
from benchmarks.serving import curves
from benchmarks.serving.parts import PARTS, default_options

NAME = "serving"

Kept = list[dict[str, Any]]
"""Results as the file has them."""


def measure(name: str, repository: Path) -> list[Result]:
    """Measure the targets of one part."""
    module = importlib.import_module(f"benchmarks.serving.{name}")
    rows: list[Result] = module.measure(repository, **default_options(name))
    return rows


def merge(kept: Kept, name: str, rows: Sequence[Result], where: dict[str, str]) -> Kept:
    """Put the results of a part in the place of its earlier ones."""
    others = [row for row in kept if row["benchmark"] != name]
    mine = [json.loads(str(row)) | {"benchmark": name, "circumstances": where} for row in rows]
    return sorted([*others, *mine], key=lambda row: list(PARTS).index(row["benchmark"]))


def format_report(kept: Kept) -> str:
    """Format all results as Markdown, a section for each part with when and where it ran."""
    lines = ["# Serving", "", "Ratios are of one run; of times, trust the ratios.", ""]
    for name in dict.fromkeys(row["benchmark"] for row in kept):
        rows = [row for row in kept if row["benchmark"] == name]
        lines += [f"## {name}", "", results.format_origin(rows[0]["circumstances"]), ""]
        lines += [*format_table(rows), ""]
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Measure and write; return 0 if all targets that were measured pass, else 1."""
    parser = make_parser("serving", __doc__)
    add_repository(parser)
    parser.add_argument(
        "--only", type=lambda text: text.split(","), default=list(PARTS), help="some parts, separated by commas"
    )
    options = parser.parse_args(arguments)
    if unknown := set(options.only) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    repository = open_repository(options.repository)
    path = results.RESULTS / f"{NAME}.json"
    passed = True
    for name in options.only:
        where = results.describe_circumstances(f"python -m benchmarks serving REPOSITORY --only {name}")
        rows = measure(name, repository)
        passed &= all(row.passed for row in rows)
        kept = merge(json.loads(path.read_text(encoding="utf-8")) if path.exists() else [], name, rows, where)
        # Written after each part, so that a run that is stopped keeps the parts before.
        results.write_results(NAME, kept, format_report(kept))
        print("\n".join(map(str, rows)), flush=True)
    if found := curves.read_curves():
        curves.draw_curves(found, results.RESULTS / f"{NAME}.svg")
    return 0 if passed else 1
