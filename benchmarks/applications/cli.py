"""The six applications: `python -m benchmarks.applications NAME --run RUN --repository REPOSITORY`.

RUN is a run trained with `--split time`, REPOSITORY holds its release; a gateway with real Triton serves it, and the
example of the application asks. NAME and what it needs:

recommendation, ads  a run on complete-journey
search, service      a run on bestbuy
audience, risk       a run on open-ecommerce with the traits of --traits FILE, complete until --complete-until DATE

Each result replaces its own part of `benchmarks/results/applications.json` and `.md`.
"""

import argparse
import dataclasses
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.applications import ads, audience, recommendation, risk, search, service
from benchmarks.applications.tables import Figure, Table
from benchmarks.common.results import RESULTS, circumstances, origin, write
from portrait.training.errors import TrainingError

FILE = "applications"
_ORDER = ("recommendation", "search", "ads", "service", "audience", "risk")


def _measured(chosen: argparse.Namespace) -> Table:
    measures: dict[str, Callable[[], Table]] = {
        "recommendation": lambda: recommendation.measure(chosen.repository, chosen.run),
        "search": lambda: search.measure(chosen.repository, chosen.run),
        "ads": lambda: ads.measure(chosen.repository, chosen.run),
        "service": lambda: service.measure(chosen.repository, _data(chosen.run)),
        "audience": lambda: audience.measure(chosen.repository, chosen.run, chosen.traits, chosen.complete_until),
        "risk": lambda: risk.measure(chosen.repository, chosen.run, chosen.traits, chosen.complete_until),
    }
    return measures[chosen.name]()


def _data(run: Path) -> Path:
    return Path(json.loads((run / "data.json").read_text(encoding="utf-8"))["path"])


def keep(name: str, table: Table, where: dict[str, str]) -> str:
    """Put a result among the others; returns all of them as Markdown."""
    path = RESULTS / f"{FILE}.json"
    parts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["applications"] if path.exists() else {}
    parts[name] = {"circumstances": where, **dataclasses.asdict(table)}
    content = {"applications": {each: parts[each] for each in _ORDER if each in parts}}
    told = _markdown(content["applications"])
    write(FILE, json.loads(json.dumps(content)), told)
    return told


def _markdown(parts: dict[str, Any]) -> str:
    lines = [
        "# The six applications", "",
        "Each is asked through a gateway with real Triton, by the code of its example "
        "([docs/examples/applications](../../docs/examples/applications)); 95% bootstrap intervals in brackets.",
    ]  # fmt: skip
    for part in parts.values():
        lines += ["", *_read(part).lines(), "", origin(part["circumstances"])]
    return "\n".join(lines) + "\n"


def _read(part: dict[str, Any]) -> Table:
    rows = {
        name: [None if each is None else Figure(each["value"], each["interval"], each["form"]) for each in row]
        for name, row in part["rows"].items()
    }
    return Table(part["title"], part["text"], part["columns"], rows)


def main(arguments: list[str]) -> int:
    """Measure one application; returns the exit code."""
    parser = argparse.ArgumentParser(prog="benchmarks.applications", description=__doc__)
    parser.add_argument("name", choices=_ORDER)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--repository", type=Path, required=True)
    parser.add_argument("--traits", type=Path, help="declarations that the run's traits were learnt from")
    parser.add_argument(
        "--complete-until",
        type=lambda day: datetime.fromisoformat(day).replace(tzinfo=UTC),
        help="as to `portrait traits`",
    )
    chosen = parser.parse_args(arguments)
    if chosen.name in ("audience", "risk") and not (chosen.traits and chosen.complete_until):
        parser.error(f"{chosen.name} needs --traits and --complete-until")
    where = circumstances(f"python -m benchmarks.applications {chosen.name}")
    try:
        table = _measured(chosen)
    except TrainingError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    keep(chosen.name, table, where)
    print("\n".join(table.lines()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
