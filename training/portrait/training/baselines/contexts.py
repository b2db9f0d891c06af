"""The items of each target's context, with their distance to the target in events, moments and days."""

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from portrait.features.histories.history_arrays import SECONDS_PER_DAY
from portrait.training.dataset.corpus import NO_ITEM, Corpus


class Unit(StrEnum):
    """Units of the distance between an event and a target."""

    EVENTS = "events"
    MOMENTS = "moments"
    DAYS = "days"


@dataclass(frozen=True)
class ContextEntries:
    """The events with an item before some targets, one entry for each pair of target and event."""

    row: NDArray[np.int64]
    """`[entries]`: place of the target."""
    item: NDArray[np.int64]
    """`[entries]`: row of the event's item."""
    distance: dict[Unit, NDArray[np.float64]]
    """`[entries]` each: later events, and later moments, of the context; days to the target, NaN without times."""
    shape: tuple[int, int]
    """Targets and items."""

    def to_matrix(self, weights: NDArray[np.float64]) -> sparse.csr_matrix:
        """`[targets, items]`: sums of the entries' weights."""
        return sparse.csr_matrix((weights.astype(np.float32), (self.row, self.item)), shape=self.shape)

    def decay(self, half_life: float, unit: Unit) -> sparse.csr_matrix:
        """`[targets, items]`: contexts in which an event weighs half as much with each half-life of distance."""
        return self.to_matrix(0.5 ** (self.distance[unit] / half_life))


class ItemEvents:
    """All events with an item, and the moments that they make; an event that is a search belongs to none."""

    def __init__(self, corpus: Corpus) -> None:
        self.corpus = corpus
        self.event: NDArray[np.int64] = np.flatnonzero(corpus.event_item != NO_ITEM)
        self.item: NDArray[np.int64] = corpus.event_item[self.event]
        self.shopper: NDArray[np.int64] = corpus.event_shopper[self.event]

    @cached_property
    def moment(self) -> NDArray[np.int64]:
        """`[events with an item]`: ascending number of each one's moment, from 0."""
        return np.unique(self.corpus.context_end[self.event], return_inverse=True)[1].astype(np.int64)

    @cached_property
    def has_times(self) -> bool:
        """True if every event has a time."""
        return not bool(np.isnan(self.corpus.columns.time).any())

    def read_contexts(self, targets: NDArray[np.int64], max_events: int | None = None) -> ContextEntries:
        """Read the contexts of some targets.

        Args:
            targets: events to predict.
            max_events: so many of the latest events with an item; None for all.
        """
        corpus = self.corpus
        first = np.searchsorted(self.event, corpus.shopper_start[targets])
        end = np.searchsorted(self.event, corpus.context_end[targets])
        if max_events is not None:
            first = np.maximum(first, end - max_events)
        counts = end - first
        row = np.repeat(np.arange(len(targets)), counts)
        place = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts) + first[row]
        last = end[row] - 1
        seconds = corpus.columns.time[targets][row] - corpus.columns.time[self.event[place]]
        distance = {
            Unit.EVENTS: (last - place).astype(np.float64),
            Unit.MOMENTS: (self.moment[last] - self.moment[place]).astype(np.float64),
            Unit.DAYS: seconds / SECONDS_PER_DAY,
        }
        return ContextEntries(row, self.item[place], distance, (len(targets), len(corpus.items)))
