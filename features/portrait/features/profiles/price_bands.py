"""Price bands: what a shopper pays, against what others pay, by category."""

import math
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from statistics import quantiles

from portrait.features.events import EventType
from portrait.features.items.prices import PriceScale, known_price
from portrait.features.profiles.absence import Absence, AbsenceReason, explain_too_few
from portrait.features.profiles.evidence import Evidence, latest_event_ids

MAX_BANDS = 10
MIN_BAND_PRICES = 3
"""Fewer prices in a category say nothing."""
_HALF_WIDTH = 0.98
"""Over the root of the number of prices: half the 95% interval of the median's rank among them (binomial, p = ½)."""


@dataclass(frozen=True, slots=True)
class PriceBand:
    """Prices that the shopper pays within one category."""

    category_path: tuple[str, ...]
    percentile: float
    """Quantile of the median among the prices that shoppers pay in the category, 0 the cheapest, 1 the dearest."""
    low: float
    median: float
    high: float
    """Quartiles of the prices, in the shop's currency."""
    event_count: int
    confidence: float
    """One minus half the width of the 95% interval of the median's rank among the shopper's prices, 0 to 1."""
    evidence_event_ids: tuple[str, ...]
    """The latest first."""
    expires_at: datetime | None


def compute_price_bands(evidence: Evidence, paid: PriceScale | None, asked: PriceScale) -> list[PriceBand] | Absence:
    """Bands of the categories with `MIN_BAND_PRICES` prices or more, the one with the most prices first.

    A band is compared within its own top category at the widest: that groceries are cheaper than sofas says nothing.

    Args:
        evidence: the weighted history.
        paid: what shoppers pay; None if the release does not know.
        asked: what the catalogue asks, which takes its place.
    """
    prices: dict[tuple[str, ...], list[float]] = defaultdict(list)
    cited: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for each in evidence.events:
        price = known_price(each.event.price)
        if each.item is None or price is None or each.event.type is EventType.REFUND:
            continue
        for depth in range(1, len(each.item.category_path) + 1):
            prices[each.item.category_path[:depth]].append(price)
            cited[each.item.category_path[:depth]].append(each.event.event_id)
    most = sorted((path for path in prices if len(prices[path]) >= MIN_BAND_PRICES), key=lambda p: (-len(prices[p]), p))
    if not prices:
        return Absence(AbsenceReason.NOT_RECORDED, "no event of an item with a category carries a price")
    if not most:
        return explain_too_few(max(map(len, prices.values())), MIN_BAND_PRICES, "prices in one category")
    bands = [
        PriceBand(
            path,
            *_compare_prices(path, prices[path], asked if paid is None else paid),
            event_count=len(prices[path]),
            confidence=max(0.0, 1.0 - _HALF_WIDTH / len(prices[path]) ** 0.5),
            evidence_event_ids=latest_event_ids(cited[path]),
            expires_at=evidence.long_term_expires_at,
        )
        for path in most[:MAX_BANDS]
    ]
    comparable = [band for band in bands if not math.isnan(band.percentile)]
    return comparable or Absence(
        AbsenceReason.NOT_RECORDED, "the release has no prices of these categories to compare with"
    )


def _compare_prices(path: tuple[str, ...], prices: list[float], scale: PriceScale) -> tuple[float, float, float, float]:
    """Percentile of the median, lower quartile, median, upper quartile."""
    low, median, high = quantiles(prices, n=4, method="inclusive")  # numpy's take fifty times as long
    return scale.percentile(path, median, widest=1), low, median, high
