"""The categories of a corpus as codes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from portrait.features.items.prices import category_key
from portrait.training.dataset.corpus import NO_ITEM, Corpus

NO_CATEGORY = -1


@dataclass(frozen=True)
class Taxonomy:
    """The narrowest category of each item and event."""

    paths: list[tuple[str, ...]]
    """By code."""
    of_item: NDArray[np.int64]
    """`[items]`, `NO_CATEGORY` of an item without one."""
    of_event: NDArray[np.int64]
    """`[events]`, `NO_CATEGORY` of a search, and of an item without one."""

    @classmethod
    def of(cls, corpus: Corpus) -> "Taxonomy":
        """The categories of a corpus."""
        codes: dict[tuple[str, ...], int] = {}
        of_item = np.array(
            [codes.setdefault(item.category_path, len(codes)) if item.category_path else -1 for item in corpus.items],
            dtype=np.int64,
        )
        of_event = np.where(corpus.event_item == NO_ITEM, NO_CATEGORY, of_item[corpus.event_item])
        return cls(list(codes), of_item, of_event)

    def shares(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """`[categories]`: share of each in weights of events; one more of every category keeps all above 0.

        Args:
            weights: `[events]`, 0 of those that do not count.
        """
        known = self.of_event >= 0
        mass = np.bincount(self.of_event[known], weights[known], minlength=len(self.paths)) + 1.0
        shares: NDArray[np.float64] = mass / mass.sum()
        return shares

    def by_key(self, shares: NDArray[np.float64]) -> dict[str, float]:
        """Shares of the categories and of all nodes above them, by category key."""
        summed: dict[str, float] = {}
        for path, share in zip(self.paths, shares.tolist(), strict=True):
            for depth in range(1, len(path) + 1):
                key = category_key(path[:depth])
                summed[key] = summed.get(key, 0.0) + share
        return summed
