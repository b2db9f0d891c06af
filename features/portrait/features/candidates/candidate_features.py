"""Candidates as arrays: what the ranker sees of each candidate beside its embedding."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from portrait.features.candidates.cold_start import ColdStartNeighbours
from portrait.features.candidates.history_summary import COUNTS, GroupCounts, HistorySummary
from portrait.features.candidates.item_statistics import ITEM_STATISTICS
from portrait.features.candidates.relations import RELATIONS, RelatedItems
from portrait.features.search.item_words import ItemWords
from portrait.features.search.word_index import QUERY_MATCHES, QueryWords, match_words

_GROUP_COUNTS = ("moment_habit_0.6", "moment_habit_0.95", "habit_14d", "habit_180d")
"""Counts that are read of categories and brands; of items, all are."""
CANDIDATE_FEATURES = (
    *ITEM_STATISTICS, "cold_item",
    "seen", *(f"item_{name}" for name in COUNTS), "item_share", "item_recency", "item_moments", "overdue",
    "overdue_known",
    *(f"{group}_{name}" for group in ("category", "brand") for name in (*_GROUP_COUNTS, "share", "recency", "moments")),
    "price_distance", "price_known",
    *RELATIONS,
    "events", "moments", "repeats", "idle_days", "has_query",
    *QUERY_MATCHES,
)  # fmt: skip
"""The columns of `compute_candidate_features`; each is 0 where nothing is known. Counts and scores are on a logarithmic
scale, shares are of the decayed history, recencies are 1 for now and fall to 0."""

RANKER_INPUTS = (
    "profile", "query_embedding", "profile_similarity", "query_similarity", "candidate_features", "mask",
)  # fmt: skip
"""Inputs of the ranker's graph: vectors of the shopper and of what they ask for, and of each candidate the inner
products of its vector with both, its features, and 1, or 0 where it is padding."""

_SCORE_UNITS = np.array([{"title": 0.3}.get(name, 0.03) for name in RELATIONS], dtype=np.float32)
"""`[relations]`: scores are read on a logarithmic scale that begins here: profiles are compared by log-odds too."""
_SHARE = COUNTS.index("moment_habit_0.85")
_GROUP_COLUMNS = [COUNTS.index(name) for name in _GROUP_COUNTS]
_REPEAT_DAYS = ITEM_STATISTICS.index("repeat_days")
_MAX_OVERDUE = 3.0


@dataclass(frozen=True, slots=True)
class CandidateColumns:
    """Columns of some candidates that are the same whoever asks; all of one length."""

    items: NDArray[np.int64]
    """`[candidates]`: numbers of the items, as in the history."""
    categories: NDArray[np.int64]
    """`[candidates]`: numbers of their categories, `NO_GROUP` without one."""
    brands: NDArray[np.int64]
    """`[candidates]`: numbers of their brands, `NO_GROUP` without one."""
    statistics: NDArray[np.float32]
    """`[candidates, len(ITEM_STATISTICS)]`; of a cold item, its neighbours' mean."""
    is_cold: NDArray[np.bool_]
    """`[candidates]`, whether training had no event of the item."""
    percentiles: NDArray[np.float64]
    """`[candidates]`, price percentile of each candidate, NaN if unknown."""
    neighbours: ColdStartNeighbours
    """Neighbours of each candidate; a known item is its own."""
    words: ItemWords | None
    """Words of each candidate, which a query's are compared with; None where there is no query."""


def compute_candidate_features(
    candidates: CandidateColumns, history: HistorySummary, related: RelatedItems, query: QueryWords | None
) -> NDArray[np.float32]:
    """`[candidates, len(CANDIDATE_FEATURES)]`.

    Args:
        candidates: the candidates.
        history: the shopper's latest events as of the moment of the request.
        related: where they lead by the release's relations; of a cold item, its neighbours' mean counts.
        query: words of what the shopper asks for; None without a query.
    """
    count = len(candidates.items)
    rows = history.items.find_rows(candidates.items)
    distance, distance_known = _split_unknown(np.abs(candidates.percentiles - history.price_percentile))
    idle = 0.0 if np.isnan(history.idle_days) else np.log1p(history.idle_days)
    context = (np.log1p(history.events), np.log1p(history.moments), history.repeats, idle, query is not None)
    columns = [
        candidates.statistics,
        candidates.is_cold[:, None],
        _describe_items(history.items)[rows],
        _describe_overdue(history.items, rows, candidates.statistics[:, _REPEAT_DAYS]),
        _describe_groups(history.categories)[history.categories.find_rows(candidates.categories)],
        _describe_groups(history.brands)[history.brands.find_rows(candidates.brands)],
        distance[:, None],
        distance_known[:, None],
        np.log1p(related.average_scores(candidates.neighbours) / _SCORE_UNITS),
        np.broadcast_to(np.array(context, dtype=np.float32), (count, len(context))),
        match_words(candidates.words, query)
        if query and candidates.words is not None
        else np.zeros((count, len(QUERY_MATCHES)), dtype=np.float32),
    ]
    return np.concatenate(columns, axis=1, dtype=np.float32, casting="unsafe")


def _describe_items(items: GroupCounts) -> NDArray[np.float32]:
    """`[items + 1, …]`: whether each was seen, its counts, and its last event."""
    seen = np.arange(len(items.moments)) < len(items.numbers)
    return np.concatenate([seen[:, None], np.log1p(items.counts), _describe_last(items)], axis=1, dtype=np.float32)


def _describe_groups(groups: GroupCounts) -> NDArray[np.float32]:
    """`[groups + 1, …]`: some counts of each, and its last event."""
    counts = np.log1p(groups.counts[:, _GROUP_COLUMNS])
    return np.concatenate([counts, _describe_last(groups)], axis=1, dtype=np.float32)


def _split_unknown(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Split values into numbers, 0 where one is NaN, and whether each is known; `values` is overwritten."""
    known = ~np.isnan(values)
    values[~known] = 0.0
    return values, known


def _describe_last(groups: GroupCounts) -> NDArray[np.float64]:
    """`[groups + 1, 3]`: share of the decayed history, recency by days (0 if unknown) and by moments."""
    share = groups.counts[:, _SHARE]
    total = share.sum()
    recency, _ = _split_unknown(1.0 / (1.0 + np.log1p(groups.days)))
    return np.stack([share / total if total else share, recency, 1.0 / (1.0 + groups.moments)], axis=1)


def _describe_overdue(
    items: GroupCounts, rows: NDArray[np.int64], repeat_days: NDArray[np.float32]
) -> NDArray[np.float32]:
    """`[rows, 2]`: log of the days since an item's latest event over its usual gap, and whether both are known.

    The gap is the shopper's own, or else that of all shoppers.
    """
    described = np.zeros((len(rows), 2), dtype=np.float32)
    seen = np.flatnonzero(rows < len(items.numbers))  # few of the candidates
    own = items.gap_days[rows[seen]]
    gap = np.where(np.isnan(own), np.expm1(repeat_days[seen]), own)
    known = gap > 0
    ratio = np.log1p(items.days[rows[seen][known]]) - np.log1p(gap[known])
    overdue, is_known = _split_unknown(np.clip(ratio, -_MAX_OVERDUE, _MAX_OVERDUE))
    described[seen[known], 0], described[seen[known], 1] = overdue, is_known
    return described
