"""The six applications: `python -m benchmarks applications [NAME ...] --shop SOURCE --searches SOURCE`.

A gateway with real Triton serves a release that was trained with `--split time`, and the code of the application's
example calls it. Applications and what they need:

recommendation, ads  complete-journey, which an installed package brings
search, service      the source bestbuy
audience, risk       the source open-ecommerce

Each result replaces its own part of `benchmarks/results/applications.json` and `.md`.
"""

import argparse
import dataclasses
import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.applications import ads, audience, recommendation, risk, search, service
from benchmarks.applications.tables import Figure, Table
from benchmarks.common import steps
from benchmarks.common.cli import existing_folder, make_parser
from benchmarks.common.results import RESULTS, describe_circumstances, format_origin, write_results
from docs.examples.applications import draw_missed_instalments

FILE = "applications"
TRAITS = Path("docs/examples/applications/traits.toml")
COMPLETE_UNTIL = datetime.fromisoformat(steps.SHOP_COMPLETE_UNTIL).replace(tzinfo=UTC)


@dataclasses.dataclass(frozen=True)
class Prepared:
    """Data, run and release of an application."""

    data: Path
    """Folder of the data set."""
    run: Path
    repository: Path
    """Model repository with the run's release."""
    traits: Path
    """File that declares the traits of the run."""


def _prepare_journey(options: argparse.Namespace) -> Prepared:
    return _make_release(options.work, "journey", steps.prepare_complete_journey(options.work / "journey"))


def _prepare_searches(options: argparse.Namespace) -> Prepared:
    return _make_release(options.work, "searches", steps.prepare_source(options.searches, options.work / "searches"))


def _prepare_shop(options: argparse.Namespace) -> Prepared:
    """Prepare the shop, whose release has traits; the label of the risk trait is drawn."""
    data = steps.prepare_source(options.shop, options.work / "shop")
    run = steps.train_run(data, options.work / "shop-run", "--split", "time")
    traits = options.work / TRAITS.name
    shutil.copy(TRAITS, traits)
    draw_missed_instalments.draw_labels(data).write_parquet(options.work / "missed_instalments.parquet")
    steps.learn_traits(run, traits, steps.SHOP_COMPLETE_UNTIL)
    return _make_release(options.work, "shop", data)


def _make_release(work: Path, name: str, data: Path) -> Prepared:
    run = steps.train_run(data, work / f"{name}-run", "--split", "time")
    repository = steps.export_release(run, work / f"{name}-repository")
    return Prepared(data, run, repository, work / TRAITS.name)


_PREPARATIONS = {"journey": _prepare_journey, "searches": _prepare_searches, "shop": _prepare_shop}
"""By data set: the function that prepares it and makes its release."""


@dataclasses.dataclass(frozen=True)
class Application:
    """One application."""

    data: str
    """Key of `_PREPARATIONS`."""
    measure: Callable[[Prepared], Table]


APPLICATIONS: dict[str, Application] = {
    "recommendation": Application("journey", lambda of: recommendation.measure(of.repository, of.run)),
    "search": Application("searches", lambda of: search.measure(of.repository, of.run)),
    "ads": Application("journey", lambda of: ads.measure(of.repository, of.run)),
    "service": Application("searches", lambda of: service.measure(of.repository, of.data)),
    "audience": Application("shop", lambda of: audience.measure(of.repository, of.run, of.traits, COMPLETE_UNTIL)),
    "risk": Application("shop", lambda of: risk.measure(of.repository, of.run, of.traits, COMPLETE_UNTIL)),
}
"""By name, in the order of the results."""


def keep_result(name: str, table: Table, where: dict[str, str]) -> str:
    """Merge a result into the results file; return all results as Markdown."""
    path = RESULTS / f"{FILE}.json"
    parts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["applications"] if path.exists() else {}
    parts[name] = {"circumstances": where, **dataclasses.asdict(table)}
    content = {"applications": {each: parts[each] for each in APPLICATIONS if each in parts}}
    told = _format_results(content["applications"])
    write_results(FILE, json.loads(json.dumps(content)), told)
    return told


def _format_results(parts: dict[str, Any]) -> str:
    lines = [
        "# The six applications", "",
        "Each is asked through a gateway with real Triton, by the code of its example "
        "([docs/examples/applications](../../docs/examples/applications)); 95% bootstrap intervals in brackets.",
    ]  # fmt: skip
    for part in parts.values():
        lines += ["", *_parse_table(part).lines(), "", format_origin(part["circumstances"])]
    return "\n".join(lines) + "\n"


def _parse_table(part: dict[str, Any]) -> Table:
    rows = {
        name: [None if each is None else Figure(each["value"], each["interval"], each["form"]) for each in row]
        for name, row in part["rows"].items()
    }
    return Table(part["title"], part["text"], part["columns"], rows)


def main(arguments: list[str]) -> int:
    """Measure the applications, one after another; return the exit code."""
    parser = make_parser("applications", __doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(APPLICATIONS)}; all if left out")
    parser.add_argument("--shop", type=existing_folder, help="the source open-ecommerce, for audience and risk")
    parser.add_argument("--searches", type=existing_folder, help="the source bestbuy, for search and service")
    parser.add_argument("--work", type=Path, default=steps.WORK / "applications", help="folder for data sets and runs")
    options = parser.parse_args(arguments)
    names = options.names or list(APPLICATIONS)
    if unknown := sorted(set(names) - set(APPLICATIONS)):
        parser.error(f"there is no application {', '.join(unknown)}; there are {', '.join(APPLICATIONS)}")
    needed = {APPLICATIONS[name].data for name in names}
    for name in names:
        data = APPLICATIONS[name].data
        if data != "journey" and getattr(options, data) is None:
            parser.error(f"{name} needs --{data}")
    prepared = {data: _PREPARATIONS[data](options) for data in sorted(needed)}
    for name in names:
        where = describe_circumstances(f"python -m benchmarks applications {name}")
        table = APPLICATIONS[name].measure(prepared[APPLICATIONS[name].data])
        keep_result(name, table, where)
        print("\n".join(table.lines()), flush=True)
    return 0
