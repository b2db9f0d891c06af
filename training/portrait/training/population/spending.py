"""Spending of shoppers: amounts, frequency, brands and discounts."""

from collections import defaultdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from portrait.features.events import EVENT_TYPE_CODES, EventType
from portrait.features.histories.history_arrays import SECONDS_PER_DAY
from portrait.features.items.prices import PriceScale, category_key
from portrait.features.population.interest_dynamics import compute_event_weights
from portrait.features.population.population import MAX_DISCOUNTED_RATIO, SpendingFifths
from portrait.training.dataset.corpus import NO_ITEM, Corpus

MAX_WINDOW_DAYS = 365.0
MIN_SHOPPERS = 50
MIN_PRICED_SHARE = 0.5
"""Share of purchases that must carry a price."""
MIN_PURCHASES = 5
"""Minimum purchases of a shopper for a discount share, and of an item for a spread of its prices."""
MAX_PRICE_RATIO = 1.5
"""Above this ratio between the price quartiles of the median item, an item id is not one product."""
MIN_BRAND_EVIDENCE = 50.0
MAX_BRANDS = 200
_QUINTILES = (0.2, 0.4, 0.6, 0.8)
_PURCHASE = EVENT_TYPE_CODES[EventType.PURCHASE]


def _find_purchases(corpus: Corpus, train: NDArray[np.bool_]) -> NDArray[np.int64]:
    return np.flatnonzero(train & (corpus.columns.type_code == _PURCHASE))


def fit_spending(corpus: Corpus, train: NDArray[np.bool_]) -> SpendingFifths | None:
    """Fifths of recency, frequency and spending at the end of the training window, over its buyers.

    None without times, or with too few buyers.
    """
    events = _find_purchases(corpus, train)
    time = corpus.columns.time[events]
    if not len(events) or np.isnan(time).any():
        return None
    end = float(time.max())
    window = min(MAX_WINDOW_DAYS, (end - float(time.min())) / SECONDS_PER_DAY)
    shopper = corpus.event_shopper[events]
    last = np.full(len(corpus.shopper_ids), -np.inf)
    np.maximum.at(last, shopper, time)
    within = time > end - window * SECONDS_PER_DAY
    days = np.unique(np.stack([shopper[within], np.floor(time[within] / SECONDS_PER_DAY).astype(np.int64)], 1), axis=0)[
        :, 0
    ]
    frequency = np.bincount(days, minlength=len(last))
    buyers = frequency > 0
    if buyers.sum() < MIN_SHOPPERS:
        return None
    price = corpus.event_price[events]
    spent = np.nan_to_num(price * np.nan_to_num(corpus.columns.quantity[events], nan=1.0), nan=0.0)
    monetary = np.bincount(shopper[within], spent[within], minlength=len(last))
    priced = float(np.mean(price > 0.0))
    return SpendingFifths(
        window_days=window,
        recency_days=_quintile_edges((end - last[buyers]) / SECONDS_PER_DAY),
        frequency=_quintile_edges(frequency[buyers]),
        monetary=_quintile_edges(monetary[buyers]) if priced >= MIN_PRICED_SHARE else None,
    )


def fit_paid_prices(corpus: Corpus, train: NDArray[np.bool_]) -> PriceScale | None:
    """Quantiles of the prices that were paid, by category; None if no purchase carries one."""
    events = _find_purchases(corpus, train)
    prices = corpus.event_price[events]
    if not (prices > 0.0).any():
        return None
    return PriceScale.fit([corpus.items[row].category_path for row in corpus.event_item[events].tolist()], prices)


def _quintile_edges(values: NDArray[Any]) -> list[float]:
    cuts: list[float] = np.quantile(values, _QUINTILES).tolist()
    return cuts


def discounted_shares(corpus: Corpus, train: NDArray[np.bool_]) -> list[float] | None:
    """21 quantiles over shoppers of the share of purchases below the usual price, which is the catalogue's."""
    events = _find_purchases(corpus, train)
    events = events[corpus.event_item[events] != NO_ITEM]
    usual = np.array([np.nan if item.price is None else item.price for item in corpus.items])
    item = corpus.event_item[events]
    ratio = corpus.event_price[events] / np.where(usual > 0.0, usual, np.nan)[item]
    known = np.isfinite(ratio) & (ratio > 0.0)
    ratio, item, shopper = ratio[known], item[known], corpus.event_shopper[events][known]
    if not _has_stable_prices(ratio, item, len(usual)):
        return None
    count = np.bincount(shopper, minlength=len(corpus.shopper_ids))
    below = np.bincount(shopper, (ratio <= MAX_DISCOUNTED_RATIO).astype(np.float64), minlength=len(count))
    buyers = count >= MIN_PURCHASES
    if buyers.sum() < MIN_SHOPPERS:
        return None
    quantiles: list[float] = np.quantile(below[buyers] / count[buyers], np.linspace(0.0, 1.0, 21)).tolist()
    return quantiles


def _has_stable_prices(ratio: NDArray[np.float64], item: NDArray[np.int64], items: int) -> bool:
    """Tell whether an item has about one price; otherwise its prices are those of different products."""
    order = np.lexsort((ratio, item))
    count = np.bincount(item, minlength=items)
    starts = np.cumsum(count) - count
    often = np.flatnonzero(count >= MIN_PURCHASES)
    if not len(often):
        return False
    sorted_ratio = np.maximum(ratio[order], 1e-9)
    low = sorted_ratio[starts[often] + count[often] // 4]
    high = sorted_ratio[starts[often] + (3 * count[often]) // 4]
    # Each item counts as often as it is bought.
    spread = np.repeat(high / low, np.minimum(count[often], 1000))
    return bool(np.median(spread) <= MAX_PRICE_RATIO)


def brand_shares(corpus: Corpus, train: NDArray[np.bool_]) -> dict[str, dict[str, float]]:
    """Share of each brand among the evidence with a brand, by category key; `""` is the whole catalogue."""
    events = np.flatnonzero(train & (corpus.event_item != NO_ITEM))
    columns = corpus.columns
    weights = compute_event_weights(columns.type_code[events], columns.rating[events], columns.dwell_seconds[events])
    by_item = np.bincount(corpus.event_item[events], weights, minlength=len(corpus.items))
    mass: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for item, weight in zip(corpus.items, by_item.tolist(), strict=True):
        if item.brand and weight > 0.0:
            for depth in range(len(item.category_path) + 1):
                mass[category_key(item.category_path[:depth])][item.brand] += weight
    shares = {}
    for key, by_brand in mass.items():
        total = sum(by_brand.values())
        if key == "" or total >= MIN_BRAND_EVIDENCE:
            most = sorted(by_brand, key=lambda brand: (-by_brand[brand], brand))[:MAX_BRANDS]
            shares[key] = {brand: by_brand[brand] / total for brand in most}
    return shares
