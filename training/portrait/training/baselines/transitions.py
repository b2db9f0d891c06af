"""Transitions and titles: where others went from the shopper's latest items, in one step and in two, and TF-IDF.

Such a graph needs no gradient; arXiv 2605.07125 finds that it matches or beats neural models on many public sets. A
gap is counted in moments, so that a basket is a set: its items do not lead to each other.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from portrait.training.baselines.contexts import Unit
from portrait.training.baselines.protocol import Scorer, Settings, Task
from portrait.training.sparse_matrices import keep_largest

MAX_GAP = 6
"""Moments between two items beyond which no transition is counted."""
MAX_CONTEXT_EVENTS = 20
"""Latest events of a context that scores start from."""
MAX_TRANSITIONS = 100
"""Transitions of an item that are kept, the largest."""
MAX_PAIRS = 3_000_000
"""About so many pairs of events are counted; of more, as baskets of groceries make them, moments are drawn."""
_OUT_POWER = 0.5
"""Power of the sum of an item's own row by which its transitions are divided."""


def count_transitions(task: Task, settings: Settings) -> sparse.csr_matrix:
    """Count what follows what among the training events, `[items, items]`.

    `A = Σ_g d^(g-1) (M₀ᵀ M_g + b M_gᵀ M₀)` over gaps of g moments of one shopper, where a row of M is the set of a
    moment's items. `A_ij` is divided by powers of the sums of row i and column j, which keeps popular items from
    winning everywhere.

    Args:
        task: the data set.
        settings: `gap_decay` (d), `backward` (b), and `column_power`.
    """
    return start_tuning(task)(settings)


def start_tuning(task: Task) -> Callable[[Settings], sparse.csr_matrix]:
    """Make a `count_transitions` of any settings; the pairs of each gap are counted once."""
    counts_by_gap = _count_pairs(task)

    def weigh(settings: Settings) -> sparse.csr_matrix:
        counts = counts_by_gap[0]
        for gap, counted in enumerate(counts_by_gap[1:], start=1):
            counts = counts + settings["gap_decay"] ** gap * counted
        counts = (counts + settings["backward"] * counts.T).tocsr()
        out, into = (np.maximum(np.asarray(counts.sum(axis)).ravel(), 1e-9) for axis in (1, 0))
        scaled = sparse.diags(out**-_OUT_POWER) @ counts @ sparse.diags(into ** -settings["column_power"])
        return keep_largest(scaled.tocsr().astype(np.float32), MAX_TRANSITIONS)

    return weigh


def _count_pairs(task: Task) -> list[sparse.csr_matrix]:
    """Count `M₀ᵀ M_g`, `[items, items]`, for each gap g from 1."""
    events, learnt = task.item_events, task.learnt
    _, first, row = np.unique(events.moment[learnt], return_index=True, return_inverse=True)
    moments = sparse.csr_matrix(
        (np.ones(len(learnt), dtype=np.float32), (row, events.item[learnt])),
        shape=(len(first), len(task.corpus.items)),
    )
    moments.data[:] = 1.0  # of a moment that holds an item twice
    shopper = events.shopper[learnt][first]
    pairs = _draw_pairs(shopper, np.diff(moments.indptr))
    return [(moments[before].T @ moments[before + gap]).tocsr() for gap, before in enumerate(pairs, start=1)]


def _draw_pairs(shopper: NDArray[np.int64], sizes: NDArray[np.int32]) -> list[NDArray[np.int64]]:
    """Draw, for each gap from 1, the moments that one of the same shopper follows at that gap.

    Args:
        shopper: `[moments]`.
        sizes: `[moments]`, items of each.
    """
    earlier = [np.flatnonzero(shopper[:-gap] == shopper[gap:]) for gap in range(1, MAX_GAP + 1)]
    pairs = sum(int((sizes[each].astype(np.int64) * sizes[each + gap]).sum()) for gap, each in enumerate(earlier, 1))
    if pairs <= MAX_PAIRS:
        return earlier
    random = np.random.default_rng(0)
    return [each[random.random(len(each)) < MAX_PAIRS / pairs] for each in earlier]


def score_by_transitions(task: Task, transitions: sparse.csr_matrix, settings: Settings) -> Scorer:
    """Score by the transitions of the latest items, their second step, and texts alike.

    Args:
        task: the data set.
        transitions: as `count_transitions` counts them.
        settings: `half_life_moments` of a context's events; `two_steps` and `text`, weights relative to one step.
    """
    # Many items of a shop share a text: each text is compared once.
    _, first, item_text = np.unique(task.corpus.item_text, return_index=True, return_inverse=True)
    texts = task.words[first]

    def score(targets: NDArray[np.int64]) -> NDArray[np.float32]:
        entries = task.item_events.read_contexts(targets, MAX_CONTEXT_EVENTS)
        context = entries.decay(settings["half_life_moments"], Unit.MOMENTS)
        one = context @ transitions
        walked = one + settings["two_steps"] * (one @ transitions) if settings["two_steps"] else one
        scores: NDArray[np.float32] = walked.toarray()
        if settings["text"]:
            alike = texts @ (context @ task.words).toarray().T  # dense: common words make most texts alike
            scores += settings["text"] * alike.T[:, item_text]
        return scores

    return score
