"""Metrics of a trait's probabilities, with bootstrap intervals over shoppers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from portrait.training import metrics

BINS = 15
DRAWS = 1000

Probabilities = NDArray[np.float64]
Labels = NDArray[np.bool_]
Weights = NDArray[np.float64]
Metric = Callable[[Weights], float]
"""A figure of samples that count so many times each."""


@dataclass(frozen=True)
class ReliabilityPoint:
    """Probabilities that are about alike: what they said, and what came true."""

    samples: int
    predicted: float
    rate: float


def assign_bins(chances: Probabilities) -> NDArray[np.int64]:
    """`[samples]`: which of `BINS` bins of equal numbers of samples each chance falls into, in ascending order.

    Equal chances share a bin, so bins of few distinct chances may be fewer and uneven.
    """
    order = np.argsort(chances, kind="stable")
    place = np.empty(len(chances), dtype=np.int64)
    place[order] = np.arange(len(chances))
    _, level = np.unique(chances, return_inverse=True)
    first = np.full(level.max(initial=0) + 1, len(chances))
    np.minimum.at(first, level, place)
    return first[level] * BINS // max(1, len(chances))


def reliability_points(chances: Probabilities, labels: Labels) -> list[ReliabilityPoint]:
    """Compare predicted and observed rates by bin."""
    of = assign_bins(chances)
    return [
        ReliabilityPoint(int((of == each).sum()), float(chances[of == each].mean()), float(labels[of == each].mean()))
        for each in np.unique(of)
    ]


def calibration_error(chances: Probabilities, labels: Labels, weights: Weights) -> float:
    """Expected calibration error, in probability (Naeini et al. 2015, "Obtaining well calibrated probabilities")."""
    off = np.bincount(assign_bins(chances), weights * (chances - labels))
    return float(np.abs(off).sum() / weights.sum())


def brier_score(chances: Probabilities, labels: Labels, weights: Weights) -> float:
    """Mean squared error of the chances (Brier 1950)."""
    return float((weights * (chances - labels) ** 2).sum() / weights.sum())


def excess(chances: Probabilities, labels: Labels, weights: Weights) -> float:
    """Mean probability, minus how often it came true; unlike an error over bins, it is 0 on average if calibrated."""
    return float((weights * (chances - labels)).sum() / weights.sum())


def summarise(chances: Probabilities, labels: Labels, shopper: NDArray[np.int64]) -> dict[str, dict[str, object]]:
    """AUC, calibration error, excess and Brier score, each with a 95% interval."""
    measures: dict[str, Metric] = {
        "auc": lambda weights: metrics.auc(chances, labels, weights),
        "calibration_error": lambda weights: calibration_error(chances, labels, weights),
        "excess": lambda weights: excess(chances, labels, weights),
        "brier": lambda weights: brier_score(chances, labels, weights),
    }
    return {name: estimate_with_interval(measure, shopper) for name, measure in measures.items()}


def auc_difference(
    ours: Probabilities, others: Probabilities, labels: Labels, shopper: NDArray[np.int64]
) -> dict[str, object]:
    """AUC of ours less that of others on the same samples, paired, with a 95% interval."""
    return estimate_with_interval(
        lambda weights: metrics.auc(ours, labels, weights) - metrics.auc(others, labels, weights), shopper
    )


def estimate_with_interval(measure: Metric, shopper: NDArray[np.int64]) -> dict[str, object]:
    """A figure, and its 95% bootstrap interval by the percentile method; all samples of a shopper go together."""
    drawn = np.array([measure(weights) for weights in _draw_weights(shopper)])
    drawn = drawn[np.isfinite(drawn)]
    low, high = np.quantile(drawn, [0.025, 0.975]).tolist() if len(drawn) else (float("nan"), float("nan"))
    return {"value": measure(np.ones(len(shopper))), "interval": [low, high]}


def _draw_weights(shopper: NDArray[np.int64]) -> Iterator[Weights]:
    random = np.random.default_rng(0)
    _, who = np.unique(shopper, return_inverse=True)
    count = int(who.max(initial=-1)) + 1
    for _ in range(DRAWS):
        yield np.bincount(random.integers(0, count, count), minlength=count)[who].astype(np.float64)
