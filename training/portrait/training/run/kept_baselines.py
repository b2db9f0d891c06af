"""Baselines that a run keeps: they depend on its data alone, so they are tuned while the encoders learn."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from portrait.features.files.atomic_write import atomic_write
from portrait.training.baselines.comparison import (
    BaselineRanks,
    draw_targets,
    rank_with_baselines,
    require_settings,
    tune_baselines,
)
from portrait.training.baselines.protocol import Settings, Task
from portrait.training.dataset.corpus import Corpus
from portrait.training.dataset.splits import Holdout
from portrait.training.files import read_json_object
from portrait.training.run.folder import BASELINES_FILE

MAX_COMPARED_TARGETS = 2_000
"""So many validation targets are ranked at most."""


def rank_validation(
    folder: Path, corpus: Corpus, holdout: Holdout, seed: int
) -> tuple[NDArray[np.int64], BaselineRanks]:
    """Find the ranks of validation targets by the tuned baselines; a run's folder keeps them.

    Args:
        folder: the run's.
        corpus: the events.
        holdout: a split that keeps the validation events from training.
        seed: draws the targets where there are too many.

    Returns:
        The targets, ascending, and their ranks.
    """
    targets, task = draw_targets(holdout.validation, MAX_COMPARED_TARGETS, seed), Task(corpus, holdout)
    if (kept := _read_ranks(folder, task, len(targets))) is not None:
        return targets, kept
    found = rank_with_baselines(task, tune_baselines(task, seed), targets)
    ranks = {name: each.tolist() for name, each in found.ranks.items()}
    with atomic_write(folder / BASELINES_FILE) as temporary:
        temporary.write_text(json.dumps({"settings": found.settings, "ranks": ranks}) + "\n", encoding="utf-8")
    return targets, found


def read_settings(folder: Path, task: Task) -> dict[str, Settings] | None:
    """Read the settings that a run's folder keeps; None if they are not of the baselines of today."""
    return require_settings(task, _read(folder).get("settings"))


def _read(folder: Path) -> dict[str, Any]:
    path = folder / BASELINES_FILE
    return read_json_object(path) if path.exists() else {}


def _read_ranks(folder: Path, task: Task, targets: int) -> BaselineRanks | None:
    """Read the ranks that a folder keeps; None if they are not of the baselines of today."""
    kept = _read(folder)
    settings, ranks = require_settings(task, kept.get("settings")), kept.get("ranks")
    if settings is None or not isinstance(ranks, dict) or set(ranks) != set(settings):
        return None
    if any(len(each) != targets for each in ranks.values()):
        return None
    return BaselineRanks(settings, {name: np.array(each, dtype=np.int64) for name, each in ranks.items()})
