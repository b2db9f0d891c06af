"""What an application's measure is told by: one table, of figures with their intervals."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from portrait.training.traits import metrics as measures


@dataclass(frozen=True)
class Figure:
    """A value, and its 95% interval if it is an estimate."""

    value: float
    interval: tuple[float, float] | None = None
    form: str = ".3f"

    def __str__(self) -> str:
        if self.interval is None:
            return f"{self.value:{self.form}}"
        low, high = self.interval
        return f"{self.value:{self.form}} ({low:{self.form}} to {high:{self.form}})"


@dataclass(frozen=True)
class Table:
    """One application's result."""

    title: str
    text: str
    """What was asked of whom, in sentences."""
    columns: list[str]
    rows: dict[str, list[Figure | None]]
    """Of each way to do it, a figure for each column; None where there is none."""

    def lines(self) -> list[str]:
        """As Markdown."""
        head = [f"| | {' | '.join(self.columns)} |", "|---" * (len(self.columns) + 1) + "|"]
        told = [
            f"| {name} | {' | '.join('' if each is None else str(each) for each in figures)} |"
            for name, figures in self.rows.items()
        ]
        return [f"## {self.title}", "", self.text, "", *head, *told]


def bootstrap_mean(values: NDArray[np.float64], who: NDArray[np.int64], form: str = ".3f") -> Figure:
    """A mean, with a bootstrap interval over whom the values are of."""
    return to_figure(
        measures.estimate_with_interval(lambda weights: float((weights * values).sum() / weights.sum()), who), form
    )


def to_figure(estimate: dict[str, Any], form: str = ".3f") -> Figure:
    """A figure as the training measures it."""
    low, high = estimate["interval"]
    return Figure(float(estimate["value"]), (float(low), float(high)), form)
