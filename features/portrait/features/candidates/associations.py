"""Associations: which items follow which, as a sparse item-to-item matrix, and what they say of a history."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from portrait.features.histories.history_arrays import count_later_moments

MAX_ASSOCIATION_EVENTS = 32
"""A history's latest events with known items, so many of them, are what associations are read of."""


@dataclass(frozen=True, slots=True)
class AssociatedItems:
    """The items that a history leads to."""

    rows: NDArray[np.int64]
    """Ascending rows of items."""
    scores: NDArray[np.float32]
    """`[rows]`, positive; about the chance of being next."""

    def scores_of(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Scores of some rows; 0 of one that the history does not lead to, and of row -1."""
        if not len(self.rows):
            return np.zeros(len(rows), dtype=np.float32)
        place = np.minimum(np.searchsorted(self.rows, rows), len(self.rows) - 1)
        return np.where(self.rows[place] == rows, self.scores[place], np.float32(0.0))

    def rows_by_score(self) -> NDArray[np.int64]:
        """All rows, the highest score first; equal scores by row."""
        # Bits of positive floats are in the order of the floats.
        return self.rows[_sort_stably(-self.scores.view(np.int32))[1]]


@dataclass(frozen=True, slots=True)
class EventContributions:
    """Contributions of each event of a history to the score of each item that it leads to, one entry for each pair."""

    positions: NDArray[np.int64]
    """Place of the event in the history."""
    items: NDArray[np.int32]
    """Row of the item."""
    values: NDArray[np.float64]
    """Positive."""


@dataclass(frozen=True, slots=True)
class Associations:
    """Weights from the items of a history to the items that follow, one sparse row an item."""

    starts: NDArray[np.int64]
    """`[items + 1]`: the weights of item i are `starts[i]:starts[i + 1]`."""
    items: NDArray[np.int32]
    """`[weights]`: the item that follows."""
    weights: NDArray[np.float32]
    """`[weights]`, positive."""
    decay: float
    """Weight of an event relative to one a moment later."""

    def score_history(self, rows: ArrayLike, times: ArrayLike) -> AssociatedItems:
        """Sum of the weights of a history's items, each decayed by the number of moments since.

        Args:
            rows: row of each event's item, oldest first; -1 for an event without an item, or with an unknown one.
            times: seconds since 1970 of each event; events of equal times are one moment, NaN equals nothing.
        """
        parts = self.compute_contributions(rows, times)
        return sum_by_item(parts.items, parts.values)

    def compute_contributions(self, rows: ArrayLike, times: ArrayLike) -> "EventContributions":
        """Compute what each event of a history adds to each item; the arguments are those of `score_history`."""
        known, row, later = find_known_events(rows, times)
        begins = self.starts[row]
        counts = self.starts[row + 1] - begins
        weights = list_ranges(begins, counts)
        values = self.weights[weights] * np.repeat(self.decay**later, counts)
        return EventContributions(np.repeat(known, counts), self.items[weights], values)


def find_known_events(
    rows: ArrayLike, times: ArrayLike
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Find the latest `MAX_ASSOCIATION_EVENTS` events of a history with known items.

    Returns:
        their places in the history, the rows of their items, and the number of moments after each.
    """
    row = np.asarray(rows, dtype=np.int64)
    known = np.flatnonzero(row >= 0)[-MAX_ASSOCIATION_EVENTS:]
    return known, row[known], count_later_moments(np.asarray(times, dtype=np.float64)[known])


def list_ranges(begins: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """List the numbers of some ranges, one range after the other.

    Args:
        begins: `[ranges]`, the first number of each.
        counts: `[ranges]`, how many numbers each has.
    """
    ends = np.cumsum(counts)
    shifts: NDArray[np.int64] = np.repeat(begins - ends + counts, counts)
    return np.arange(len(shifts)) + shifts


def sum_by_item(items: NDArray[np.int64] | NDArray[np.int32], values: NDArray[np.float64]) -> AssociatedItems:
    """Sum values by item, in the order of their coming.

    Args:
        items: `[values]`, below 2^31.
        values: positive.
    """
    if not len(items):
        return AssociatedItems(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32))
    ordered, order = _sort_stably(items)
    begins = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    return AssociatedItems(ordered[begins], np.add.reduceat(values[order], begins).astype(np.float32))


def _sort_stably(numbers: NDArray[np.int64] | NDArray[np.int32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sort numbers; return them, and their places before. Several times as fast as a stable `argsort` of thousands."""
    packed = (numbers.astype(np.int64) << 32) | np.arange(len(numbers))
    packed.sort()
    return packed >> 32, packed & 0xFFFFFFFF
