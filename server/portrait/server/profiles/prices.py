"""Price bands: what a shopper pays, against what the catalogue asks, by category."""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from portrait.features.events import Event, Item
from portrait.features.prices import PriceScale
from portrait.server.profiles.evidence import MOST_EVIDENCE

MOST_BANDS = 10
MINIMUM_PRICES = 3
"""Fewer prices in a category say nothing."""


@dataclass(frozen=True, slots=True)
class PriceBand:
    """What the shopper pays within one category."""

    category_path: tuple[str, ...]
    percentile: float
    """Where the median stands among the catalogue's prices, 0 the cheapest, 1 the dearest."""
    low: float
    median: float
    high: float
    """Quartiles of the prices, in the shop's currency."""
    event_count: int
    evidence_event_ids: tuple[str, ...]
    """The latest first."""


def price_bands(history: Sequence[Event], item: Callable[[Event], Item | None], scale: PriceScale) -> list[PriceBand]:
    """Bands of the categories with `MINIMUM_PRICES` prices or more, the one with the most prices first.

    There are none if the catalogue has no prices to compare with.

    Args:
        history: oldest first.
        item: looks up what an event was done to, None if it is unknown.
        scale: the catalogue's prices.
    """
    prices: dict[tuple[str, ...], list[float]] = defaultdict(list)
    evidence: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for event in history:
        known = item(event)
        if known is None or event.price is None:
            continue
        for depth in range(1, len(known.category_path) + 1):
            prices[known.category_path[:depth]].append(event.price)
            evidence[known.category_path[:depth]].append(event.event_id)
    most = sorted((path for path in prices if len(prices[path]) >= MINIMUM_PRICES), key=lambda p: (-len(prices[p]), p))
    bands = [_band(path, prices[path], evidence[path], scale) for path in most[:MOST_BANDS]]
    return [band for band in bands if not math.isnan(band.percentile)]


def _band(path: tuple[str, ...], prices: list[float], evidence: list[str], scale: PriceScale) -> PriceBand:
    low, median, high = np.quantile(prices, [0.25, 0.5, 0.75]).tolist()
    latest = tuple(evidence[: -MOST_EVIDENCE - 1 : -1])
    return PriceBand(path, scale.percentile(path, median), low, median, high, len(prices), latest)
