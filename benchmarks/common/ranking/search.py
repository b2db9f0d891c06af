"""The protocol of the search benchmark: clicks right after a search, ranked with and without the shopper."""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from portrait.training.dataset.corpus import NO_ITEM, Corpus
from portrait.training.dataset.splits import Holdout
from portrait.training.metrics import hit_rate, reciprocal_rank

MAX_RANK = 100
"""Maximum rank: a target further down counts as missed."""
# With one relevant item the average precision at 5 is the reciprocal rank within the first 5.
METRICS = {
    "MAP@5": lambda ranks: reciprocal_rank(ranks, 5),
    "HR@5": lambda ranks: hit_rate(ranks, 5),
    "MRR": lambda ranks: reciprocal_rank(ranks, MAX_RANK),
}
_DRAWS = 2_000


@dataclasses.dataclass(frozen=True)
class SearchClicks:
    """Clicks right after a search of the same shopper, in event order."""

    clicks: NDArray[np.int64]
    searches: NDArray[np.int64]
    """`[clicks]`: the event right before each click."""
    first: NDArray[np.int64]
    """`[clicks]`: the shopper's first event."""

    @property
    def has_history(self) -> NDArray[np.bool_]:
        """`[clicks]`: whether the shopper did anything before the search."""
        return self.searches > self.first


def find_search_clicks(corpus: Corpus, chosen: NDArray[np.bool_]) -> SearchClicks:
    """Find the clicks right after a search among the chosen events, `[events]`."""
    clicks = np.flatnonzero(chosen & (corpus.event_item != NO_ITEM))
    searches, first = corpus.context_end[clicks] - 1, corpus.shopper_start[clicks]
    led = (searches >= first) & (corpus.event_item[searches] == NO_ITEM)
    return SearchClicks(clicks[led], searches[led], first[led])


def find_test_clicks(corpus: Corpus, holdout: Holdout) -> SearchClicks:
    """Find every click of the test period right after a search of that period."""
    begin = corpus.columns.time[holdout.test].min()
    found = find_search_clicks(corpus, corpus.columns.time >= begin)
    inside = corpus.columns.time[found.searches] >= begin
    return SearchClicks(found.clicks[inside], found.searches[inside], found.first[inside])


def remove_shoppers(corpus: Corpus, targets: SearchClicks) -> tuple[Corpus, NDArray[np.int64]]:
    """Give each search and click to a shopper without other events; return the corpus and the rows of the clicks."""
    events = np.stack([targets.searches, targets.clicks], 1).ravel()
    alone = dataclasses.replace(
        corpus,
        shopper_ids=[str(row) for row in range(len(targets.clicks))],
        starts=2 * np.arange(len(targets.clicks) + 1),
        columns=corpus.columns.take(events),
        event_item=corpus.event_item[events],
        event_text=corpus.event_text[events],
        event_search=np.full(len(events), -1),
    )
    return alone, 2 * np.arange(len(targets.clicks)) + 1


def bootstrap_mean(values: NDArray[np.float64], shoppers: NDArray[np.int64]) -> dict[str, Any]:
    """Return a mean over clicks with its 95% bootstrap interval over shoppers, whose clicks are not independent.

    Args:
        values: `[clicks]`.
        shoppers: `[clicks]`, whose each is.
    """
    _, row = np.unique(shoppers, return_inverse=True)
    sums, counts = np.bincount(row, values), np.bincount(row)
    random = np.random.default_rng(0)
    drawn = [random.integers(0, len(sums), len(sums)) for _ in range(_DRAWS)]
    low, high = np.quantile([sums[rows].sum() / counts[rows].sum() for rows in drawn], [0.025, 0.975])
    return {"value": float(values.mean()), "interval": (float(low), float(high))}
