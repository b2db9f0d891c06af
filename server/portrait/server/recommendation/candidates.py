"""Candidate generation: selects the items that the ranker scores for a shopper, and computes their features."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from portrait.features.candidates.candidate_features import (
    ASSOCIATED_CANDIDATES,
    COLD_CANDIDATES,
    FAMILIAR_CANDIDATES,
    NEAREST_CANDIDATES,
    compute_candidate_features,
    summarise_interactions,
)
from portrait.features.events import DEFAULT_CATALOGUE, Event
from portrait.server.catalogue.candidate_set import CandidateSet
from portrait.server.catalogue.catalogue import Selection, Snapshot
from portrait.server.catalogue.filters import Filter
from portrait.server.inference.shoppers import Shopper
from portrait.server.recommendation.diversity import add_other_categories


def generate_candidates(
    catalogue: Snapshot,
    shopper: Shopper,
    k: int,
    wanted: Filter,
    left_out: Sequence[Event],
    max_per_category: int = 0,
) -> CandidateSet:
    """Collect candidates from four sources.

    These are the items and the cold items nearest to the profile and to the query, the items associated with the
    history, and the items of the history. Popular items replace the nearest ones if there is neither profile nor query.

    Args:
        catalogue: the items to choose from.
        shopper: the encoded shopper.
        k: minimum number of candidates, if so many pass the filter.
        wanted: the filter that candidates must pass.
        left_out: events whose items are excluded.
        max_per_category: maximum items of one category path in the response; 0 for no limit.
    """
    unwanted = catalogue.rows_of(left_out)
    allowed = catalogue.select(wanted, unwanted)
    cold_items = catalogue.select(wanted, unwanted, cold_only=True)
    count = max(NEAREST_CANDIDATES, k)
    vectors = [each for each in (shopper.profile, shopper.query) if each.any()]
    found = []
    for vector in vectors:
        found += catalogue.nearest(vector, [(count, allowed), (COLD_CANDIDATES, cold_items)])
    if not vectors:
        found.append(catalogue.popular(count, allowed))
    found.append(_find_associated(catalogue, shopper, allowed))
    familiar = catalogue.rows_of(shopper.events)
    found.append(familiar[catalogue.holds(allowed, familiar)][:FAMILIAR_CANDIDATES])
    rows = np.unique(np.concatenate(found))
    if max_per_category:
        rows = np.sort(add_other_categories(catalogue, rows, allowed, vectors, k, max_per_category))
    return catalogue.take(rows)


def _find_associated(catalogue: Snapshot, shopper: Shopper, allowed: Selection) -> NDArray[np.int64]:
    """Rows of the catalogue that the history leads to, at most `ASSOCIATED_CANDIDATES`."""
    if catalogue.name != DEFAULT_CATALOGUE:
        return np.empty(0, dtype=np.int64)
    rows = catalogue.current_rows(shopper.associated.rows_by_score())
    return rows[catalogue.holds(allowed, rows)][:ASSOCIATED_CANDIDATES]


def compute_features(chosen: CandidateSet, shopper: Shopper, catalogue: str, as_of: datetime) -> NDArray[np.float32]:
    """Compute the features of candidates, `[candidates, len(CANDIDATE_FEATURES)]`.

    Args:
        chosen: the candidates.
        shopper: the encoded shopper.
        catalogue: the catalogue of the candidates; the same id in another catalogue is another item.
        as_of: the moment of the request.
    """
    remembered = summarise_interactions(
        [event.item_id if event.targets_catalogue(catalogue) else None for event in shopper.events],
        shopper.times.tolist(),
        shopper.percentiles,
    )
    return compute_candidate_features(
        chosen.item_ids,
        chosen.popularity,
        chosen.is_cold,
        chosen.percentile,
        chosen.neighbours.average_associations(shopper.associated),
        remembered,
        as_of.timestamp(),
        has_query=bool(shopper.query.any()),
    )
