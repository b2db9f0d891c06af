"""A mean and how far it can be trusted."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from portrait.training import metrics


@dataclass(frozen=True)
class Estimate:
    """A value with its 95% interval."""

    value: float
    low: float
    high: float

    @classmethod
    def of_mean(cls, values: NDArray[np.float64]) -> "Estimate":
        """The mean of `[shoppers]` with its bootstrap interval."""
        return cls(float(values.mean()), *metrics.bootstrap_interval(values))

    @classmethod
    def of_difference(cls, ours: NDArray[np.float64], others: NDArray[np.float64]) -> "Estimate":
        """The mean of `[shoppers]` minus that of other shoppers, with its bootstrap interval."""
        return cls(float(ours.mean() - others.mean()), *metrics.bootstrap_difference_interval(ours, others))

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> "Estimate":
        """From `{"value": …, "interval": [low, high]}`; a difference stands under its own name."""
        low, high = row["interval"]
        return cls(float(row["value"] if "value" in row else row["difference"]), float(low), float(high))

    def __neg__(self) -> "Estimate":
        """The same difference, seen from the other side."""
        return Estimate(-self.value, -self.high, -self.low)

    @property
    def is_clear(self) -> bool:
        """True if the interval leaves out 0."""
        return self.low > 0.0 or self.high < 0.0


@dataclass(frozen=True)
class ReliabilityPoint:
    """Chances that are about alike: what they said and what came true."""

    predicted: float
    """Mean chance."""
    rate: Estimate
    """Share that came true, with an exact interval of the count."""
    count: float
    """Number of predictions that came true."""
