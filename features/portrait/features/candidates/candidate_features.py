"""Candidates as arrays: what the ranker sees of each candidate beside its embedding."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from portrait.features.histories.history_arrays import MAX_REMEMBERED_EVENTS, SECONDS_PER_DAY

NEAREST_CANDIDATES = 200
"""The ranker orders this many of the nearest items, at least."""
ASSOCIATED_CANDIDATES = 100
"""And this many of the items that the latest events lead to by the release's associations."""
COLD_CANDIDATES = 50
"""And this many of the nearest items that have no events: among all, those that have some crowd them out."""
FAMILIAR_CANDIDATES = 64
"""And this many of the items that the shopper knows, the latest first, unless they are left out."""

CANDIDATE_FEATURES = (
    "popularity", "cold_item",
    "seen", "seen_count", "seen_habit", "seen_recency",
    "price_distance", "price_known",
    "association",
    "has_query",
)  # fmt: skip
"""The columns of `compute_candidate_features`; each is 0 where nothing is known."""

_ASSOCIATION_UNIT = 0.03
"""Scores of associations are read on a logarithmic scale that begins here: profiles are compared by log-odds too."""


_HABIT_DECAY = 0.98
"""The best of four decays tried, on the validation of a log of purchases of many years."""


@dataclass(frozen=True)
class InteractionSummary:
    """Summary of a shopper's latest events by single items and prices."""

    counts: dict[str, int]
    """Occurrences of each item among the latest `MAX_REMEMBERED_EVENTS` events."""
    decayed_counts: dict[str, float]
    """The same, each event counting `_HABIT_DECAY` of one an event later."""
    last_times: dict[str, float]
    """Seconds since 1970 of each item's latest event; NaN if unknown."""
    price_percentile: float
    """Median of the price percentiles of the events; NaN if none is known."""


def summarise_interactions(
    item_ids: Sequence[str | None], times: Sequence[float], percentiles: NDArray[np.float64]
) -> InteractionSummary:
    """Remember a history, oldest first.

    Args:
        item_ids: item of each event, None for a search.
        times: seconds since 1970 of each event, NaN if unknown.
        percentiles: `[events]`, price percentile of each event, NaN if unknown.
    """
    counts: dict[str, int] = {}
    habits: dict[str, float] = {}
    last_times: dict[str, float] = {}
    latest = slice(-MAX_REMEMBERED_EVENTS, None)
    remembered = item_ids[latest]
    for place, (item_id, time) in enumerate(zip(remembered, times[latest], strict=True), start=1):
        if item_id is not None:
            counts[item_id] = counts.get(item_id, 0) + 1
            habits[item_id] = habits.get(item_id, 0.0) + _HABIT_DECAY ** (len(remembered) - place)
            last_times[item_id] = time
    known = percentiles[latest]
    known = known[~np.isnan(known)]
    return InteractionSummary(counts, habits, last_times, float(np.median(known)) if len(known) else float("nan"))


def compute_candidate_features(
    item_ids: Sequence[str],
    popularity: NDArray[np.float32],
    is_cold: NDArray[np.bool_],
    percentiles: NDArray[np.float64],
    associated: NDArray[np.float32],
    remembered: InteractionSummary,
    as_of: float,
    has_query: bool,
) -> NDArray[np.float32]:
    """`[candidates, len(CANDIDATE_FEATURES)]`.

    Args:
        item_ids: the candidates.
        popularity: `[candidates]`, 0 to 1, as `scale_popularity` gives it; of a cold item, its neighbours' mean.
        is_cold: `[candidates]`, whether training had no event of the item.
        percentiles: `[candidates]`, price percentile of each candidate, NaN if unknown.
        associated: `[candidates]`, what the release's associations give each candidate, 0 if nothing; of a cold item,
            its neighbours' mean.
        remembered: the shopper's latest events.
        as_of: the moment of the request, seconds since 1970; NaN if times mean nothing.
        has_query: whether the shopper asks for something.
    """
    features = np.zeros((len(item_ids), len(CANDIDATE_FEATURES)), dtype=np.float32)
    features[:, 0] = popularity
    features[:, 1] = is_cold
    for row, item_id in enumerate(item_ids):
        count = remembered.counts.get(item_id, 0)
        if count:
            days = (as_of - remembered.last_times[item_id]) / SECONDS_PER_DAY
            features[row, 2] = 1.0
            features[row, 3] = np.log(count)
            features[row, 4] = np.log1p(remembered.decayed_counts[item_id])
            features[row, 5] = 0.0 if np.isnan(days) else 1.0 / (1.0 + np.log1p(max(days, 0.0)))
    distance = np.abs(percentiles - remembered.price_percentile)
    features[:, 6] = np.nan_to_num(distance, nan=0.0)
    features[:, 7] = ~np.isnan(distance)
    features[:, 8] = np.log1p(associated / _ASSOCIATION_UNIT)
    features[:, 9] = has_query
    return features


def scale_popularity(counts: NDArray[np.float64]) -> NDArray[np.float32]:
    """Counts of interactions, `[items]`, on a logarithmic scale: 0 for none, 1 for the most."""
    most = float(counts.max(initial=0.0))
    return (np.log1p(counts) / np.log1p(most) if most else np.zeros_like(counts)).astype(np.float32)
