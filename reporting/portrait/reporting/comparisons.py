"""Tables of benchmarks that compare ways to rank."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from portrait.reporting.estimates import Estimate
from portrait.reporting.results import Result
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
    """Portrait's lead in the first measure, over the same shoppers; None for Portrait itself, or unknown."""


@dataclass(frozen=True)
class Comparison:
    """One table: models under one protocol."""

    title: str
    origin: str
    """Command, date, machine and commit."""
    measures: list[str]
    models: list[Compared]


def read(result: Result) -> list[Comparison]:
    """The tables of a result that compares ways to rank; none of any other.

    Raises:
        TrainingError: it is damaged.
    """
    if not isinstance(result.content, dict):
        return []
    try:
        return list(_tables(result.content))
    except (KeyError, TypeError, AttributeError) as error:
        raise TrainingError(f"{result.path} is no benchmark's result: {error!r}") from error


def _tables(results: dict[str, Any]) -> Iterator[Comparison]:
    """Tables of `benchmarks.quality` (a protocol each) and of `benchmarks.search` (a slice each)."""
    where = results.get("circumstances", {})
    origin = f"{where.get('command')}, {where.get('date')}, {where.get('machine')}, commit {where.get('commit')}"
    for protocol, models in results.get("protocols", {}).items():
        rows = {name: model["measures"] for name, model in models.items()}
        differences = {name: model.get("portrait_minus_this") for name, model in models.items()}
        yield _table(f"Trained: {protocol}", origin, _OF_QUALITY, rows, differences)
    for part, of_part in results.get("slices", {}).items():
        if "ways" in of_part:
            title = f"Search: {part} ({of_part['clicks']:,} test clicks)"
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
