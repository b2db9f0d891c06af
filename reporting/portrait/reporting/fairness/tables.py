"""Tables of the fairness audit: one for each kind of measure, which the command prints and the report shows."""

from collections.abc import Iterator
from dataclasses import dataclass

from portrait.reporting.estimates import Estimate
from portrait.reporting.fairness.audit import AttributeAudit, ExposedGroups, FairnessAudit, MeasuredGroups
from portrait.reporting.fairness.measures import Kind

_TITLES = {
    Kind.QUALITY: "quality of the ranking",
    Kind.EXPOSURE: "what the first ten places show",
    Kind.CALIBRATION: "calibration of the first ten places",
    Kind.TRAITS: "errors of the traits",
}
_SHOWN_CUTOFF = "@10"
"""Cut-off in the tables of a measure that has several; the JSON file has all."""


@dataclass(frozen=True)
class Cell:
    """Cell of a table."""

    text: str
    detail: str = ""
    """The difference from all others, or the interval."""
    is_clear: bool = False
    """True if the interval of the difference excludes 0."""


@dataclass(frozen=True)
class GroupTable:
    """A table with a row for each group."""

    title: str
    header: list[str]
    rows: list[list[Cell]]
    notes: list[str]
    """Meanings of the columns."""


def make_tables(audit: FairnessAudit) -> list[GroupTable]:
    """Make the tables of all attributes."""
    return [table for each in audit.attributes for table in (*_list_measures(each), *_list_exposures(each))]


def _list_measures(each: AttributeAudit) -> Iterator[GroupTable]:
    for kind, title in _TITLES.items():
        chosen = [
            measured
            for measured in each.measures
            if measured.kind is kind and ("@" not in measured.name or measured.name.endswith(_SHOWN_CUTOFF))
        ]
        if chosen:
            yield _make_measure_table(f"{each.title}: {title}", chosen)


def _make_measure_table(title: str, chosen: list[MeasuredGroups]) -> GroupTable:
    """Make a table of measures, whose groups may differ: a trait is measured on other shoppers than the ranking."""
    names = list(dict.fromkeys(figure.group for measured in chosen for figure in measured.groups))
    rows = []
    for name in names:
        figures = [next((each for each in measured.groups if each.group == name), None) for measured in chosen]
        counts = sorted({figure.shoppers for figure in figures if figure})
        cells = [Cell(name), Cell(" to ".join(f"{count:,}" for count in (counts[0], counts[-1])[: len(counts)]))]
        rows.append(cells + [_make_cell(figure.value, figure.gap) if figure else Cell("") for figure in figures])
    notes = [f"{measured.name}: {measured.meaning}" for measured in chosen]
    return GroupTable(title, ["group", "shoppers", *(measured.name for measured in chosen)], rows, notes)


def _make_cell(value: Estimate, gap: Estimate | None) -> Cell:
    return Cell(format_number(value.value), format_difference(gap) if gap else "", bool(gap and gap.is_clear))


def _list_exposures(each: AttributeAudit) -> Iterator[GroupTable]:
    for exposed in each.exposures:
        yield GroupTable(
            f"{each.title}: {exposed.subject} shown to each group and to all others",
            ["group", "shoppers", "distance", "by chance", "earlier", "by chance", "differ most"],
            list(_list_exposure_rows(exposed)),
            [
                f"distance: share of the first ten places that would have to change {exposed.subject} for both to be "
                "shown the same",
                f"earlier: the same distance between the {exposed.subject} of what both had done before",
                "by chance: what one in twenty random groups of that size exceeds; a distance below it says nothing. "
                "What is shown is fewer than what was done, and so further apart by chance",
            ],
        )


def _list_exposure_rows(exposed: ExposedGroups) -> Iterator[list[Cell]]:
    for group in exposed.groups:
        most = "; ".join(f"{each.name} {_format_points(each.difference)}" for each in group.differences)
        distances = (group.shown, group.by_chance, group.earlier, group.earlier_by_chance)
        figures = [Cell(format_number(value)) for value in distances]
        yield [Cell(group.group), Cell(f"{group.shoppers:,}"), *figures, Cell(most)]


def format_difference(gap: Estimate) -> str:
    """Format a difference with its interval."""
    return f"{format_number(gap.value, signed=True)} {_format_interval(gap)}"


def format_number(value: float, signed: bool = False) -> str:
    """Format a value with four digits after the point."""
    return f"{value:{'+' if signed else ''}.4f}".replace("-", "−")


def _format_interval(estimate: Estimate) -> str:
    low, high = (format_number(value, signed=True) for value in (estimate.low, estimate.high))
    return f"({low} to {high})"


def _format_points(difference: Estimate) -> str:
    low, value, high = (
        f"{100 * each:+.1f}".replace("-", "−") for each in (difference.low, difference.value, difference.high)
    )
    return f"{value} points ({low} to {high})"
