"""Rankings without the models: by associations, by what is remembered of the shopper, and by popularity."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from portrait.features.candidates.history_summary import HistorySummary
from portrait.features.candidates.item_statistics import POPULARITY
from portrait.features.candidates.relations import ASSOCIATION, RELATIONS
from portrait.features.candidates.sources import NEAREST_CANDIDATES
from portrait.features.events import Event
from portrait.features.search.word_index import QUERY_MATCHES, match_words
from portrait.server.catalogue.candidate_set import CandidateSet
from portrait.server.catalogue.filters import Filter
from portrait.server.catalogue.snapshot import Snapshot
from portrait.server.inference.shoppers import Shopper
from portrait.server.recommendation.candidates import generate_candidates, select_allowed
from portrait.server.recommendation.rule_plan import RulePlan

_SIMILARITY_WEIGHT, _POPULARITY_WEIGHT, _CATEGORY_WEIGHT = 0.1, 0.01, 4.0


def generate_fallback_candidates(
    catalogue: Snapshot,
    shopper: Shopper,
    history: HistorySummary,
    k: int,
    wanted: Filter,
    left_out: Sequence[Event],
    max_per_category: int = 0,
    plan: RulePlan | None = None,
) -> CandidateSet:
    """Generate candidates: those retrieved for a shopper, and popular items overall and in the history's categories.

    Args:
        catalogue: what there is.
        shopper: profile and query as far as they are known.
        history: what the shopper did with the items of the catalogue.
        k: at least this many, if so many pass.
        wanted: what may be shown.
        left_out: events whose items may not.
        max_per_category: how many of them may be of one category; 0 for any number.
        plan: the shop's rules for the request; None without any.
    """
    # A call of another process would hold the event loop up, and the fallback may be needed because it does not answer.
    retrieved = generate_candidates(
        catalogue,
        shopper,
        history,
        k,
        wanted,
        left_out,
        max_per_category,
        plan,
        search_nearest=not catalogue.is_search_remote,
    )
    allowed = select_allowed(catalogue, wanted, left_out, plan)
    found = [retrieved.numbers]
    liked = list(compute_category_shares(catalogue, shopper.events))
    count = max(NEAREST_CANDIDATES, k)
    found.append(catalogue.popular(count, allowed))
    if liked:
        within = allowed.within(catalogue.select(Filter(categories=liked), np.empty(0, dtype=np.int64)))
        found.append(catalogue.popular(count, within))
    return catalogue.take(np.unique(np.concatenate(found)))


def compute_fallback_scores(chosen: CandidateSet, catalogue: Snapshot, shopper: Shopper) -> NDArray[np.float32]:
    """`[candidates]`: the chance of being next by the associations, then nearness, then popularity.

    Popularity counts more in categories that the shopper looked at. With a query, nearness to it and the share of its
    words that an item holds go before all else.
    """
    liked = compute_category_shares(catalogue, shopper.events)
    share = np.array([liked.get(item.category_path, 0.0) for item in chosen.items], dtype=np.float32)
    score = shopper.related.average_scores(chosen.neighbours)[:, RELATIONS.index(ASSOCIATION)]
    score += _POPULARITY_WEIGHT * chosen.statistics[:, POPULARITY] * (1 + _CATEGORY_WEIGHT * share)
    score += _SIMILARITY_WEIGHT * (chosen.vectors @ shopper.profile)
    if shopper.query.any():
        score += chosen.vectors @ shopper.query
    if shopper.query_words:
        score += match_words(chosen.read_words(), shopper.query_words)[:, QUERY_MATCHES.index("query_words")]
    return np.asarray(score, dtype=np.float32)


def compute_category_shares(catalogue: Snapshot, events: Sequence[Event]) -> dict[tuple[str, ...], float]:
    """Categories of the items of a history, each with its share of the events."""
    paths = [item.category_path for event in events if (item := catalogue.item_of(event)) is not None]
    return {path: count / len(paths) for path, count in Counter(paths).items() if path}
