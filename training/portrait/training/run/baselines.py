"""The baselines of a run, with the settings that validation chose."""

import numpy as np
from numpy.typing import NDArray

from portrait.training.baselines.comparison import BaselineRanks, rank_with_baselines, tune_baselines
from portrait.training.baselines.protocol import Settings, Task
from portrait.training.dataset.splits import hold_out
from portrait.training.run.folder import TRAIN_ONLY_FOLDER
from portrait.training.run.kept_baselines import read_settings
from portrait.training.run.run import TrainedRun

SETTINGS_KEY = "baseline_settings"
"""Key of the settings beside the metrics of a test."""


def rank_with_tuned_baselines(trained: TrainedRun, targets: NDArray[np.int64]) -> BaselineRanks:
    """Find the rank of each target by the baselines, which learn from the same events as the run.

    Args:
        trained: the run.
        targets: events to predict.
    """
    return rank_with_baselines(Task(trained.corpus, trained.holdout), find_settings(trained), targets)


def find_settings(trained: TrainedRun) -> dict[str, Settings]:
    """Read the settings that `portrait train` chose on validation, or choose them now.

    They are chosen by fits to the events before the validation, as the run's own settings are, even of a refit.
    """
    task = Task(trained.corpus, hold_out(trained.corpus, trained.settings.split))
    for folder in (trained.folder, trained.folder / TRAIN_ONLY_FOLDER):
        if (settings := read_settings(folder, task)) is not None:
            return settings
    return tune_baselines(task, trained.settings.seed)
