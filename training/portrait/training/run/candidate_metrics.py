"""Share of the test targets that each source of candidates finds, and its worth to the ranking."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from portrait.training.metrics import MISSED, ndcg
from portrait.training.ranker.candidates import SOURCES, Candidates

_CUTOFF = 10


def measure_candidates(chosen: Candidates, positions: NDArray[np.int64]) -> dict[str, Any]:
    """Measure the candidates of some targets by source.

    Args:
        chosen: the candidates.
        positions: `[targets, candidates]`, 0-based place of each in the ranking, -1 of one without a place.

    Returns:
        `count`, candidates of a target on average; `recall`, share of the targets among their candidates; and
        `by_source`, for each source with a candidate: its `count`, `recall`, the share of targets that it `alone`
        found, and NDCG@10 that is lost where the same ranker goes `without` the candidates that it alone found.
    """
    found = chosen.label & chosen.shown
    ranked = _measure_ndcg(chosen, positions, np.zeros_like(chosen.shown))
    by_source = {}
    for number, name in enumerate(SOURCES):
        bit = 1 << number
        has = (chosen.found_by & bit) > 0
        if has.any():
            only = chosen.found_by == bit
            by_source[name] = {
                "count": float(has.sum(1).mean()),
                "recall": _share(found & has),
                "alone": _share(found & only),
                "loss_without": ranked - _measure_ndcg(chosen, positions, only),
            }
    return {"count": float(chosen.shown.sum(1).mean()), "recall": _share(found), "by_source": by_source}


def _share(hits: NDArray[np.bool_]) -> float:
    return float(hits.any(1).mean())


def _measure_ndcg(chosen: Candidates, positions: NDArray[np.int64], gone: NDArray[np.bool_]) -> float:
    """NDCG@10 of the same order without some candidates."""
    rows = np.arange(len(positions))
    target = np.argmax(chosen.label, axis=1)
    place = positions[rows, target]
    missed = (place < 0) | gone[rows, target] | ~chosen.label.any(1)
    before = (gone & (positions >= 0) & (positions < place[:, None])).sum(1)
    return float(ndcg(np.where(missed, MISSED, place - before), k=_CUTOFF).mean())
