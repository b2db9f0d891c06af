"""How far the probabilities of a trait can be believed, with intervals drawn over shoppers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from portrait.training import metrics

BINS = 15
DRAWS = 1000

Chances = NDArray[np.float64]
Labels = NDArray[np.bool_]
Weights = NDArray[np.float64]
Measure = Callable[[Weights], float]
"""A figure of samples that count so many times each."""


@dataclass(frozen=True)
class Point:
    """Probabilities that are about alike: what they said, and what came true."""

    samples: int
    predicted: float
    rate: float


def bins(chances: Chances) -> NDArray[np.int64]:
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


def reliability(chances: Chances, labels: Labels) -> list[Point]:
    """What came true in each bin."""
    of = bins(chances)
    return [
        Point(int((of == each).sum()), float(chances[of == each].mean()), float(labels[of == each].mean()))
        for each in np.unique(of)
    ]


def calibration_error(chances: Chances, labels: Labels, weights: Weights) -> float:
    """Expected calibration error, in probability (Naeini et al. 2015, "Obtaining well calibrated probabilities")."""
    off = np.bincount(bins(chances), weights * (chances - labels))
    return float(np.abs(off).sum() / weights.sum())


def brier(chances: Chances, labels: Labels, weights: Weights) -> float:
    """Mean squared error of the chances (Brier 1950)."""
    return float((weights * (chances - labels) ** 2).sum() / weights.sum())


def summary(chances: Chances, labels: Labels, shopper: NDArray[np.int64]) -> dict[str, dict[str, object]]:
    """AUC, calibration error and Brier score, each with a 95% interval."""
    measures: dict[str, Measure] = {
        "auc": lambda weights: metrics.auc(chances, labels, weights),
        "calibration_error": lambda weights: calibration_error(chances, labels, weights),
        "brier": lambda weights: brier(chances, labels, weights),
    }
    return {name: estimate(measure, shopper) for name, measure in measures.items()}


def auc_difference(ours: Chances, others: Chances, labels: Labels, shopper: NDArray[np.int64]) -> dict[str, object]:
    """AUC of ours less that of others on the same samples, paired, with a 95% interval."""
    return estimate(lambda weights: metrics.auc(ours, labels, weights) - metrics.auc(others, labels, weights), shopper)


def estimate(measure: Measure, shopper: NDArray[np.int64]) -> dict[str, object]:
    """A figure, and its 95% bootstrap interval by the percentile method; all samples of a shopper go together."""
    drawn = np.array([measure(weights) for weights in _draws(shopper)])
    drawn = drawn[np.isfinite(drawn)]
    low, high = np.quantile(drawn, [0.025, 0.975]).tolist() if len(drawn) else (float("nan"), float("nan"))
    return {"value": measure(np.ones(len(shopper))), "interval": [low, high]}


def _draws(shopper: NDArray[np.int64]) -> Iterator[Weights]:
    random = np.random.default_rng(0)
    _, who = np.unique(shopper, return_inverse=True)
    count = int(who.max(initial=-1)) + 1
    for _ in range(DRAWS):
        yield np.bincount(random.integers(0, count, count), minlength=count)[who].astype(np.float64)
