"""Calibrated re-ranking: the first ten places hold categories about as often as the shopper's own events do.

It is the greedy method of Steck 2018 ("Calibrated recommendations"). It reads no declaration: what a group is shown
comes nearer to what its members did, and not to a stereotype of them.
"""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from benchmarks.common.errors import BenchmarkError
from portrait.reporting.fairness.exposure import CATEGORIES, compute_exposure, list_distributions
from portrait.training.run.evaluation import SHOWN_POSITIONS, RankedTargets
from portrait.training.run.run import TrainedRun

_SMOOTHING = 0.01
"""Share of the shopper's own distribution that is mixed into that of the places, so that its logarithm is finite."""
_WEIGHTS = 1.0 / np.log2(np.arange(SHOWN_POSITIONS) + 2.0)


def calibrate_categories(trained: TrainedRun, ranked: RankedTargets, strength: float) -> RankedTargets:
    """Re-rank the first ten places of each target among its ranked items; those behind keep their order.

    Args:
        trained: the run.
        ranked: its ranking.
        strength: 0 orders by the chances to be acted on next, 1 follows the categories alone. Targets whose shopper
            did nothing with a category stay as they are.

    Raises:
        BenchmarkError: the catalogue has no categories.
    """
    distributions = list_distributions(compute_exposure(trained.corpus, ranked))
    categories = next((each for each in distributions if each.subject == CATEGORIES), None)
    if categories is None:
        raise BenchmarkError(f"the catalogue of {trained.data['path']} has no categories")
    chances = _order_chances(ranked)
    items, positions = ranked.items.copy(), ranked.positions.copy()
    for row, target in enumerate(categories.targets.tolist()):
        own = slice(*categories.earlier.indptr[row : row + 2])
        places = np.flatnonzero(ranked.items[target] >= 0)
        order = _choose_order(
            chances[target, places],
            categories.of_item[ranked.items[target, places]],
            dict(zip(categories.earlier.indices[own].tolist(), categories.earlier.data[own].tolist(), strict=True)),
            strength,
        )
        items[target, places] = ranked.items[target, order]
        new_place = np.empty(len(order), dtype=np.int64)
        new_place[order] = np.arange(len(order))
        placed = ranked.positions[target] >= 0
        positions[target, placed] = new_place[ranked.positions[target, placed]]
    return dataclasses.replace(ranked, items=items, positions=positions)


def _order_chances(ranked: RankedTargets) -> NDArray[np.float64]:
    """`[targets, places]`: chance of each ranked item to be acted on next, so that those of a target sum to 1."""
    chances = np.zeros(ranked.items.shape)
    target, candidate = np.nonzero(ranked.positions >= 0)
    chances[target, ranked.positions[target, candidate]] = ranked.click[target, candidate]
    return chances / np.maximum(chances.sum(axis=1, keepdims=True), np.finfo(float).tiny)


def _choose_order(
    chances: NDArray[np.float64], categories: NDArray[np.int64], wanted: dict[int, float], strength: float
) -> NDArray[np.int64]:
    """`[places]`: the order of a target's items, each first place chosen by its chance and the divergence that results.

    Args:
        chances: `[places]` of the items.
        categories: `[places]`, -1 for none.
        wanted: share of each category in what the shopper did; no other has one.
        strength: of the categories against the chances.
    """
    held = dict.fromkeys(wanted, 0.0)
    chosen: list[int] = []
    is_left = np.ones(len(chances), dtype=bool)
    total = 0.0
    for weight in _WEIGHTS[: len(chances)]:
        total += weight
        divergences = {name: _divergence(wanted[name], held[name] / total) for name in wanted}
        unchanged = sum(divergences.values())
        by_category = {
            name: unchanged - divergences[name] + _divergence(wanted[name], (held[name] + weight) / total)
            for name in wanted
        }
        divergence = np.array([by_category.get(name, unchanged) for name in categories.tolist()])
        worth = (1.0 - strength) * chances - strength * divergence
        best = int(np.argmax(np.where(is_left, worth, -np.inf)))
        chosen.append(best)
        is_left[best] = False
        if categories[best] in held:
            held[int(categories[best])] += weight
    return np.array([*chosen, *np.flatnonzero(is_left)], dtype=np.int64)


def _divergence(wanted: float, held: float) -> float:
    """Term of the Kullback-Leibler divergence of one category."""
    return wanted * float(np.log(wanted / ((1.0 - _SMOOTHING) * held + _SMOOTHING * wanted)))
