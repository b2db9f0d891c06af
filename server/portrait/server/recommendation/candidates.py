"""Candidate generation: selects the items that the ranker scores for a shopper, and computes their features."""

from collections.abc import Iterator, Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from portrait.features.candidates.candidate_features import CandidateColumns, compute_candidate_features
from portrait.features.candidates.history_summary import NO_GROUP, HistorySummary, summarise_history
from portrait.features.candidates.sources import (
    COLD_CANDIDATES,
    FAMILIAR_CANDIDATES,
    NEAREST_CANDIDATES,
    POPULAR_CANDIDATES,
    RELATED_CANDIDATES,
    RELATED_CANDIDATES_OF_SEARCH,
    WORD_CANDIDATES,
    order_by_habit,
)
from portrait.features.events import DEFAULT_CATALOGUE, Event
from portrait.server.catalogue.candidate_set import CandidateSet
from portrait.server.catalogue.filters import Filter
from portrait.server.catalogue.snapshot import Selection, Snapshot
from portrait.server.inference.shoppers import Shopper
from portrait.server.recommendation.diversity import add_other_categories
from portrait.server.recommendation.rule_plan import RulePlan


def summarise_shopper(shopper: Shopper, catalogue: Snapshot, as_of: datetime) -> HistorySummary:
    """Summarise what a shopper did with the items of a catalogue.

    Args:
        shopper: the encoded shopper.
        catalogue: gives categories and brands; the same id in another catalogue is another item.
        as_of: the moment of the request.
    """
    items = np.full(len(shopper.events), NO_GROUP, dtype=np.int64)
    named = {
        place: event.item_id
        for place, event in enumerate(shopper.events)
        if event.item_id is not None and event.targets_catalogue(catalogue.name)
    }
    items[list(named)] = catalogue.number_items(list(named.values()))
    categories, brands, known = np.full_like(items, NO_GROUP), np.full_like(items, NO_GROUP), items >= 0
    categories[known], brands[known] = catalogue.categories(items[known]), catalogue.brands(items[known])
    return summarise_history(
        items,
        categories,
        brands,
        shopper.columns.type_code,
        shopper.columns.time,
        shopper.columns.price_percentile,
        as_of.timestamp(),
    )


def generate_candidates(
    catalogue: Snapshot,
    shopper: Shopper,
    history: HistorySummary,
    k: int,
    wanted: Filter,
    left_out: Sequence[Event],
    max_per_category: int = 0,
    plan: RulePlan | None = None,
    *,
    search_nearest: bool = True,
) -> CandidateSet:
    """Collect candidates from all sources.

    These are the items and the cold items nearest to the profile and to the query, those that hold the query's words,
    the items that the history leads to, the items of the history, and popular ones. Popular items replace the nearest
    ones if there is neither profile nor query.

    Args:
        catalogue: the items to choose from.
        shopper: the encoded shopper.
        history: what the shopper did with the items of the catalogue.
        k: minimum number of candidates, if so many pass the filter.
        wanted: the filter that candidates must pass.
        left_out: events whose items are excluded.
        max_per_category: maximum items of one category path in the response; 0 for no limit.
        plan: the shop's rules for the request; None without any.
        search_nearest: whether to search the nearest items; else popular ones replace them.

    Raises:
        Unavailable: the nearest items are searched in another process, which does not answer.
    """
    allowed = select_allowed(catalogue, wanted, left_out, plan)
    cold_items = catalogue.select_cold(allowed)
    count = max(NEAREST_CANDIDATES, k)
    vectors = [each for each in (shopper.profile, shopper.query) if each.any()]
    found = []
    for vector in vectors if search_nearest else ():
        found += catalogue.nearest(vector, [(count, allowed), (COLD_CANDIDATES, cold_items)])
    if not found:
        found.append(catalogue.popular(count, allowed))
    if shopper.query_sentence is not None:
        found.append(catalogue.nearest_sentences(shopper.query_sentence, count, allowed))
    if shopper.query_words:
        found.append(catalogue.matching(shopper.query_words, max(WORD_CANDIDATES, k), allowed))
    # Behaviour says nothing of cold items: training gives them to the ranker by their vectors alone.
    known_items = allowed.without(cold_items)
    found.append(catalogue.popular(POPULAR_CANDIDATES, known_items))
    found += _find_related(catalogue, shopper, known_items)
    found.append(_find_familiar(catalogue, history, allowed))
    if plan:
        found.append(plan.pinned[catalogue.holds(allowed, plan.pinned)])
    rows = np.unique(np.concatenate(found))
    if max_per_category:
        rows = np.sort(add_other_categories(catalogue, rows, allowed, vectors, k, max_per_category))
    return catalogue.take(rows)


def select_allowed(catalogue: Snapshot, wanted: Filter, left_out: Sequence[Event], plan: RulePlan | None) -> Selection:
    """Select the rows that may be shown.

    Args:
        catalogue: the items to choose from.
        wanted: the filter that they must pass.
        left_out: events whose items are excluded.
        plan: the shop's rules for the request; None without any.
    """
    unwanted = catalogue.rows_of(left_out)
    if plan:
        unwanted = np.concatenate([unwanted, plan.unwanted])
    allowed = catalogue.select(wanted, unwanted)
    return plan.bar(allowed) if plan else allowed


def _find_related(catalogue: Snapshot, shopper: Shopper, allowed: Selection) -> Iterator[NDArray[np.int64]]:
    """Yield the rows of the catalogue that the history leads to, best first, by relation."""
    if catalogue.name != DEFAULT_CATALOGUE:
        return
    counts = RELATED_CANDIDATES_OF_SEARCH if shopper.query_words else RELATED_CANDIDATES
    for name, count in counts.items():
        yield _find_first(catalogue, shopper.related.of(name).rows_by_score(), allowed, count)


def _find_first(
    catalogue: Snapshot, best_first: NDArray[np.int64], allowed: Selection, count: int
) -> NDArray[np.int64]:
    """Find the first `count` rows of the release that may be shown: most may, so the first few are tried first."""
    for tried in (best_first[: 2 * count], best_first):
        rows = catalogue.current_rows(tried)
        found = rows[catalogue.holds(allowed, rows)]
        if len(found) >= count or len(tried) == len(best_first):
            break
    return found[:count]


def _find_familiar(catalogue: Snapshot, history: HistorySummary, allowed: Selection) -> NDArray[np.int64]:
    """Find the rows of the items of the history, the most usual first."""
    numbers = order_by_habit(history.items)
    familiar = numbers[numbers >= 0]  # the catalogue does not hold the others
    return familiar[catalogue.holds(allowed, familiar)][:FAMILIAR_CANDIDATES]


def compute_features(chosen: CandidateSet, shopper: Shopper, history: HistorySummary) -> NDArray[np.float32]:
    """Compute the features of candidates, `[candidates, len(CANDIDATE_FEATURES)]`.

    Args:
        chosen: the candidates.
        shopper: the encoded shopper.
        history: what the shopper did with the items of the candidates' catalogue.
    """
    columns = CandidateColumns(
        chosen.numbers,
        chosen.categories,
        chosen.brands,
        chosen.statistics,
        chosen.is_cold,
        chosen.percentile,
        chosen.neighbours,
        chosen.read_words() if shopper.query_words else None,
    )
    return compute_candidate_features(columns, history, shopper.related, shopper.query_words)
