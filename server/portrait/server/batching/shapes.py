"""The shapes that batches come in: few, as some runtimes compile for each."""

import bisect
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Shapes:
    """What batches of one graph may look like."""

    lengths: tuple[int, ...]
    """Lengths that rows are padded to, ascending; a longer row keeps its own."""
    rows: tuple[int, ...]
    """Numbers of rows, ascending from 1. No row is padding: what is over goes out in the next batch."""
    budget: int
    """Places of a batch (rows times length, padding included) at most; one row is always let in."""
    overhead: int
    """What a batch costs beyond its places, in places: where joining two lengths wastes less, they are joined."""
    behind: float
    """While all instances run, the next batch goes out behind them if it has this share of its most rows, 0 to 1."""

    def padded(self, length: int) -> int:
        """The length that a row is padded to."""
        place = bisect.bisect_left(self.lengths, length)
        return self.lengths[place] if place < len(self.lengths) else length

    def rows_within(self, count: int) -> int:
        """The largest number of rows that a batch may have, of so many."""
        return self.rows[bisect.bisect_right(self.rows, count) - 1]

    def most_rows(self, length: int) -> int:
        """Rows of a padded length in a full batch."""
        return self.rows_within(max(1, min(self.rows[-1], self.budget // length)))

    @cached_property
    def all(self) -> tuple[tuple[int, int], ...]:
        """Every shape, as rows and length."""
        return tuple((rows, length) for length in self.lengths for rows in self.rows if rows <= self.most_rows(length))


def cut(waiting: Mapping[int, int], shapes: Shapes) -> list[list[int]]:
    """Say which lengths share batches, so that all that waits costs least.

    A batch costs its places and `Shapes.overhead`. Sorted by length, what shares batches is contiguous, so the best cut
    is found by dynamic programming, as in TurboTransformers (Fang et al., PPoPP 2021, algorithm 2), here over the few
    padded lengths instead of the rows.

    Args:
        waiting: how many rows wait, by padded length.
        shapes: what batches may look like.

    Returns:
        the lengths, ascending, in groups.
    """
    lengths = sorted(waiting)
    cheapest, begins = [0.0], [0]
    """Cost of all lengths before a place, and where the last group among them begins."""
    for end, longest in enumerate(lengths, start=1):
        rows, most = 0, shapes.most_rows(longest)
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
