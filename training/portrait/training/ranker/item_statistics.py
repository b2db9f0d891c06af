"""Statistics of items over the events that a run learns from, also as of the moment of each target."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from portrait.features.candidates.item_statistics import (
    ITEM_STATISTICS,
    RECENT_HALF_LIVES_DAYS,
    scale_popularity,
    scale_recent_popularity,
)
from portrait.features.histories.history_arrays import SECONDS_PER_DAY
from portrait.training.dataset.corpus import Corpus

_RECENT = slice(1, 1 + len(RECENT_HALF_LIVES_DAYS))
_UNKNOWN_SHOPPERS = 3.0
_RENEW = 30.0
"""Half-lives after which decayed counts are rescaled, so that no number overflows."""


def compute_item_statistics(corpus: Corpus, events: NDArray[np.int64]) -> NDArray[np.float32]:
    """`[items, len(ITEM_STATISTICS)]`, as of the end of the events.

    Args:
        corpus: the events.
        events: those to learn from, with an item each, ascending.
    """
    values = np.zeros((len(corpus.items), len(ITEM_STATISTICS)), dtype=np.float32)
    counts = np.bincount(corpus.event_item[events], minlength=len(corpus.items))
    values[:, 0] = scale_popularity(counts.astype(np.float64))
    time = corpus.columns.time[events]
    if len(events) and not np.isnan(time).any():
        recent = RecentPopularity(corpus, events)
        recent.advance(float(time.max()) + 1.0)  # a second later, so that the last events count too
        values[:, _RECENT] = recent.scale()
    values[:, -2:] = _measure_repeats(corpus, events)
    return values


class RecentPopularity:
    """Decayed counts of items that move forward in time.

    Args:
        corpus: the events.
        events: those to count; each has an item and a time.
    """

    def __init__(self, corpus: Corpus, events: NDArray[np.int64]) -> None:
        order = np.argsort(corpus.columns.time[events], kind="stable")
        self._item, self._day = corpus.event_item[events][order], corpus.columns.time[events][order] / SECONDS_PER_DAY
        self._rates = np.log(2.0) / np.array(RECENT_HALF_LIVES_DAYS)
        self._counts = np.zeros((len(corpus.items), len(self._rates)))
        self._total = np.zeros(len(self._rates))
        self._done, self._now = 0, float(self._day[0]) if len(self._day) else 0.0

    def advance(self, time: float) -> None:
        """Count all events earlier than a time, in seconds since 1970; times never fall."""
        day = time / SECONDS_PER_DAY
        while self._now < day:
            until = min(day, self._now + _RENEW * min(RECENT_HALF_LIVES_DAYS))
            end = int(np.searchsorted(self._day, until))
            fade, part = np.exp(-self._rates * (until - self._now)), slice(self._done, end)
            added = np.exp(-self._rates * (until - self._day[part])[:, None])
            self._counts *= fade
            np.add.at(self._counts, self._item[part], added)
            self._total = self._total * fade + added.sum(0)
            self._done, self._now = end, until

    def scale(self, items: NDArray[np.int64] | slice = slice(None)) -> NDArray[np.float32]:
        """`[items, half-lives]`: the popularity of late of some items, scaled."""
        return scale_recent_popularity(self._counts[items], self._total, len(self._counts))


def _measure_repeats(corpus: Corpus, events: NDArray[np.int64]) -> NDArray[np.float32]:
    """`[items, 2]`: share of the shoppers of an item who came back to it, and log of the median days until then."""
    measured = np.zeros((len(corpus.items), 2), dtype=np.float32)
    table = (
        pl.DataFrame(
            {
                "shopper": corpus.event_shopper[events],
                "item": corpus.event_item[events],
                "moment": corpus.context_end[events],
                "day": corpus.columns.time[events] / SECONDS_PER_DAY,
            }
        )
        .unique(["shopper", "item", "moment"])
        .sort("shopper", "item", "moment")
        .with_columns(gap=pl.col("day").diff().over("shopper", "item"))
    )
    gaps = (
        table.filter(pl.col("gap").is_not_null() & pl.col("gap").is_finite())
        .group_by("item")
        .agg(pl.col("gap").median())
    )
    shoppers = (
        table.group_by("shopper", "item").len().group_by("item").agg(again=(pl.col("len") > 1).sum(), all=pl.len())
    )
    # One shopper of a rare item says little: a few who did not come back are added to each item.
    share = shoppers["again"].to_numpy() / (shoppers["all"].to_numpy() + _UNKNOWN_SHOPPERS)
    measured[shoppers["item"].to_numpy(), 0] = share
    measured[gaps["item"].to_numpy(), 1] = np.log1p(np.maximum(gaps["gap"].to_numpy(), 0.0))
    return measured
