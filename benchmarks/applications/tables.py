"""The result of an application: one table of figures with their intervals."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from portrait.training.traits import metrics


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
    """Description of the measurement, in sentences."""
    columns: list[str]
    rows: dict[str, list[Figure | None]]
    """By method: a figure for each column, None where the method has none."""

    def lines(self) -> list[str]:
        """Format the table as Markdown lines."""
        head = [f"| | {' | '.join(self.columns)} |", "|---" * (len(self.columns) + 1) + "|"]
        told = [
            f"| {name} | {' | '.join('' if each is None else str(each) for each in figures)} |"
            for name, figures in self.rows.items()
        ]
        return [f"## {self.title}", "", self.text, "", *head, *told]


def bootstrap_mean(values: NDArray[np.float64], who: NDArray[np.int64], form: str = ".3f") -> Figure:
    """Return a mean with a bootstrap interval over the shoppers that the values belong to."""
    return to_figure(
        metrics.estimate_with_interval(lambda weights: float((weights * values).sum() / weights.sum()), who), form
    )


def to_figure(estimate: dict[str, Any], form: str = ".3f") -> Figure:
    """Convert an estimate of the training to a figure."""
    low, high = estimate["interval"]
    return Figure(float(estimate["value"]), (float(low), float(high)), form)
