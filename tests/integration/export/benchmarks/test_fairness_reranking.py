"""The re-ranking of the fairness benchmark, on the rankings of a trained run."""

import numpy as np

from benchmarks.fairness.reranking import calibrate_categories
from portrait.reporting.fairness.exposure import CATEGORIES, compute_exposure, list_distributions
from portrait.training.run.evaluation import RankedTargets, rank_test_targets
from portrait.training.run.run import TrainedRun


def measure_distance(trained: TrainedRun, ranked: RankedTargets) -> float:
    """Measure how far categories shown are from those of earlier events, on average."""
    distributions = list_distributions(compute_exposure(trained.corpus, ranked))
    [categories] = [each for each in distributions if each.subject == CATEGORIES]
    return float(abs(categories.shown - categories.earlier).sum(axis=1).mean() / 2.0)


def test_categories_move_towards_those_of_the_shopper(trained: TrainedRun) -> None:
    ranked = rank_test_targets(trained)
    by_chance, calibrated = (calibrate_categories(trained, ranked, strength) for strength in (0.0, 1.0))
    assert measure_distance(trained, calibrated) < measure_distance(trained, by_chance)
    for changed in (by_chance, calibrated):
        np.testing.assert_array_equal(np.sort(changed.items, 1), np.sort(ranked.items, 1))
        target, candidate = np.nonzero(changed.positions >= 0)
        placed = changed.items[target, changed.positions[target, candidate]]
        np.testing.assert_array_equal(placed, changed.chosen.items[target, candidate])
