"""The protocol that every baseline is measured by: what it may learn from, and the rank of each target."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from portrait.training.baselines.contexts import ItemEvents
from portrait.training.dataset.corpus import Corpus
from portrait.training.dataset.splits import Holdout
from portrait.training.dataset.words import weigh_words
from portrait.training.encoders.retrieval import find_masked_items
from portrait.training.metrics import MISSED

_BLOCK_SCORES, _BLOCK_TARGETS = 2**20, 512
"""Maximum numbers of scores and of targets that are held at once: few enough for a processor's cache."""

Scorer = Callable[[NDArray[np.int64]], NDArray[np.float32]]
"""Targets → `[targets, items]`: a score of every item for the target's shopper at the target's time."""
Settings = dict[str, float]
"""Settings of a baseline by name."""


@dataclass(frozen=True)
class Task:
    """A data set and its hold-out, as baselines read them."""

    corpus: Corpus
    holdout: Holdout

    @cached_property
    def item_events(self) -> ItemEvents:
        """All events with an item, held-out ones included: they are the context of later targets."""
        return ItemEvents(self.corpus)

    @cached_property
    def learnt(self) -> NDArray[np.int64]:
        """Places in `item_events` of the events that a baseline may learn from, ascending."""
        return np.flatnonzero(self.holdout.train[self.item_events.event])

    @cached_property
    def words(self) -> sparse.csr_matrix:
        """`[items, words]`: the words of the items' texts; see `weigh_words`."""
        return weigh_words(self.corpus)

    def find_ranks(self, scorer: Scorer, targets: NDArray[np.int64]) -> NDArray[np.int64]:
        """`[targets]`: rank of each target in the whole catalogue; see `find_ranks`."""
        return find_ranks(self.corpus, self.holdout.mask_seen, scorer, targets)


def find_ranks(
    corpus: Corpus,
    mask_seen: bool,
    scorer: Scorer,
    targets: NDArray[np.int64],
    among: NDArray[np.int64] | None = None,
) -> NDArray[np.int64]:
    """`[targets]`: 0-based rank of each target's item; ties count against it, and a masked target is `MISSED`.

    Args:
        corpus: the events.
        mask_seen: leave out the target's `find_masked_items`.
        scorer: the model.
        targets: events to predict.
        among: rows of the items that are ranked; None for all.
    """
    ranks = np.full(len(targets), MISSED)
    left_out = None if among is None else np.setdiff1d(np.arange(len(corpus.items)), among)
    size = min(_BLOCK_TARGETS, max(1, _BLOCK_SCORES // len(corpus.items)))
    for begin in range(0, len(targets), size):
        part = targets[begin : begin + size]
        scores = scorer(part)
        if mask_seen or left_out is not None:
            scores = scores.copy()
        if left_out is not None:
            scores[:, left_out] = -np.inf
        if mask_seen:
            for row, target in enumerate(part.tolist()):
                scores[row, find_masked_items(corpus, target)] = -np.inf
        wanted = scores[np.arange(len(part)), corpus.event_item[part]]
        found = np.count_nonzero(scores >= wanted[:, None], axis=1) - 1
        ranks[begin : begin + size] = np.where(np.isfinite(wanted), found, MISSED)
    return ranks
