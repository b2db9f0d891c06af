"""Own history: what the shopper had before, recent events more; popularity orders the rest."""

import numpy as np
from numpy.typing import NDArray

from portrait.training.baselines.contexts import Unit
from portrait.training.baselines.protocol import Scorer, Settings, Task


def score_by_own_history(unit: Unit, task: Task, _: None, settings: Settings) -> Scorer:
    """Score every item by the decayed count of the shopper's own events, plus a share of its popularity.

    Args:
        unit: unit of the half-life.
        task: the data set.
        settings: `half_life`; `popularity`, what the most popular item gets, where one event of now counts 1.
    """
    counts = task.holdout.item_counts
    fill = (settings["popularity"] * counts / counts.max()).astype(np.float32)

    def score(targets: NDArray[np.int64]) -> NDArray[np.float32]:
        own = task.item_events.read_contexts(targets).decay(settings["half_life"], unit)
        scores: NDArray[np.float32] = own.toarray()
        scores += fill
        return scores

    return score
