"""Targets and their results: what was measured, what is required, and whether it passed."""

import json
import operator
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

_COLUMNS = ("target", "value", "compared to", "ratio", "required", "passed")
_COMPARISONS = {">=": operator.ge, "<=": operator.le}


@dataclass(frozen=True)
class Result:
    """The result for one target."""

    target: str
    value: float
    unit: str
    compared_to: str
    ratio: float | None
    """Ratio of the value to what it is compared to; None if it is compared to nothing."""
    required: str
    """Condition, for example `ratio >= 0.85` or `value <= 2`."""

    @property
    def passed(self) -> bool:
        """True if the condition is met."""
        name, comparison, bound = self.required.split()
        measured = self.ratio if name == "ratio" else self.value
        return measured is not None and bool(_COMPARISONS[comparison](measured, float(bound)))

    def __str__(self) -> str:
        """Format the result as JSON."""
        return json.dumps(asdict(self) | {"passed": self.passed})


def format_table(rows: Iterable[dict[str, Any]]) -> list[str]:
    """Format results as the lines of a Markdown table.

    Args:
        rows: results as their JSON has them.
    """
    return [f"| {' | '.join(_COLUMNS)} |", "|---" * len(_COLUMNS) + "|", *map(_format_row, rows)]


def _format_row(row: dict[str, Any]) -> str:
    ratio = "" if row["ratio"] is None else f"{row['ratio']:.3g}"
    passed = "yes" if row["passed"] else "**no**"
    value = f"{row['value']:,.4g} {row['unit']}"
    return f"| {' | '.join((row['target'], value, row['compared_to'], ratio, row['required'], passed))} |"
