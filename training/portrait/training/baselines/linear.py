"""The linear fit of a release, alone: SLIT over histories in which recent moments count more."""

import dataclasses
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from portrait.features.candidates.associations import MAX_ASSOCIATION_EVENTS, Associations
from portrait.training.baselines.contexts import Unit
from portrait.training.baselines.protocol import Scorer, Settings, Task
from portrait.training.ranker.associations import (
    choose_frequent_items,
    find_moments,
    fit_associations,
    multiply_moments,
    solve_associations,
)
from portrait.training.settings import TrainSettings

MAX_TUNED_ITEMS = 3_000
"""Settings are chosen on the items with the most events, as the fit inverts a dense matrix of them."""


def fit_weights(task: Task, settings: Settings) -> sparse.csr_matrix:
    """Fit the item-to-item weights, `[items, items]`, to all training events; see `fit_associations`."""
    fitted = fit_associations(task.corpus, task.item_events.event[task.learnt], _read_settings(settings))
    return _to_matrix(fitted, len(task.corpus.items))


def start_tuning(task: Task) -> Callable[[Settings], sparse.csr_matrix]:
    """Make a fit of the weights of the `MAX_TUNED_ITEMS` items with the most events alone.

    The moments are multiplied once for all ridges that are tried with one decay.
    """
    frequent = np.argsort(-task.holdout.item_counts, kind="stable")[:MAX_TUNED_ITEMS]
    events = task.item_events.event[task.learnt[np.isin(task.item_events.item[task.learnt], frequent)]]
    chosen = choose_frequent_items(task.corpus, events)
    moments = find_moments(task.corpus, events, chosen, TrainSettings().seed)

    @lru_cache(maxsize=1)
    def multiply(decay: float) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
        return multiply_moments(moments, dataclasses.replace(TrainSettings(), association_decay=decay))

    def fit(settings: Settings) -> sparse.csr_matrix:
        products, size = multiply(settings["decay"]), len(task.corpus.items)
        return _to_matrix(solve_associations(products, chosen, size, _read_settings(settings)), size)

    return fit


def _read_settings(settings: Settings) -> TrainSettings:
    return dataclasses.replace(
        TrainSettings(), association_decay=settings["decay"], association_ridge=settings["ridge"]
    )


def _to_matrix(fitted: Associations, items: int) -> sparse.csr_matrix:
    return sparse.csr_matrix((fitted.weights, fitted.items, fitted.starts), shape=(items, items))


def score_linearly(task: Task, weights: sparse.csr_matrix, settings: Settings) -> Scorer:
    """Score by the weights of the latest items, decayed as in the fit."""

    def score(targets: NDArray[np.int64]) -> NDArray[np.float32]:
        entries = task.item_events.read_contexts(targets, MAX_ASSOCIATION_EVENTS)
        context = entries.to_matrix(settings["decay"] ** entries.distance[Unit.MOMENTS])
        scores: NDArray[np.float32] = (context @ weights).toarray()
        return scores

    return score
