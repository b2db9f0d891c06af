"""Associations fitted to the events that a run learns from: the linear part of a release."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

from portrait.features.candidates.associations import MAX_ASSOCIATION_EVENTS, Associations
from portrait.training.dataset.corpus import Corpus
from portrait.training.settings import TrainSettings

MAX_ITEMS = 12_500
"""Only the items with the most events have associations: the fit inverts a dense matrix of them."""
MAX_MOMENTS = 300_000
MAX_WEIGHTS_PER_ITEM = 100
"""Weights of an item that are kept, the largest."""
_MIN_SHARE = 0.01


def fit_associations(corpus: Corpus, events: NDArray[np.int64], settings: TrainSettings) -> Associations:
    """Fit a linear map from what a shopper did before a moment to what the shopper does from then on.

    `B = (SᵀS + λI)⁻¹ SᵀT`: a row of S holds the items before a moment, decayed by the moments since; a row of T
    those from that moment on, decayed by the moments until. This is SLIT (Choi et al. 2021, "Session-aware Linear
    Item-Item Models") with exponential decay by order instead of by time, after Steck's EASE (2019).

    Args:
        corpus: the events.
        events: those to learn from, with an item each, ascending.
        settings: decays and λ.
    """
    counts = np.bincount(corpus.event_item[events], minlength=len(corpus.items))
    chosen = np.sort(np.argsort(-counts, kind="stable")[: min(MAX_ITEMS, int((counts > 0).sum()))])
    place = np.full(len(corpus.items), -1)
    place[chosen] = np.arange(len(chosen))
    before, after = _moment_matrices(corpus, events, place, settings)
    gram = torch.from_numpy((before.T @ before).toarray())
    gram.diagonal().add_(settings.association_ridge)
    follows = torch.from_numpy((before.T @ after).toarray())
    weights = torch.cholesky_solve(follows, torch.linalg.cholesky(gram)).numpy()
    return _keep_largest_weights(weights, chosen, len(corpus.items), settings.association_decay)


def _moment_matrices(
    corpus: Corpus, events: NDArray[np.int64], place: NDArray[np.int64], settings: TrainSettings
) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """S and T, `[moments, items]`: one row for each moment of a shopper that something came before."""
    shopper = corpus.event_shopper[events]
    first = np.searchsorted(events, corpus.context_end[events])
    begins = np.unique(first)
    moment = np.cumsum(np.isin(np.arange(len(events)), begins))
    begins = begins[(begins > 0) & (shopper[begins] == shopper[begins - 1])]
    if len(begins) > MAX_MOMENTS:
        begins = np.sort(np.random.default_rng(settings.seed).choice(begins, MAX_MOMENTS, replace=False))
    item = place[corpus.event_item[events]]
    lags = np.arange(MAX_ASSOCIATION_EVENTS)

    def rows(index: NDArray[np.int64], steps_from: int, decay: float) -> sparse.csr_matrix:
        inside = (index >= 0) & (index < len(events))
        index = np.clip(index, 0, len(events) - 1)
        steps = np.abs(moment[index] - moment[begins][:, None]) - steps_from
        share = np.where(inside & (shopper[index] == shopper[begins][:, None]), decay**steps, 0.0)
        row, lag = np.nonzero((share > _MIN_SHARE) & (item[index] >= 0))
        entries = (share[row, lag].astype(np.float32), (row, item[index[row, lag]]))
        return sparse.csr_matrix(entries, shape=(len(begins), int(place.max()) + 1))

    return (
        rows(begins[:, None] - 1 - lags, 1, settings.association_decay),
        rows(begins[:, None] + lags, 0, settings.association_target_decay),
    )


def _keep_largest_weights(
    weights: NDArray[np.float32], chosen: NDArray[np.int64], items: int, decay: float
) -> Associations:
    """The largest positive weights of each row, in the rows of the whole catalogue."""
    kept = min(MAX_WEIGHTS_PER_ITEM, weights.shape[1])
    part = np.sort(np.argpartition(-weights, kept - 1, axis=1)[:, :kept], axis=1)
    value = np.take_along_axis(weights, part, 1)
    counts = np.zeros(items, dtype=np.int64)
    counts[chosen] = (value > 0).sum(1)
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return Associations(starts, chosen[part[value > 0]].astype(np.int32), value[value > 0].astype(np.float32), decay)
