"""Rows of results: a bar, what was measured, and whether it holds."""

import json
import operator
from dataclasses import asdict, dataclass

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
