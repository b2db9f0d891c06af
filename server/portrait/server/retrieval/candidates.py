"""Candidates: what of a catalogue is worth ranking for a shopper, and what the ranker is told of it."""

import math
from collections.abc import Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from portrait.features.candidates import FAMILIAR, RETRIEVED, candidate_features, memory
from portrait.features.events import Event
from portrait.server.catalogue import CandidateSet, Filter, Snapshot
from portrait.server.inference.shoppers import Shopper
from portrait.server.retrieval.exact import best


def retrieve(catalogue: Snapshot, shopper: Shopper, k: int, wanted: Filter, left_out: Sequence[Event]) -> CandidateSet:
    """The nearest to profile and query, and what the shopper knows; the popular ones where neither is known.

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
    found = [best(catalogue.scores(vector), count, allowed) for vector in wishes]
    if not wishes:
        found.append(best(catalogue.popularity, count, allowed))
    familiar = _rows(catalogue, shopper.events)
    found.append(familiar[allowed[familiar]][:FAMILIAR])
    return catalogue.take(np.unique(np.concatenate(found)))


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
        [event.time.timestamp() if event.time else math.nan for event in shopper.events],
        shopper.percentiles,
    )
    return candidate_features(
        [item.item_id for item in chosen.items],
        chosen.popularity,
        chosen.percentile,
        remembered,
        as_of.timestamp(),
        has_query=bool(shopper.query.any()),
    )
