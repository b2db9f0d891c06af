"""Associations fitted to the events that a run learns from: the linear part of a release."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

from portrait.features.candidates.associations import MAX_ASSOCIATION_EVENTS, Associations
from portrait.features.search.largest import find_largest
from portrait.training.dataset.corpus import Corpus
from portrait.training.settings import TrainSettings

MAX_ITEMS = 12_500
"""Only the items with the most events have associations: the fit inverts a dense matrix of them."""
MAX_MOMENTS = 300_000
MAX_WEIGHTS_PER_ITEM = 100
"""Weights of an item that are kept, the largest."""
_MIN_SHARE = 0.01


@dataclass(frozen=True)
class Moments:
    """The moments of shoppers that something came before, over the events to learn from."""

    begins: NDArray[np.int64]
    """`[moments]`: place of the first event of each moment."""
    number: NDArray[np.int64]
    """`[events]`: ascending number of each event's moment."""
    shopper: NDArray[np.int64]
    """`[events]`."""
    column: NDArray[np.int64]
    """`[events]`: place of the event's item among the chosen ones, -1 if it is none."""
    columns: int


def choose_frequent_items(corpus: Corpus, events: NDArray[np.int64]) -> NDArray[np.int64]:
    """Choose the rows of the `MAX_ITEMS` items with the most events, ascending; items without events are none."""
    counts = np.bincount(corpus.event_item[events], minlength=len(corpus.items))
    return np.sort(np.argsort(-counts, kind="stable")[: min(MAX_ITEMS, int((counts > 0).sum()))])


def find_moments(corpus: Corpus, events: NDArray[np.int64], chosen: NDArray[np.int64], seed: int) -> Moments:
    """Find the moments that something came before; of very many, a sample.

    Args:
        corpus: the events.
        events: those to learn from, with an item each, ascending.
        chosen: ascending rows of the items that have columns.
        seed: of the sample.
    """
    shopper = corpus.event_shopper[events]
    first = np.searchsorted(events, corpus.context_end[events])
    begins = np.unique(first).astype(np.int64)
    number = np.cumsum(np.isin(np.arange(len(events)), begins).astype(np.int64))
    begins = begins[(begins > 0) & (shopper[begins] == shopper[begins - 1])]
    if len(begins) > MAX_MOMENTS:
        begins = np.sort(np.random.default_rng(seed).choice(begins, MAX_MOMENTS, replace=False))
    column = np.full(len(corpus.items), -1)
    column[chosen] = np.arange(len(chosen))
    return Moments(begins, number, shopper, column[corpus.event_item[events]], len(chosen))


def build_moment_matrix(moments: Moments, decay: float, *, earlier: bool) -> sparse.csr_matrix:
    """`[moments, columns]`: the items before each moment, or those from it on, decayed by the moments between.

    Args:
        moments: the moments.
        decay: weight of an item relative to one a moment nearer; 0 for the nearest moment alone.
        earlier: whether those before; at most `MAX_ASSOCIATION_EVENTS` events are seen either way.
    """
    lags = np.arange(MAX_ASSOCIATION_EVENTS)
    begins = moments.begins[:, None]
    index = begins - 1 - lags if earlier else begins + lags
    inside = (index >= 0) & (index < len(moments.number))
    index = np.clip(index, 0, len(moments.number) - 1)
    steps = np.abs(moments.number[index] - moments.number[begins]) - earlier
    same = moments.shopper[index] == moments.shopper[begins]
    share = np.where(inside & same, np.float64(decay) ** steps, 0.0)
    row, lag = np.nonzero((share > _MIN_SHARE) & (moments.column[index] >= 0))
    entries = (share[row, lag].astype(np.float32), (row, moments.column[index[row, lag]]))
    return sparse.csr_matrix(entries, shape=(len(begins), moments.columns))


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
    chosen = choose_frequent_items(corpus, events)
    moments = find_moments(corpus, events, chosen, settings.seed)
    return fit_associations_of_moments(moments, chosen, len(corpus.items), settings)


def fit_associations_of_moments(
    moments: Moments, chosen: NDArray[np.int64], items: int, settings: TrainSettings
) -> Associations:
    """Fit the map of `fit_associations` to moments that were found before.

    Args:
        moments: over the chosen items.
        chosen: ascending rows of the items that have columns.
        items: number of all items.
        settings: decays and λ.
    """
    products = multiply_moments(moments, settings)
    return solve_associations(products, chosen, items, settings)


def multiply_moments(moments: Moments, settings: TrainSettings) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """`SᵀS` and `SᵀT` of `fit_associations`, `[columns, columns]` each: all that the fit takes from the moments.

    Args:
        moments: over the chosen items.
        settings: decays.
    """
    before = build_moment_matrix(moments, settings.association_decay, earlier=True)
    after = build_moment_matrix(moments, settings.association_target_decay, earlier=False)
    return (before.T @ before).tocsr(), (before.T @ after).tocsr()


def solve_associations(
    products: tuple[sparse.csr_matrix, sparse.csr_matrix], chosen: NDArray[np.int64], items: int,
    settings: TrainSettings,
) -> Associations:  # fmt: skip
    """Solve for the map of `fit_associations`.

    Args:
        products: as `multiply_moments` returns them.
        chosen: ascending rows of the items that have columns.
        items: number of all items.
        settings: decay and λ.
    """
    gram, follows = (torch.from_numpy(product.toarray()) for product in products)
    gram.diagonal().add_(settings.association_ridge)
    weights = torch.cholesky_solve(follows, torch.linalg.cholesky(gram)).numpy()
    return _keep_largest_weights(weights, chosen, items, settings.association_decay)


def _keep_largest_weights(
    weights: NDArray[np.float32], chosen: NDArray[np.int64], items: int, decay: float
) -> Associations:
    """The largest positive weights of each row, in the rows of the whole catalogue."""
    kept = min(MAX_WEIGHTS_PER_ITEM, weights.shape[1])
    part = np.sort(find_largest(weights, kept), axis=1)
    value = np.take_along_axis(weights, part, 1)
    counts = np.zeros(items, dtype=np.int64)
    counts[chosen] = (value > 0).sum(1)
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return Associations(starts, chosen[part[value > 0]].astype(np.int32), value[value > 0].astype(np.float32), decay)
