"""Sources of shelves: for each kind of shelf, the items that belong there, the best first, with their evidence."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from portrait.features.candidates.item_pairs import PairKind
from portrait.features.candidates.item_statistics import ITEM_STATISTICS, RECENT_POPULARITY
from portrait.features.events import DEFAULT_CATALOGUE
from portrait.server.recommendation.shelf_evidence import (
    PairEvidence,
    ShelfEvidence,
    SimilarityEvidence,
    TrendEvidence,
)
from portrait.server.recommendation.shelf_history import find_bought, find_viewed
from portrait.server.recommendation.shelf_inputs import ShelfEntry, ShelfInputs
from portrait.server.rules.file import Placement

_EARLIER_POPULARITY = ITEM_STATISTICS.index("popularity_60d")


def find_complements(inputs: ShelfInputs) -> list[ShelfEntry]:
    """Find what is bought together with the items of the request, the surest first."""
    return _find_pairs(inputs, PairKind.COMPLEMENT)


def find_similar(inputs: ShelfInputs) -> list[ShelfEntry]:
    """Find substitutes of the items of the request, then those nearest to them that are no complements."""
    substitutes = _find_pairs(inputs, PairKind.SUBSTITUTE)
    apart = [entry.row for entry in (*substitutes, *_find_pairs(inputs, PairKind.COMPLEMENT))]
    near = np.setdiff1d(_find_nearest(inputs), np.array(apart, dtype=np.int64)).tolist()
    found = [*substitutes, *(ShelfEntry(row, ShelfEvidence()) for row in near)]
    similarities = _measure_similarity(inputs, [entry.row for entry in found])
    entries = [
        replace(entry, evidence=replace(entry.evidence, similarity=similarity))
        for entry, similarity in zip(found, similarities, strict=True)
    ]
    count = len(substitutes)
    nearest_first = sorted(range(count, len(found)), key=lambda place: -similarities[place].similarity)
    return entries[:count] + [entries[place] for place in nearest_first]


def _measure_similarity(inputs: ShelfInputs, rows: Sequence[int]) -> list[SimilarityEvidence]:
    """Measure the similarity of rows to the nearest item of the request."""
    catalogue, item_ids = inputs.catalogue, list(inputs.anchors)
    anchors = catalogue.vectors(np.array(list(inputs.anchors.values()), dtype=np.int64))
    cosines = catalogue.vectors(np.array(rows, dtype=np.int64)) @ anchors.T
    return [
        SimilarityEvidence(item_ids[place], similarity)
        for place, similarity in zip(cosines.argmax(1).tolist(), cosines.max(1).tolist(), strict=True)
    ]


def _find_nearest(inputs: ShelfInputs) -> NDArray[np.int64]:
    """Find the rows nearest to each item of the request, without those that a rule takes from it."""
    found = []
    for row in inputs.anchors.values():
        [vector] = inputs.catalogue.vectors(np.array([row]))
        [near] = inputs.catalogue.nearest(vector, [(inputs.count, inputs.allowed)])
        found.append(near[~_mark_unrelated(inputs, PairKind.SUBSTITUTE, row, near)])
    return np.concatenate(found)


def _find_pairs(inputs: ShelfInputs, kind: PairKind) -> list[ShelfEntry]:
    """Find pairs of one kind: first those of the rules, in their order, then those of the release, the surest first."""
    by_rule: dict[int, ShelfEntry] = {}
    by_release: dict[int, PairEvidence] = {}
    for item_id, row in inputs.anchors.items():
        for pair_row, evidence in _read_pairs(inputs, kind, item_id, row):
            known = by_release.get(pair_row)
            if known is None or evidence.lower_bound > known.lower_bound:
                by_release[pair_row] = evidence
        for other, names in (inputs.plan.find_related(inputs.catalogue, kind, row) if inputs.plan else {}).items():
            by_rule.setdefault(other, ShelfEntry(other, ShelfEvidence(pair=PairEvidence(item_id)), names))
    sure = sorted(by_release, key=lambda row: -by_release[row].lower_bound)
    entries = by_rule | {
        row: ShelfEntry(row, ShelfEvidence(pair=by_release[row]), by_rule[row].rules if row in by_rule else ())
        for row in sure
    }
    shown = inputs.may_show(entries)
    return [entry for row, entry in entries.items() if shown[row]]


def _read_pairs(inputs: ShelfInputs, kind: PairKind, item_id: str, row: int) -> Iterable[tuple[int, PairEvidence]]:
    """Yield the pairs of one item in the release, with the rows of their other items as they are now."""
    items, catalogue = inputs.release.items, inputs.catalogue
    known = items.row(DEFAULT_CATALOGUE, item_id) if catalogue.name == DEFAULT_CATALOGUE else -1
    if inputs.release.pairs is None or known < 0:
        return
    found = inputs.release.pairs.find(kind, known)
    rows = [catalogue.row(items.item_id(other)) for other in found["other"].tolist()]
    held = np.array([place for place, other in enumerate(rows) if other is not None], dtype=np.int64)
    others = np.array([rows[place] for place in held.tolist()], dtype=np.int64)
    related = ~_mark_unrelated(inputs, kind, row, others)
    names = [name for name in found.dtype.names or () if name not in ("item", "other")]
    for pair, other in zip(found[held[related]], others[related].tolist(), strict=True):
        yield other, PairEvidence(item_id, **{name: pair[name].item() for name in names})


def _mark_unrelated(inputs: ShelfInputs, kind: PairKind, row: int, others: NDArray[np.int64]) -> NDArray[np.bool_]:
    if inputs.plan is None:
        return np.zeros(len(others), dtype=bool)
    return inputs.plan.mark_unrelated(inputs.catalogue, kind, row, others)


def find_trending(inputs: ShelfInputs) -> list[ShelfEntry]:
    """Find the items whose share of all events has grown most; items without events have none.

    The two statistics are `log(1 + share * items)`, so that their difference is the growth of the share, in nats, with
    the share of an average item added to both: growth from next to nothing counts for little.
    """
    catalogue = inputs.catalogue
    rows = catalogue.rows_in(inputs.allowed.without(catalogue.select_cold(inputs.allowed)))
    statistics = catalogue.statistics(rows)[:, [RECENT_POPULARITY, _EARLIER_POPULARITY]].astype(np.float64)
    growth = statistics[:, 0] - statistics[:, 1]
    best = np.argsort(-growth, kind="stable")[: inputs.count]
    shares = np.expm1(statistics[best]) / max(1, len(inputs.release.items))
    return [
        ShelfEntry(row, ShelfEvidence(trend=TrendEvidence(recent, earlier)))
        for row, (recent, earlier) in zip(rows[best].tolist(), shares.tolist(), strict=True)
        if recent > earlier > 0.0
    ]


SOURCES: Mapping[Placement, Callable[[ShelfInputs], list[ShelfEntry]]] = {
    Placement.SIMILAR_ITEMS: find_similar,
    Placement.FREQUENTLY_BOUGHT_TOGETHER: find_complements,
    Placement.BUY_AGAIN: find_bought,
    Placement.TRENDING: find_trending,
    Placement.RECENTLY_VIEWED: find_viewed,
}
"""The source of each kind of shelf."""
