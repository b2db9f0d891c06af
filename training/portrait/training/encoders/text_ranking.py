"""Validation of a text encoder by itself: how well the texts of a history find the next item, without residuals."""

import numpy as np
from numpy.typing import NDArray

from portrait.training import metrics
from portrait.training.dataset.corpus import NO_ITEM, Corpus
from portrait.training.dataset.splits import Holdout
from portrait.training.encoders import retrieval
from portrait.training.encoders.retrieval import TargetVectors

_MAX_TARGETS, _MAX_ITEMS = 600, 1000
_HISTORY_EVENTS = 16
_DECAY = 0.7
"""Decay of an event's weight per later event."""


class TextRanking:
    """Ranks a sample of items for a sample of validation targets, by the vectors of texts alone.

    A history's vector is the decayed mean of its latest texts; after a search it is that of the query.

    Args:
        corpus: the events.
        holdout: the validation targets.
        seed: of the sample.
    """

    def __init__(self, corpus: Corpus, holdout: Holdout, seed: int) -> None:
        random = np.random.default_rng(seed)
        self._corpus, self._mask_seen = corpus, holdout.mask_seen
        self.targets = np.sort(_draw(holdout.validation, _MAX_TARGETS, random))
        """Validation targets that are ranked, ascending."""
        wanted = np.unique(corpus.event_item[self.targets])
        others = np.setdiff1d(np.arange(len(corpus.items)), wanted)
        self._items = np.sort(np.append(wanted, _draw(others, max(0, _MAX_ITEMS - len(wanted)), random)))
        self._histories = [self._find_history(target) for target in self.targets.tolist()]
        self.texts = np.unique(
            np.concatenate([corpus.item_text[self._items], *map(corpus.event_text.take, self._histories)])
        )
        """Rows of the texts that are read."""

    def _find_history(self, target: int) -> NDArray[np.int64]:
        """Return the events that stand for a target's history, the latest first."""
        end = self._corpus.context_end[target]
        start = max(self._corpus.shopper_start[target], end - _HISTORY_EVENTS)
        events = np.arange(start, end)[::-1]
        return events[:1] if self._corpus.event_item[events[0]] == NO_ITEM else events

    def measure(self, pooled: NDArray[np.float32]) -> NDArray[np.float64]:
        """Compute the NDCG@10 of each target.

        Args:
            pooled: `[texts of the corpus or more, hidden]`; only the rows `texts` are read.
        """
        read = pooled[self.texts]
        vectors = np.zeros_like(pooled)
        vectors[self.texts] = read / np.maximum(np.linalg.norm(read, axis=1, keepdims=True), 1e-9)
        profiles = np.stack(
            [_DECAY ** np.arange(len(events)) @ vectors[self._corpus.event_text[events]] for events in self._histories]
        ).astype(np.float32)
        found = TargetVectors(vectors[self._corpus.item_text], profiles, self.targets)
        ranked = retrieval.rank_catalogue(self._corpus, found, 10, self._mask_seen, self._items)
        return metrics.ndcg(retrieval.find_ranks(ranked, self._corpus.event_item[self.targets]), 10)


def _draw(rows: NDArray[np.int64], count: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Draw rows without replacement, at most `count`."""
    return random.choice(rows, min(count, len(rows)), replace=False)
