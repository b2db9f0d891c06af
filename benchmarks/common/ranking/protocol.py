"""The protocol that every model is measured by: the events that it may learn from, and the items that it ranks."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from portrait.training.baselines.protocol import Scorer, find_ranks
from portrait.training.dataset.corpus import NO_ITEM, Corpus
from portrait.training.dataset.splits import Holdout
from portrait.training.metrics import ndcg


class Protocol(StrEnum):
    """The events that a model may learn from before the test. Results of two protocols never share a column."""

    TRAIN_ONLY = "train only"
    """The training events. The validation item is context when the test item is asked for, but never a target."""
    REFIT = "refit"
    """Settings are chosen on validation; then the model learns from training and validation events."""


@dataclass(frozen=True)
class RankingTask:
    """One data set under one protocol."""

    corpus: Corpus
    holdout: Holdout

    @property
    def learnt(self) -> NDArray[np.int64]:
        """Events with an item that a model may learn from, ascending."""
        return self.holdout.learnt(self.corpus)

    def interactions(self) -> sparse.csr_matrix:
        """Return `[shoppers, items]`: 1 if the shopper has a training event with the item."""
        events, corpus = self.learnt, self.corpus
        shape = (len(corpus.shopper_ids), len(corpus.items))
        entries = (np.ones(len(events), dtype=np.float32), (corpus.event_shopper[events], corpus.event_item[events]))
        matrix = sparse.csr_matrix(entries, shape=shape)
        matrix.data[:] = 1.0
        return matrix

    def contexts(self, targets: NDArray[np.int64], decay: float) -> sparse.csr_matrix:
        """Return `[targets, items]`: the context of each target, an event weighted by `decay` for each later one."""
        rows, columns, values = [], [], []
        for row, items in enumerate(self.histories(targets)):
            rows.append(np.full(len(items), row))
            columns.append(items)
            values.append(decay ** np.arange(len(items) - 1, -1, -1, dtype=np.float32))
        shape = (len(targets), len(self.corpus.items))
        entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
        return sparse.csr_matrix(entries, shape=shape, dtype=np.float32)

    def histories(self, targets: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Return the items of each target's context, oldest first."""
        corpus = self.corpus
        contexts = [corpus.event_item[corpus.shopper_start[target] : corpus.context_end[target]] for target in targets]
        return [items[items != NO_ITEM] for items in contexts]

    def ranks(
        self, scorer: Scorer, targets: NDArray[np.int64], among: NDArray[np.int64] | None = None
    ) -> NDArray[np.int64]:
        """Return the 0-based rank of each target's item in the catalogue; ties count against it.

        Args:
            scorer: the model.
            targets: events to foresee.
            among: rows of the items that are ranked; None for all.
        """
        return find_ranks(self.corpus, self.holdout.mask_seen, scorer, targets, among)

    def validate(self, scorer: Scorer) -> float:
        """Return NDCG@10 on the validation targets, by which settings are chosen."""
        return float(ndcg(self.ranks(scorer, self.holdout.validation), 10).mean())
