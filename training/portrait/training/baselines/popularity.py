"""Popularity: one order of the catalogue for everybody."""

import numpy as np
from numpy.typing import NDArray

from portrait.features.histories.history_arrays import SECONDS_PER_DAY
from portrait.training.baselines.protocol import Scorer, Settings, Task


def score_by_popularity(task: Task, _: None = None, __: Settings | None = None) -> Scorer:
    """Score every item by its number of training events."""
    return _repeat(task.holdout.item_counts)


def score_by_recent_popularity(task: Task, _: None, settings: Settings) -> Scorer:
    """Score every item by its training events, which lose half of their weight in each half-life.

    The weights are those at the end of the training events, whatever the time of the target.
    """
    events = task.item_events.event[task.learnt]
    time = task.corpus.columns.time[events]
    age_days = (time.max() - time) / SECONDS_PER_DAY
    weights = 0.5 ** (age_days / settings["half_life_days"])
    items = task.item_events.item[task.learnt]
    return _repeat(np.bincount(items, weights, minlength=len(task.corpus.items)).astype(np.float64))


def _repeat(scores: NDArray[np.float64]) -> Scorer:
    row = scores.astype(np.float32)[None]
    return lambda targets: np.repeat(row, len(targets), axis=0)
