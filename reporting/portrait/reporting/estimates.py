"""Estimates with 95% intervals."""

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
        """Compute the mean of `[shoppers]` values and its bootstrap interval."""
        return cls(float(values.mean()), *metrics.bootstrap_interval(values))

    @classmethod
    def of_difference(cls, ours: NDArray[np.float64], others: NDArray[np.float64]) -> "Estimate":
        """Compute the mean of `[shoppers]` values minus that of other shoppers, and its bootstrap interval."""
        return cls(float(ours.mean() - others.mean()), *metrics.bootstrap_difference_interval(ours, others))

    @classmethod
    def of_draws(cls, value: float, drawn: NDArray[np.float64]) -> "Estimate":
        """Make the estimate of a value from its bootstrap draws `[draws]`, by the percentile method."""
        low, high = np.quantile(drawn, [0.025, 0.975])
        return cls(float(value), float(low), float(high))

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> "Estimate":
        """Read `{"value": …, "interval": [low, high]}`; a difference has the key `difference` instead of `value`."""
        low, high = row["interval"]
        return cls(float(row["value"] if "value" in row else row["difference"]), float(low), float(high))

    def __neg__(self) -> "Estimate":
        """Negate a difference: the other side minus this one."""
        return Estimate(-self.value, -self.high, -self.low)

    @property
    def is_clear(self) -> bool:
        """True if the interval excludes 0."""
        return self.low > 0.0 or self.high < 0.0


@dataclass(frozen=True)
class ReliabilityPoint:
    """Predictions with similar probabilities: mean probability and observed frequency."""

    predicted: float
    """Mean probability."""
    rate: Estimate
    """Observed frequency, with the exact interval of its count."""
    count: float
    """Number of predictions that came true."""
