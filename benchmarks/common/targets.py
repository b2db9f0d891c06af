"""Rows of results: a bar, what was measured, and whether it holds."""

import json
import operator
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

_COLUMNS = ("bar", "value", "compared to", "ratio", "asked", "holds")
_SENSES = {">=": operator.ge, "<=": operator.le}


@dataclass(frozen=True)
class Row:
    """One bar."""

    bar: str
    value: float
    unit: str
    compared_to: str
    ratio: float | None
    """Of value to what it is compared to; None where there is nothing to compare."""
    asked: str
    """For example `ratio >= 0.85` or `value <= 2`."""

    @property
    def holds(self) -> bool:
        """Whether what was asked is there."""
        what, sense, bound = self.asked.split()
        measured = self.ratio if what == "ratio" else self.value
        return measured is not None and bool(_SENSES[sense](measured, float(bound)))

    def __str__(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self) | {"holds": self.holds})


def markdown(rows: Iterable[dict[str, Any]]) -> list[str]:
    """Lines of a Markdown table of rows, which are as their JSON says."""
    return [f"| {' | '.join(_COLUMNS)} |", "|---" * len(_COLUMNS) + "|", *map(_line, rows)]


def _line(row: dict[str, Any]) -> str:
    ratio = "" if row["ratio"] is None else f"{row['ratio']:.3g}"
    holds = "yes" if row["holds"] else "**no**"
    value = f"{row['value']:,.4g} {row['unit']}"
    return f"| {' | '.join((row['bar'], value, row['compared_to'], ratio, row['asked'], holds))} |"
