"""Tables that the benchmarks wrote, of the run's own data set."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from portrait.export.report.estimates import Estimate
from portrait.training.errors import TrainingError

_OF_QUALITY, _OF_SEARCH = ("NDCG@10", "HR@10"), ("MAP@5", "HR@5", "MRR")
"""The measures shown, of all that are in the files."""


@dataclass(frozen=True)
class Compared:
    """One model of a table."""

    name: str
    values: list[Estimate]
    """One for each measure of the table."""
    difference: Estimate | None
    """What Portrait has more of the first measure, over the same shoppers; None of Portrait itself, or unknown."""


@dataclass(frozen=True)
class Comparison:
    """One table: models under one protocol."""

    title: str
    origin: str
    """Command, date, machine and commit."""
    measures: list[str]
    models: list[Compared]


def read(paths: Sequence[Path], shoppers: int, items: int) -> list[Comparison]:
    """Tables of result files, and of those files of folders that are of this data set.

    Args:
        paths: JSON files that `benchmarks` wrote, or folders of such.
        shoppers: test shoppers of the run.
        items: items of its catalogue; a result with other numbers is of another data set.

    Raises:
        TrainingError: a path is missing, or a file that was named holds no table of this data set.
    """
    found = []
    for path in paths:
        if not path.exists():
            raise TrainingError(f"{path} does not exist")
        named = not path.is_dir()
        tables = [
            table for file in ([path] if named else sorted(path.glob("*.json"))) for table in _of(file, shoppers, items)
        ]
        if named and not tables:
            raise TrainingError(f"{path} holds no benchmark's table of the run's data set ({items:,} items)")
        found += tables
    return found


def _of(file: Path, shoppers: int, items: int) -> Iterator[Comparison]:
    try:
        results = json.loads(file.read_text())
        if not isinstance(results, dict) or results.get("items") != items:
            return
        if results.get("shoppers", shoppers) == shoppers:
            yield from _tables(results)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TrainingError(f"{file} is no benchmark's result: {error!r}") from error


def _tables(results: dict[str, Any]) -> Iterator[Comparison]:
    """Tables of `benchmarks.quality` (a protocol each) and of `benchmarks.search` (a slice each)."""
    where = results.get("circumstances", {})
    origin = f"{where.get('command')}, {where.get('date')}, {where.get('machine')}, commit {where.get('commit')}"
    for protocol, models in results.get("protocols", {}).items():
        rows = {name: model["measures"] for name, model in models.items()}
        differences = {name: model.get("portrait_minus_this") for name, model in models.items()}
        yield _table(f"Trained: {protocol}", origin, _OF_QUALITY, rows, differences)
    for part, of_part in results.get("slices", {}).items():
        if isinstance(of_part, dict) and "ways" in of_part:
            title = f"Search: {part} ({of_part['targets']:,} test clicks)"
            yield _table(title, origin, _OF_SEARCH, of_part["ways"], {})


def _table(
    title: str, origin: str, measures: Sequence[str], rows: dict[str, Any], differences: dict[str, Any]
) -> Comparison:
    models = []
    for name, values in rows.items():
        paired = differences.get(name)
        models.append(
            Compared(
                name=name,
                values=[Estimate.from_json(values[measure]) for measure in measures],
                difference=Estimate.from_json(paired[measures[0]]) if paired else None,
            )
        )
    return Comparison(title, origin, list(measures), models)
