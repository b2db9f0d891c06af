"""All bars of serving, in one run on one machine: `python -m benchmarks.serving REPOSITORY [--only peers,encoding]`.

Writes `results/serving.json`, a list of `{bar, value, unit, compared_to, ratio, asked, holds}`, with a table and a plot
beside it. A run of some benchmarks replaces their own bars only.
"""

import argparse
import importlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import results
from benchmarks.common.targets import Row, markdown
from benchmarks.serving import curves

NAME = "serving"
BENCHMARKS: dict[str, dict[str, Any]] = {
    "encoding": {},
    "peers": {},
    "rpcs": {"seconds": 8.0},
    "recording": {"seconds": 8.0},
    "catalogues": {},
    "overload": {"seconds": 60.0},
    "cancels": {},
    "dearest": {},
    "swaps": {},
    "fuzz": {},
}
"""Modules beside this one whose `measure(repository, …)` returns rows, and what else it takes."""

Kept = list[dict[str, Any]]


def measure(name: str, repository: Path) -> list[Row]:
    """The rows of one benchmark."""
    module = importlib.import_module(f"benchmarks.serving.{name}")
    rows: list[Row] = module.measure(repository, **BENCHMARKS[name])
    return rows


def merged(kept: Kept, name: str, rows: Sequence[Row], where: dict[str, str]) -> Kept:
    """What is kept, with a benchmark's rows in the place of its earlier ones."""
    others = [row for row in kept if row["benchmark"] != name]
    mine = [json.loads(str(row)) | {"benchmark": name, "circumstances": where} for row in rows]
    return sorted([*others, *mine], key=lambda row: list(BENCHMARKS).index(row["benchmark"]))


def table(kept: Kept) -> str:
    """The bars as Markdown, a section for each benchmark and when and where it ran."""
    lines = ["# Serving", "", "Ratios are of one run; of times, trust the ratios.", ""]
    for name in dict.fromkeys(row["benchmark"] for row in kept):
        rows = [row for row in kept if row["benchmark"] == name]
        lines += [f"## {name}", "", results.origin(rows[0]["circumstances"]), ""]
        lines += [*markdown(rows), ""]
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Measure and write; returns 0 if all that was measured holds."""
    parser = argparse.ArgumentParser(prog="benchmarks.serving", description=__doc__)
    parser.add_argument("repository", type=Path, help="model repository with a release")
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(BENCHMARKS), help="some, by comma")
    chosen = parser.parse_args(arguments)
    if unknown := set(chosen.only) - set(BENCHMARKS):
        parser.error(f"no benchmark is named {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    path = results.RESULTS / f"{NAME}.json"
    holds = True
    for name in chosen.only:
        where = results.circumstances(f"python -m benchmarks.serving REPOSITORY --only {name}")
        rows = measure(name, chosen.repository)
        holds &= all(row.holds for row in rows)
        kept = merged(json.loads(path.read_text(encoding="utf-8")) if path.exists() else [], name, rows, where)
        # After each, so that a run that is stopped has not been for nothing.
        results.write(NAME, kept, table(kept))
        print("\n".join(map(str, rows)), flush=True)
    if found := curves.read():
        curves.draw(found, results.RESULTS / f"{NAME}.svg")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
