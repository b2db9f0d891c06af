"""Negatives: the items that the targets of a batch compete with."""

import numpy as np
from numpy.typing import NDArray

from portrait.training.settings import TrainSettings


class NegativeSampler:
    """Draws the items that a batch's targets compete with.

    In a small catalogue these are all items with events, in a large one the batch's targets and a sample: half of it
    by popularity, half uniform. Items without events are never negatives, since nothing shows that shoppers reject
    them. All processes of a data-parallel step draw the same ones, from the targets of the whole batch.
    """

    def __init__(self, item_counts: NDArray[np.float64], settings: TrainSettings) -> None:
        self._known = np.flatnonzero(item_counts)
        self._known_positions = np.full(len(item_counts), -1)
        self._known_positions[self._known] = np.arange(len(self._known))
        self._sampled = 0 if len(self._known) <= settings.max_full_softmax_items else settings.sampled_negatives
        uniform = (item_counts > 0) / len(self._known)
        popular = item_counts / item_counts.sum()
        self._probabilities = 0.5 * uniform + 0.5 * popular
        self._cumulative = np.cumsum(self._probabilities)

    def draw(
        self, targets: NDArray[np.int64], random: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
        """Draw the items to score for a batch.

        Args:
            targets: `[pairs]`, item rows.
            random: source of the random numbers.

        Returns:
            `[items]` rows of the items, `[items]` log-Q corrections, and `[pairs]` positions of the targets among the
            items.
        """
        if not self._sampled:
            return self._known, np.zeros(len(self._known), dtype=np.float32), self._known_positions[targets]
        drawn = np.searchsorted(self._cumulative, random.random(self._sampled) * self._cumulative[-1])
        items, labels = np.unique(np.concatenate([targets, drawn]), return_inverse=True)
        # A batch's targets are draws too, mostly by popularity: the expected count covers both kinds of draws.
        expected = (self._sampled + len(targets)) * self._probabilities[items]
        return items, np.log(expected).astype(np.float32), labels[: len(targets)]
