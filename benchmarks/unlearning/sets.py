"""Sets of shoppers: those whom no model sees, and those who are forgotten."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

DRAWS = 3
"""Number of draws that have no shopper in common, if no more than a fifth of the others is forgotten."""

_UNSEEN_SHARE = 1 / 6
_SEED = 0
_FORGOTTEN_AT = "2100-01-01T00:00:00Z"
"""Later than all events: nothing of these shoppers is kept."""


@dataclass(frozen=True)
class ShopperSets:
    """Rows of shoppers, drawn at random."""

    unseen: NDArray[np.int64]
    """Those whom no model has seen."""
    forgotten: dict[int, NDArray[np.int64]]
    """By the percentage of all others: those who are forgotten. A larger set holds the smaller ones."""

    @property
    def largest(self) -> int:
        """Percentage of the largest set."""
        return max(self.forgotten)


def draw_sets(shoppers: int, percentages: tuple[int, ...], draw: int) -> ShopperSets:
    """Draw the sets among some shoppers.

    Args:
        shoppers: number of shoppers.
        percentages: shares of those who are forgotten.
        draw: number of the draw, below `DRAWS`.
    """
    order = np.roll(np.random.default_rng(_SEED).permutation(shoppers), -(draw * shoppers // DRAWS))
    unseen, seen = np.split(order, [round(_UNSEEN_SHARE * shoppers)])
    return ShopperSets(unseen, {percent: seen[: round(percent / 100 * len(seen))] for percent in percentages})


def write_deletions(shopper_ids: list[str], path: Path) -> Path:
    """Write a list of forgotten shoppers as `portrait export-deletions` does; return its path."""
    lines = [f"{hashlib.sha256(each.encode()).hexdigest()},{_FORGOTTEN_AT}" for each in shopper_ids]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["shopper_sha256,forgotten_at", *lines, ""]), encoding="utf-8")
    return path
