"""The linear fit of a release, alone: SLIT over histories in which recent moments count more."""

import dataclasses

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from portrait.features.candidates.associations import MAX_ASSOCIATION_EVENTS
from portrait.training.baselines.contexts import Unit
from portrait.training.baselines.protocol import Scorer, Settings, Task
from portrait.training.ranker.associations import fit_associations
from portrait.training.settings import TrainSettings

MAX_TUNED_ITEMS = 3_000
"""Settings are chosen on the items with the most events, as the fit inverts a dense matrix of them."""


def fit_weights(task: Task, settings: Settings) -> sparse.csr_matrix:
    """Fit the item-to-item weights, `[items, items]`, to all training events; see `fit_associations`."""
    return _fit(task, settings, task.item_events.event[task.learnt])


def fit_weights_of_frequent_items(task: Task, settings: Settings) -> sparse.csr_matrix:
    """Fit the weights of the `MAX_TUNED_ITEMS` items with the most events alone."""
    items = task.item_events.item[task.learnt]
    frequent = np.argsort(-task.holdout.item_counts, kind="stable")[:MAX_TUNED_ITEMS]
    return _fit(task, settings, task.item_events.event[task.learnt[np.isin(items, frequent)]])


def _fit(task: Task, settings: Settings, events: NDArray[np.int64]) -> sparse.csr_matrix:
    chosen = dataclasses.replace(
        TrainSettings(), association_decay=settings["decay"], association_ridge=settings["ridge"]
    )
    fitted = fit_associations(task.corpus, events, chosen)
    return sparse.csr_matrix((fitted.weights, fitted.items, fitted.starts), shape=(len(task.corpus.items),) * 2)


def score_linearly(task: Task, weights: sparse.csr_matrix, settings: Settings) -> Scorer:
    """Score by the weights of the latest items, decayed as in the fit."""

    def score(targets: NDArray[np.int64]) -> NDArray[np.float32]:
        entries = task.item_events.read_contexts(targets, MAX_ASSOCIATION_EVENTS)
        context = entries.to_matrix(settings["decay"] ** entries.distance[Unit.MOMENTS])
        scores: NDArray[np.float32] = (context @ weights).toarray()
        return scores

    return score
