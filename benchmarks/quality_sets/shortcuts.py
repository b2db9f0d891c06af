"""Shares of targets that the shopper's last items explain, for which no model is needed."""

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from portrait.training.baselines.contexts import ItemEvents, Unit
from portrait.training.dataset.corpus import Corpus

LAST_ITEMS = 2


@dataclass(frozen=True)
class Shortcuts:
    """Shares of the targets whose item stands in the context."""

    among_last_items: float
    """Among the items of its latest `LAST_ITEMS` events with an item."""
    in_own_history: float
    """Anywhere in it."""

    def to_json(self) -> dict[str, float]:
        """Return the shares by name."""
        return asdict(self)


def measure_shortcuts(corpus: Corpus, targets: NDArray[np.int64]) -> Shortcuts:
    """Measure the shares over some targets."""
    entries = ItemEvents(corpus).read_contexts(targets)
    hit = entries.item == corpus.event_item[targets][entries.row]
    last = hit & (entries.distance[Unit.EVENTS] < LAST_ITEMS)
    return Shortcuts(len(np.unique(entries.row[last])) / len(targets), len(np.unique(entries.row[hit])) / len(targets))
