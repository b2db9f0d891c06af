"""Prices as percentiles: where a price stands among the catalogue's prices of its category."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

QUANTILES = np.linspace(0.0, 1.0, 21)
"""The quantiles kept for each category: every 5%."""
MIN_PRICES = 20
"""A category with fewer priced items borrows the scale of its parent."""
CATEGORY_SEPARATOR = " > "


def known_price(price: float | None) -> float | None:
    """A price that says what something costs; None if it is unknown, or 0, which shops write for either."""
    return price if price is not None and price > 0.0 else None


def category_key(path: Sequence[str]) -> str:
    """A category path as one string: `("Home", "Lamps")` is `"Home > Lamps"`, the root is `""`."""
    return CATEGORY_SEPARATOR.join(path)


@dataclass(frozen=True)
class PriceScale:
    """Quantiles of the catalogue's prices, by category; the root category `""` holds all items."""

    quantiles: Mapping[str, NDArray[np.float64]]

    @classmethod
    def fit(cls, paths: Sequence[Sequence[str]], prices: NDArray[np.float64]) -> "PriceScale":
        """Learn the scale from items.

        Args:
            paths: category path of each item.
            prices: `[items]`, NaN where unknown; 0 is no price.
        """
        by_category: dict[str, list[float]] = {}
        for path, price in zip(paths, prices.tolist(), strict=True):
            if np.isfinite(price) and price > 0.0:
                for depth in range(len(path) + 1):
                    by_category.setdefault(category_key(path[:depth]), []).append(price)
        return cls(
            {
                key: np.quantile(values, QUANTILES)
                for key, values in by_category.items()
                if key == "" or len(values) >= MIN_PRICES
            }
        )

    def percentile(self, path: Sequence[str], price: float | None, widest: int = 0) -> float:
        """Share of the category's items that are cheaper, 0 to 1; NaN if price or scale is unknown, or the price is 0.

        Args:
            path: the category.
            price: in the shop's currency.
            widest: number of names of the widest category whose scale may be borrowed.
        """
        known = known_price(price)
        if known is None or not math.isfinite(known):
            return math.nan
        for depth in range(len(path), widest - 1, -1):
            if (quantiles := self._lists.get(category_key(path[:depth]))) is not None:
                # As `percentiles`, which for a single price takes ten times as long.
                return (bisect_left(quantiles, known) + bisect_right(quantiles, known)) / (2 * len(QUANTILES))
        return math.nan

    @cached_property
    def _lists(self) -> dict[str, list[float]]:
        return {key: values.tolist() for key, values in self.quantiles.items()}

    def percentiles(self, path: Sequence[str], prices: NDArray[np.float64], widest: int = 0) -> NDArray[np.float64]:
        """The same for many prices of one category, each finite and above 0: `[prices]`."""
        for depth in range(len(path), widest - 1, -1):
            quantiles = self.quantiles.get(category_key(path[:depth]))
            if quantiles is not None:
                # Equal quantiles (many items at one price) count half, as in a mid-rank percentile.
                below = np.searchsorted(quantiles, prices, side="left")
                above = np.searchsorted(quantiles, prices, side="right")
                return (below + above) / (2 * len(QUANTILES))
        return np.full(len(prices), np.nan)

    def to_json(self) -> dict[str, list[float]]:
        """As plain lists, for a release's file."""
        return {key: [round(value, 6) for value in values.tolist()] for key, values in self.quantiles.items()}

    @classmethod
    def from_json(cls, data: Mapping[str, Sequence[float]]) -> "PriceScale":
        """Read what `to_json` made.

        Raises:
            ValueError: a category has another number of quantiles, or one that is not finite.
        """
        quantiles = {key: np.asarray(values, dtype=np.float64) for key, values in data.items()}
        for key, values in quantiles.items():
            if values.shape != QUANTILES.shape or not np.isfinite(values).all():
                raise ValueError(f"the quantiles of category {key!r} are not {len(QUANTILES)} finite numbers")
        return cls(quantiles)
