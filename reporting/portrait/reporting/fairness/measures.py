"""Measures of the audit: a value for each test shopper, so that groups can be compared and intervals drawn.

Quality, exposure, calibration and the errors of traits stay apart: measures that join them contradict each other
(Rampisela et al. 2024, "Can we trust recommender system fairness evaluation?", arXiv 2405.18276).
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import partial

import numpy as np
from numpy.typing import NDArray

from portrait.reporting.fairness.exposure import CATEGORIES, Distribution, Exposure
from portrait.training import metrics
from portrait.training.run import evaluation
from portrait.training.run.evaluation import Predictions, RankedTargets
from portrait.training.run.run import TrainedRun
from portrait.training.traits.artifacts import TraitPredictions


class Kind(StrEnum):
    """Kinds of measures, each of which is reported on its own."""

    QUALITY = "quality"
    EXPOSURE = "exposure"
    CALIBRATION = "calibration"
    TRAITS = "traits"


@dataclass(frozen=True)
class Measure:
    """A measure, and where it stands in a panel."""

    kind: Kind
    name: str
    meaning: str


@dataclass(frozen=True)
class Panel:
    """Measures of the same shoppers."""

    shoppers: NDArray[np.int64]
    """`[rows]`: row of each shopper in the corpus."""
    measures: list[Measure]
    values: NDArray[np.float64]
    """`[rows, measures]`, NaN where a shopper has no value."""


_RANKED = {"NDCG": metrics.ndcg, "HR": metrics.hit_rate}
_QUALITY = {
    f"{name}@{cutoff}": partial(measure, k=cutoff) for name, measure in _RANKED.items() for cutoff in metrics.CUTOFFS
}
_EXPOSURE = {
    "popular items": "share of the first ten places that the most popular tenth of the catalogue takes",
    "popular items above own": "the same, minus their share of what the shopper had done before",
    "unlike own categories": "share of the first ten places that would have to change for their categories to be as "
    "frequent as in what the shopper had done before",
    "price": "mean price percentile, in its category, of the first ten items, 0 to 1",
}
EXCESS = " excess"
"""End of the name of a measure that says how much too high probabilities are."""
_PROBABILITIES = {"click": "acted on next", "purchase": "bought next"}


def measure_ranking(
    trained: TrainedRun, ranked: RankedTargets, exposure: Exposure, distributions: list[Distribution]
) -> Panel:
    """Measure the ranking of the test: quality, exposure and calibration.

    Args:
        trained: the run.
        ranked: its ranking of the test, or that order changed.
        exposure: what that ranking shows.
        distributions: the same by category and brand.
    """
    ranks = evaluation.find_portrait_ranks(trained, ranked)
    columns = {
        Measure(Kind.QUALITY, name, f"{name} of the next item"): measure(ranks) for name, measure in _QUALITY.items()
    }
    exposed = _measure_exposure(trained, exposure, distributions)
    for (name, meaning), values in zip(_EXPOSURE.items(), exposed, strict=True):
        columns[Measure(Kind.EXPOSURE, name, meaning)] = values
    predictions = evaluation.collect_predictions(trained, ranked)
    for name, came_true in _PROBABILITIES.items():
        if predictions[name].labels.any():
            measure = Measure(
                Kind.CALIBRATION,
                f"{name}{EXCESS}",
                f"hits that the chances of the first ten to be {came_true} promise, minus those that came true",
            )
            columns[measure] = _measure_excess(predictions[name], len(ranks))
    shoppers = trained.corpus.event_shopper[ranked.vectors.targets]
    return Panel(shoppers, list(columns), np.stack(list(columns.values()), axis=1))


def _measure_exposure(
    trained: TrainedRun, exposure: Exposure, distributions: list[Distribution]
) -> list[NDArray[np.float64]]:
    """Compute the values of `_EXPOSURE`, in its order."""
    counts = trained.holdout.item_counts
    popular = np.zeros(len(counts))
    popular[np.argsort(-counts, kind="stable")[: max(1, len(counts) // 10)]] = 1.0
    shown, earlier = (exposure.average(popular, rows) for rows in (exposure.shown, exposure.earlier))
    unlike = np.full(len(shown), np.nan)
    for each in distributions:
        if each.subject == CATEGORIES:
            unlike[each.targets] = abs(each.shown - each.earlier).sum(axis=1) / 2.0
    return [shown, shown - earlier, unlike, exposure.average(trained.corpus.item_percentile)]


def _measure_excess(predictions: Predictions, targets: int) -> NDArray[np.float64]:
    """`[targets]`: expected minus observed hits among the first ten.

    The difference keeps its sign, so it is not larger for a small group than for a large one, as calibration errors
    over bins are.
    """
    first = predictions.at(0, evaluation.SHOWN_POSITIONS)
    return np.bincount(first.targets, first.weights * (first.chances - first.labels), minlength=targets).astype(float)


def measure_trait(name: str, predictions: TraitPredictions) -> Panel:
    """Measure the errors of a trait: the mean over a shopper's samples, so that each shopper counts once."""
    shoppers, row = np.unique(predictions.shopper, return_inverse=True)
    error = predictions.probability - predictions.label
    count = np.bincount(row)
    columns = {
        Measure(Kind.TRAITS, f"{name}{EXCESS}", "probability given, minus how often it came true"): error,
        Measure(Kind.TRAITS, f"{name} Brier score", "mean squared error of the probability"): error**2,
    }
    values = np.stack([np.bincount(row, each) / count for each in columns.values()], axis=1)
    return Panel(shoppers, list(columns), values)
