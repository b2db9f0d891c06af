"""Statistics of items over the events that a run learns from, also as of the moment of each target."""

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from portrait.features.candidates.item_statistics import (
    ITEM_STATISTICS,
    RECENT_HALF_LIVES_DAYS,
    RECENT_POPULARITY,
    scale_popularity,
    scale_recent_popularity,
)
from portrait.features.histories.history_arrays import SECONDS_PER_DAY
from portrait.features.search.largest import find_largest
from portrait.training.dataset.corpus import Corpus

_RECENT = slice(1, 1 + len(RECENT_HALF_LIVES_DAYS))
_RECENT_POPULARITY = RECENT_POPULARITY - _RECENT.start
"""Half-life by which the most popular items are found."""
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
        self._counts = np.zeros((len(self._rates), len(corpus.items)))
        self._total = np.zeros(len(self._rates))
        self._done, self._base = 0, float(self._day[0]) if len(self._day) else 0.0

    def advance(self, time: float) -> None:
        """Count all events earlier than a time, in seconds since 1970; times never fall."""
        day = time / SECONDS_PER_DAY
        span = _RENEW * min(RECENT_HALF_LIVES_DAYS)
        while self._done < len(self._day) and (next_day := float(self._day[self._done])) < day:
            if next_day - self._base >= span:
                self._move_base(next_day)
            end = int(np.searchsorted(self._day, min(day, self._base + span)))
            part = slice(self._done, end)
            # Only shares are read, so that a later event may grow instead of all earlier ones fading.
            added = np.exp(self._rates[:, None] * (self._day[part] - self._base))
            for counts, weights in zip(self._counts, added, strict=True):
                np.add.at(counts, self._item[part], weights)
            self._total += added.sum(1)
            self._done = end

    def _move_base(self, day: float) -> None:
        """Express the counts as of a later day."""
        fade = np.exp(-self._rates * (day - self._base))
        self._counts *= fade[:, None]
        self._total *= fade
        self._base = day

    def scale(self, items: NDArray[np.integer[Any]] | slice = slice(None)) -> NDArray[np.float32]:
        """`[…, half-lives]`: the popularity of late of `[…]` items, scaled."""
        counts = np.stack([counts[items] for counts in self._counts], axis=-1)
        return scale_recent_popularity(counts, self._total, self._counts.shape[1])

    def find_popular(self, count: int) -> NDArray[np.int64]:
        """Find the items that are most popular of late, the most popular first; `count` at most."""
        counts = self._counts[_RECENT_POPULARITY]
        best = find_largest(counts[None], min(count, len(counts)))[0]
        return best[np.argsort(-counts[best], kind="stable")]


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
