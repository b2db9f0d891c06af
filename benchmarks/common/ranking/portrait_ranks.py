"""The ranks that a trained run of Portrait gives its targets."""

import numpy as np
from numpy.typing import NDArray

from portrait.training.encoders.retrieval import find_ranks
from portrait.training.metrics import MISSED
from portrait.training.run import evaluation
from portrait.training.run.run import TrainedRun


def rank_targets(trained: TrainedRun, targets: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
    """Return the 0-based rank of each target as in serving; targets without a history are missed.

    Args:
        trained: the run.
        targets: events to foresee, ascending; None for the test.
    """
    targets = trained.holdout.test if targets is None else targets
    ranked = evaluation.rank_targets(trained, trained.corpus, targets)
    found = np.full(len(targets), MISSED)
    places = np.searchsorted(targets, ranked.vectors.targets)
    found[places] = find_ranks(ranked.items, trained.corpus.event_item[ranked.vectors.targets])
    return found
