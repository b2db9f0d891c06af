"""Tables of benchmarks that compare ways to rank."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from portrait.reporting.estimates import Estimate
from portrait.reporting.results import Result
from portrait.training.errors import TrainingError

_QUALITY_METRICS, _SEARCH_METRICS = ("NDCG@10", "HR@10"), ("MAP@5", "HR@5", "MRR")
"""Metrics that the tables show; the files hold more."""


@dataclass(frozen=True)
class ComparedModel:
    """One model of a table."""

    name: str
    values: list[Estimate]
    """One value per metric of the table."""
    difference: Estimate | None
    """Portrait's first metric minus this model's, over the same shoppers; None for Portrait itself, or if unknown."""


@dataclass(frozen=True)
class Comparison:
    """One table: models under one protocol."""

    title: str
    origin: str
    """Command, date, machine and commit."""
    measures: list[str]
    models: list[ComparedModel]


def read_comparisons(result: Result) -> list[Comparison]:
    """Read the tables of a result that compares ways to rank; other results have none.

    Raises:
        TrainingError: the result is damaged.
    """
    if not isinstance(result.content, dict):
        return []
    try:
        return list(_list_tables(result.content))
    except (KeyError, TypeError, AttributeError) as error:
        raise TrainingError(f"{result.path} is no benchmark's result: {error!r}") from error


def compare_baselines(measured: dict[str, Any]) -> Comparison:
    """Make the table of a run and its baselines from the metrics of `portrait evaluate`."""
    rows = measured["ranking"]
    differences = {
        name: {metric: row[metric]["portrait_minus_this"] for metric in _QUALITY_METRICS}
        for name, row in rows.items()
        if "portrait_minus_this" in row[_QUALITY_METRICS[0]]
    }
    named = {"Portrait" if name == "portrait" else name: row for name, row in rows.items()}
    return _make_table("Baselines", "", _QUALITY_METRICS, named, differences)


def _list_tables(results: dict[str, Any]) -> Iterator[Comparison]:
    """Yield the tables of `benchmarks.quality`, one per protocol, and of `benchmarks.search`, one per slice."""
    where = results.get("circumstances", {})
    origin = f"{where.get('command')}, {where.get('date')}, {where.get('machine')}, commit {where.get('commit')}"
    for protocol, models in results.get("protocols", {}).items():
        rows = {name: model["measures"] for name, model in models.items()}
        differences = {name: model.get("portrait_minus_this") for name, model in models.items()}
        yield _make_table(f"Trained: {protocol}", origin, _QUALITY_METRICS, rows, differences)
    for name, part in results.get("slices", {}).items():
        if "ways" in part:
            title = f"Search: {name} ({part['clicks']:,} test clicks)"
            yield _make_table(title, origin, _SEARCH_METRICS, part["ways"], {})


def _make_table(
    title: str, origin: str, measures: Sequence[str], rows: dict[str, Any], differences: dict[str, Any]
) -> Comparison:
    models = []
    for name, values in rows.items():
        paired = differences.get(name)
        models.append(
            ComparedModel(
                name=name,
                values=[Estimate.from_json(values[measure]) for measure in measures],
                difference=Estimate.from_json(paired[measures[0]]) if paired else None,
            )
        )
    return Comparison(title, origin, list(measures), models)
