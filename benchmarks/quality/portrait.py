"""Portrait's own part in the benchmark: where a trained run puts the test targets."""

import numpy as np
from numpy.typing import NDArray

from portrait.training.evaluation import rank_test
from portrait.training.metrics import MISSED
from portrait.training.retrieval import ranks_of
from portrait.training.run import TrainedRun


def ranks(trained: TrainedRun) -> NDArray[np.int64]:
    """0-based rank of each test target as serving has it; targets that nothing came before are missed."""
    ranked = rank_test(trained)
    found = np.full(len(trained.holdout.test), MISSED)
    places = np.searchsorted(trained.holdout.test, ranked.vectors.targets)
    found[places] = ranks_of(ranked.items, trained.corpus.event_item[ranked.vectors.targets])
    return found
