"""Purchase cycles: when a category that a shopper buys again and again is due.

Days between purchases are log-normal. A shopper's mean is shrunk between the category's and that of the shopper's own
intervals (normal-normal empirical Bayes, Efron & Morris 1975). Whether there is a next purchase at all has a chance of
its own, since customers may have left for good (cure models, Boag 1949).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

_NORMAL = NormalDist()
_RETURN_PRIOR = 2.0
"""Purchases that the category's return rate is worth against the shopper's own returns."""


@dataclass(frozen=True, slots=True)
class CategoryCycle:
    """Repeat purchases of a category, over all shoppers."""

    log_days: float
    """Mean logarithm of the days between two purchases of one shopper."""
    return_rate: float
    """Share of purchases that another follows."""
    count: int
    """Intervals that this was estimated from."""


@dataclass(frozen=True, slots=True)
class CycleScale:
    """Parameters that all categories have in common."""

    within: float
    """Standard deviation of the logarithms of one shopper's intervals in one category."""
    between: float
    """Standard deviation of shoppers' means in one category."""
    calibration: tuple[float, float]
    """a and b of σ(a + b logit p), fitted to what came true (Platt 1999)."""
    horizon_days: float
    """The probability is that of a purchase within so many days."""


@dataclass(frozen=True, slots=True)
class PurchaseCycle:
    """One shopper's cycle in one category."""

    log_days: float
    """Mean logarithm of the days to the next purchase."""
    spread: float
    """Standard deviation of that logarithm."""
    return_rate: float
    """Chance that there is a next purchase."""

    def days(self, quantile: float = 0.5) -> float:
        """Days from one purchase to the next, by quantile."""
        return math.exp(self.log_days + self.spread * _NORMAL.inv_cdf(quantile))


def estimate_cycle(intervals: Sequence[float], category: CategoryCycle, scale: CycleScale) -> PurchaseCycle:
    """A shopper's cycle.

    Args:
        intervals: days between the shopper's purchases in the category, each above 0.
        category: of all shoppers.
        scale: of all categories.
    """
    count = len(intervals)
    weight = (scale.within / max(scale.between, 1e-6)) ** 2
    logs = sum(math.log(days) for days in intervals)
    return PurchaseCycle(
        log_days=(logs + weight * category.log_days) / (count + weight),
        spread=scale.within * math.sqrt(1.0 + 1.0 / (count + weight)),
        return_rate=(count + _RETURN_PRIOR * category.return_rate) / (count + _RETURN_PRIOR),
    )


def compute_due_probability(known: PurchaseCycle, elapsed: float, scale: CycleScale) -> float:
    """Probability of a purchase within the horizon, given that there was none since the last, calibrated.

    Args:
        known: the shopper's cycle.
        elapsed: days since the last purchase.
        scale: horizon and calibration.
    """
    return calibrate(compute_raw_due_probability(known, elapsed, scale.horizon_days), scale.calibration)


def compute_raw_due_probability(known: PurchaseCycle, elapsed: float, horizon: float) -> float:
    """The same before calibration: `r (F(t + h) - F(t)) / (1 - r F(t))`, F log-normal, r the return rate."""
    before, after = (_share_below(known, days) for days in (elapsed, elapsed + horizon))
    return known.return_rate * (after - before) / max(1.0 - known.return_rate * before, 1e-9)


def calibrate(probability: float, calibration: tuple[float, float]) -> float:
    """σ(a + b logit p)."""
    return 1.0 / (1.0 + math.exp(-(calibration[0] + calibration[1] * logit(probability))))


def logit(probability: float) -> float:
    """Log-odds, of a probability that is kept off 0 and 1."""
    kept = min(max(probability, 1e-6), 1.0 - 1e-6)
    return math.log(kept / (1.0 - kept))


def _share_below(known: PurchaseCycle, days: float) -> float:
    return _NORMAL.cdf((math.log(days) - known.log_days) / known.spread) if days > 0.0 else 0.0
