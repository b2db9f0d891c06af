"""Batch shapes: few, since some runtimes compile each shape."""

import bisect
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Shapes:
    """Allowed batch shapes of one graph."""

    lengths: tuple[int, ...]
    """Lengths that rows are padded to, ascending; a longer row keeps its own."""
    rows: tuple[int, ...]
    """Numbers of rows, ascending from 1. No row is padding: what is over goes out in the next batch."""
    budget: int
    """Maximum units of a batch (rows times padded length); a batch of one row may exceed it."""
    overhead: int
    """Fixed cost of a batch, in units: two lengths are joined where that pads less than this."""
    min_fill_when_busy: float
    """While all instances are busy, a batch is queued only if it has this share of its maximum rows, 0 to 1."""

    def padded_length(self, length: int) -> int:
        """Return the length that a row is padded to."""
        index = bisect.bisect_left(self.lengths, length)
        return self.lengths[index] if index < len(self.lengths) else length

    def rows_within(self, count: int) -> int:
        """Return the largest allowed number of rows that does not exceed `count`."""
        return self.rows[bisect.bisect_right(self.rows, count) - 1]

    def max_rows(self, length: int) -> int:
        """Return the rows of a full batch of a padded length."""
        return self.rows_within(max(1, min(self.rows[-1], self.budget // length)))

    @cached_property
    def all(self) -> tuple[tuple[int, int], ...]:
        """Every shape, as rows and length."""
        return tuple((rows, length) for length in self.lengths for rows in self.rows if rows <= self.max_rows(length))


def group_lengths(waiting: Mapping[int, int], shapes: Shapes) -> list[list[int]]:
    """Group lengths into batches at the least total cost.

    A batch costs its units and `Shapes.overhead`. Sorted by length, groups are contiguous, so dynamic programming finds
    the best grouping, as in TurboTransformers (Fang et al., PPoPP 2021, algorithm 2), here over the few
    padded lengths instead of the rows.

    Args:
        waiting: number of waiting rows, by padded length.
        shapes: allowed batch shapes.

    Returns:
        the lengths, ascending, in groups.
    """
    if len(waiting) == 1:
        return [list(waiting)]
    lengths = sorted(waiting)
    cheapest, begins = [0.0], [0]
    """Cost of all lengths before a place, and where the last group among them begins."""
    for end, longest in enumerate(lengths, start=1):
        rows, most = 0, shapes.max_rows(longest)
        best, at = float("inf"), end - 1
        for begin in range(end - 1, -1, -1):
            rows += waiting[lengths[begin]]
            cost = cheapest[begin] + rows * longest + shapes.overhead * -(-rows // most)
            if cost < best:
                best, at = cost, begin
        cheapest.append(best)
        begins.append(at)
    groups, end = [], len(lengths)
    while end:
        groups.append(lengths[begins[end] : end])
        end = begins[end]
    return groups[::-1]
