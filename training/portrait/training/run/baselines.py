"""The baselines of a run, with the settings that validation chose."""

import numpy as np
from numpy.typing import NDArray

from portrait.training.baselines.comparison import (
    BaselineRanks,
    rank_with_baselines,
    require_settings,
    tune_baselines,
)
from portrait.training.baselines.protocol import Settings, Task
from portrait.training.dataset.splits import hold_out
from portrait.training.files import read_json_object
from portrait.training.run.run import TRAIN_ONLY_FOLDER, VALIDATION_FILE, TrainedRun

SETTINGS_KEY = "baseline_settings"


def rank_with_tuned_baselines(trained: TrainedRun, targets: NDArray[np.int64]) -> BaselineRanks:
    """Find the rank of each target by the baselines, which learn from the same events as the run.

    Args:
        trained: the run.
        targets: events to predict.
    """
    task = Task(trained.corpus, trained.holdout)
    return rank_with_baselines(task, find_settings(trained), targets)


def find_settings(trained: TrainedRun) -> dict[str, Settings]:
    """Read the settings that `portrait train` chose on validation, or choose them now.

    They are chosen by fits to the events before the validation, as the run's own settings are, even of a refit.
    """
    task = Task(trained.corpus, hold_out(trained.corpus, trained.settings.split))
    for folder in (trained.folder, trained.folder / TRAIN_ONLY_FOLDER):
        path = folder / VALIDATION_FILE
        kept = read_json_object(path).get(SETTINGS_KEY) if path.exists() else None
        if (settings := require_settings(task, kept)) is not None:
            return settings
    return tune_baselines(task, trained.settings.seed)
