"""Candidates: what of a catalogue is worth ranking for a shopper, and what the ranker is told of it."""

from collections.abc import Sequence
from datetime import datetime
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from portrait.features.candidates import ASSOCIATED, FAMILIAR, NEWEST, RETRIEVED, candidate_features, memory
from portrait.features.events import DEFAULT_CATALOGUE, Event
from portrait.server.catalogue import Filter, Snapshot
from portrait.server.described import CandidateSet
from portrait.server.inference.shoppers import Shopper
from portrait.server.retrieval.exact import best


def retrieve(catalogue: Snapshot, shopper: Shopper, k: int, wanted: Filter, left_out: Sequence[Event]) -> CandidateSet:
    """The nearest to profile and query, among all and among newcomers, what the history leads to, and what is known.

    Where neither profile nor query is known, the popular ones.

    Args:
        catalogue: what there is.
        shopper: whom it is for.
        k: at least this many, if so many pass.
        wanted: what may be shown.
        left_out: events whose items may not.
    """
    allowed = catalogue.allowed(wanted)
    allowed[_rows(catalogue, left_out)] = False
    count = max(RETRIEVED, k)
    wishes = [vector for vector in (shopper.profile, shopper.query) if vector.any()]
    found = []
    for scores in map(catalogue.scores, wishes):
        found += [best(scores, count, allowed), best(scores, NEWEST, allowed & catalogue.newcomer)]
    if not wishes:
        found.append(best(catalogue.popularity, count, allowed))
    found.append(_associated(catalogue, shopper, allowed))
    familiar = _rows(catalogue, shopper.events)
    found.append(familiar[allowed[familiar]][:FAMILIAR])
    return catalogue.take(np.unique(np.concatenate(found)))


def _associated(catalogue: Snapshot, shopper: Shopper, allowed: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Rows of the catalogue that the history leads to, at most `ASSOCIATED`."""
    if catalogue.name != DEFAULT_CATALOGUE:
        return np.empty(0, dtype=np.int64)
    best = (catalogue.row(shopper.release.items[row].item_id) for row in shopper.associated.best_first().tolist())
    rows = islice((row for row in best if row is not None and allowed[row]), ASSOCIATED)
    return np.fromiter(rows, dtype=np.int64)


def _rows(catalogue: Snapshot, events: Sequence[Event]) -> NDArray[np.int64]:
    """Rows of the events' items, each once, the latest first."""
    rows = dict.fromkeys(catalogue.row_of(event) for event in reversed(events))
    return np.array([row for row in rows if row is not None], dtype=np.int64)


def features(chosen: CandidateSet, shopper: Shopper, catalogue: str, as_of: datetime) -> NDArray[np.float32]:
    """`[candidates, len(CANDIDATE_FEATURES)]`.

    Args:
        chosen: the candidates.
        shopper: whom they are for.
        catalogue: the one they are of; a like id of another catalogue is another item.
        as_of: the moment of the request.
    """
    remembered = memory(
        [event.item_id if event.is_of(catalogue) else None for event in shopper.events],
        shopper.times.tolist(),
        shopper.percentiles,
    )
    item_ids = [item.item_id for item in chosen.items]
    return candidate_features(
        item_ids,
        chosen.popularity,
        chosen.newcomer,
        chosen.percentile,
        chosen.lenders.associated(shopper.associated),
        remembered,
        as_of.timestamp(),
        has_query=bool(shopper.query.any()),
    )
