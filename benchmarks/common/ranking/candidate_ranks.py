"""The ranks of targets among the candidates that serving would rank."""

import numpy as np
from numpy.typing import NDArray

from portrait.training.metrics import MISSED
from portrait.training.ranker.candidates import Candidates


def find_candidate_ranks(scores: NDArray[np.float32], candidates: Candidates) -> NDArray[np.int64]:
    """Find the 0-based rank of each target's item, `[targets]`; `MISSED` where it is no candidate.

    Args:
        scores: `[targets, candidates]`.
        candidates: candidates of the targets.
    """
    wanted = candidates.label & candidates.shown
    own = np.where(wanted, scores, -np.inf).max(1, keepdims=True)
    ranks: NDArray[np.int64] = np.where(wanted.any(1), ((scores > own) & candidates.shown).sum(1), MISSED)
    return ranks
