"""Relations fitted to the events that a run learns from: the part of a release that needs no gradient."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from portrait.features.candidates.associations import Associations
from portrait.features.candidates.relations import ASSOCIATION, TITLE, TRANSITION, TWO_HOPS, Relations
from portrait.features.search.largest import find_largest
from portrait.training.dataset.corpus import Corpus
from portrait.training.dataset.words import weigh_words
from portrait.training.ranker.associations import (
    MAX_WEIGHTS_PER_ITEM,
    Moments,
    build_moment_matrix,
    choose_frequent_items,
    find_moments,
    fit_associations_of_moments,
)
from portrait.training.settings import TrainSettings
from portrait.training.sparse_matrices import keep_largest

_BACKWARD_SHARE = 0.5
"""Weight of a transition in the other direction."""
_OUT_POWER, _IN_POWER = 0.5, 0.35
"""Powers of the sums of rows and columns by which transitions are divided: without them, popular items win."""
_MAX_TRANSITIONS = 200
"""Transitions of an item that two hops go over, the largest."""
_BLOCK = 1024


def fit_relations(corpus: Corpus, events: NDArray[np.int64], settings: TrainSettings) -> Relations:
    """Fit all relations.

    The transitions and their two hops are a graph in the spirit of arXiv 2605.07125, which finds that such counts match
    or beat neural models on many public sets.

    Args:
        corpus: the events.
        events: those to learn from, with an item each, ascending.
        settings: decays and the ridge of the linear fit.
    """
    chosen = choose_frequent_items(corpus, events)
    moments = find_moments(corpus, events, chosen, settings.seed)
    transitions = _count_transitions(moments, settings)
    few = keep_largest(transitions, _MAX_TRANSITIONS)
    decay, items = settings.association_decay, len(corpus.items)
    titles = _compare_titles(corpus, chosen)
    return Relations(
        {
            ASSOCIATION: fit_associations_of_moments(moments, chosen, items, settings),
            TRANSITION: _spread(keep_largest(transitions, MAX_WEIGHTS_PER_ITEM), chosen, items, decay),
            TWO_HOPS: _spread(_multiply(few, few), chosen, items, decay),
            TITLE: _spread(titles, chosen, items, decay),
        }
    )


def _count_transitions(moments: Moments, settings: TrainSettings) -> sparse.csr_matrix:
    """Count `[chosen, chosen]` what follows what within some moments, later ones less, for the frequency of both."""
    before = build_moment_matrix(moments, settings.association_decay, earlier=True)
    then = build_moment_matrix(moments, 0.0, earlier=False)
    forward = (before.T @ then).tocsr()
    counts = (forward + _BACKWARD_SHARE * forward.T).tocsr()
    counts.setdiag(0.0)
    counts.eliminate_zeros()
    out, into = (np.maximum(np.asarray(counts.sum(axis)).ravel(), 1e-9) for axis in (1, 0))
    scaled = sparse.diags(out**-_OUT_POWER) @ counts @ sparse.diags(into**-_IN_POWER)
    return scaled.tocsr().astype(np.float32)


def _compare_titles(corpus: Corpus, chosen: NDArray[np.int64]) -> sparse.csr_matrix:
    """Compare the words of some items by the cosine of their TF-IDF vectors, `[chosen, chosen]`."""
    words = weigh_words(corpus)[chosen]
    return _multiply(words, words.T.tocsr())


def _multiply(left: sparse.csr_matrix, right: sparse.csr_matrix) -> sparse.csr_matrix:
    """Multiply, a block of rows at a time, and keep the largest entries of each row that lead to another item."""
    blocks = []
    for begin in range(0, left.shape[0], _BLOCK):
        part = (left[begin : begin + _BLOCK] @ right).toarray()
        part[np.arange(len(part)), np.arange(begin, begin + len(part))] = 0.0
        kept = min(MAX_WEIGHTS_PER_ITEM, part.shape[1])
        columns = find_largest(part, kept)
        rows = np.repeat(np.arange(len(part)), kept)
        values = np.take_along_axis(part, columns, 1).ravel()
        blocks.append(sparse.csr_matrix((values, (rows, columns.ravel())), shape=part.shape))
    joined = sparse.vstack(blocks).tocsr()
    joined.eliminate_zeros()
    return joined


def _spread(matrix: sparse.csr_matrix, chosen: NDArray[np.int64], items: int, decay: float) -> Associations:
    """Write a matrix over the chosen items in the rows of the whole catalogue."""
    matrix.sort_indices()
    counts = np.zeros(items, dtype=np.int64)
    counts[chosen] = np.diff(matrix.indptr)
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return Associations(starts, chosen[matrix.indices].astype(np.int32), matrix.data.astype(np.float32), decay)
