"""Popularity: one order of the catalogue for everybody."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from portrait.features.histories.history_arrays import SECONDS_PER_DAY
from portrait.training.baselines.protocol import Scorer, Settings, Task


def score_by_popularity(task: Task, _: None = None, __: Settings | None = None) -> Scorer:
    """Score every item by its number of training events."""
    return _repeat(task.holdout.item_counts)


def score_by_recent_popularity(task: Task, _: None, settings: Settings) -> Scorer:
    """Score every item by its training events of the days before the target's, which fade by a half-life.

    Args:
        task: the data set; all its events have a time.
        settings: `half_life_days`.
    """
    times = task.corpus.columns.time
    days, row = np.unique(_find_days(times[task.item_events.event[task.learnt]]), return_inverse=True)
    entries = (np.ones(len(row), dtype=np.float32), (task.item_events.item[task.learnt], row))
    by_day = sparse.csr_matrix(entries, shape=(len(task.corpus.items), len(days)))

    def score(targets: NDArray[np.int64]) -> NDArray[np.float32]:
        age = _find_days(times[targets])[:, None] - days
        is_earlier = age > 0
        # Relative to the latest day before the target: only the order counts, and long ages would all become 0.
        age -= np.where(is_earlier, age, np.inf).min(1, keepdims=True)
        weights = 0.5 ** (np.where(is_earlier, age, np.inf) / settings["half_life_days"])
        return np.ascontiguousarray((by_day @ weights.T.astype(np.float32)).T)

    return score


def _find_days(times: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.floor(times / SECONDS_PER_DAY)


def _repeat(scores: NDArray[np.float64]) -> Scorer:
    row = scores.astype(np.float32)[None]
    return lambda targets: np.repeat(row, len(targets), axis=0)
