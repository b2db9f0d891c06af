"""Pairs of items: complements, which are bought together, and substitutes, which are looked at instead of each other.

`training` finds them, `export` writes them as a file of the release, `server` reads it. The file is CSV, one directed
pair a line, so that people can read what a release holds; the shop's rules add and remove pairs.
"""

import csv
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MAX_PAIRS_PER_ITEM = 20
"""Pairs of one kind that an item leads to, the surest."""


class PairKind(StrEnum):
    """The way in which two items belong together."""

    COMPLEMENT = "complement"
    """Bought together more often than by chance."""
    SUBSTITUTE = "substitute"
    """Looked at together more often than by chance, and bought together less often than that."""


class ItemPair(NamedTuple):
    """A pair of items, and the counts that say so.

    The visits of a complement are those with a purchase; those of a substitute are those in which an item was looked
    at.
    """

    kind: PairKind
    item_id: str
    other_item_id: str
    together: int
    """Visits with both items."""
    with_item: int
    with_other: int
    visits: int
    bought_together: int
    """Visits in which both items were bought."""
    shoppers: int
    """Shoppers of the visits with both items."""
    log_odds_ratio: float
    """Natural logarithm of the odds ratio of the two items over these visits."""
    lower_bound: float
    """Lower end of a 95% interval: of the log odds ratio of a complement; of a substitute, of the log odds ratio of
    looking minus that of buying."""


_COUNTS = ("together", "with_item", "with_other", "visits", "bought_together", "shoppers")
_NUMBERS = ("log_odds_ratio", "lower_bound")
_ROW = np.dtype(
    [("item", np.int32), ("other", np.int32)]
    + [(name, np.int32) for name in _COUNTS]
    + [(name, np.float64) for name in _NUMBERS]
)


@dataclass(frozen=True, slots=True)
class ItemPairs:
    """The pairs of a release, by rows of its items."""

    by_kind: dict[PairKind, NDArray[np.void]]
    """Pairs in the order of their items, the surest of each item first."""

    def find(self, kind: PairKind, row: int) -> NDArray[np.void]:
        """Find the pairs of one item, the surest first; the fields are those of `ItemPair`, with rows for ids."""
        pairs = self.by_kind[kind]
        first, end = np.searchsorted(pairs["item"], [row, row + 1])
        return pairs[first:end]

    @classmethod
    def read(cls, path: Path, find_row: Callable[[str], int]) -> "ItemPairs":
        """Read the file that `write_item_pairs` wrote.

        Args:
            path: the file.
            find_row: finds the row of an item by its id, -1 for none.

        Raises:
            ValueError: a line is no pair of the release's items.
        """
        found: dict[PairKind, list[tuple[int | float, ...]]] = {kind: [] for kind in PairKind}
        with path.open(encoding="utf-8", newline="") as file:
            lines = csv.reader(file)
            if next(lines, None) != list(ItemPair._fields):
                raise ValueError(f"the first line does not name the columns {', '.join(ItemPair._fields)}")
            for number, line in enumerate(lines, start=2):
                try:
                    kind, row = _read_pair(line, find_row)
                except (ValueError, OverflowError) as error:
                    raise ValueError(f"record {number} is no pair of items: {error}") from None
                found[kind].append(row)
        return cls({kind: _sort_pairs(np.array(rows, dtype=_ROW)) for kind, rows in found.items()})


def write_item_pairs(pairs: Iterable[ItemPair], path: Path) -> None:
    """Write pairs as CSV."""
    with path.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(ItemPair._fields)
        for pair in pairs:
            lines.writerow([f"{value:.6g}" if isinstance(value, float) else value for value in pair])


def _read_pair(line: list[str], find_row: Callable[[str], int]) -> tuple[PairKind, tuple[int | float, ...]]:
    kind, item_id, other_id, *values = line
    rows = find_row(item_id), find_row(other_id)
    if min(rows) < 0 or rows[0] == rows[1]:
        raise ValueError("it does not name two items of the release")
    counts = [int(value) for value in values[: len(_COUNTS)]]
    numbers = [float(value) for value in values[len(_COUNTS) :]]
    if len(numbers) != len(_NUMBERS) or not all(map(math.isfinite, numbers)):
        raise ValueError("it does not end with two finite numbers")
    if not all(0 <= count < 2**31 for count in counts):
        raise ValueError("a count is negative or too large")
    return PairKind(kind), (*rows, *counts, *numbers)


def _sort_pairs(pairs: NDArray[np.void]) -> NDArray[np.void]:
    return pairs[np.lexsort((pairs["other"], -pairs["lower_bound"], pairs["item"]))]
