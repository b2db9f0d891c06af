"""Runs of a draw: with the forgotten, without them, and the one that `portrait unlearn` makes of the former."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import steps
from benchmarks.unlearning.sets import ShopperSets, write_deletions
from portrait.training.run.run import TrainedRun, load_run

BEFORE, UNLEARNT, RETRAINED, REFERENCE = "before", "unlearnt", "retrained", "reference"

_REFERENCE_SEED = 100
"""Seed of the reference of draw 0; those of the others follow."""


@dataclass(frozen=True)
class DrawnRuns:
    """Runs of a draw."""

    before: TrainedRun
    """Has seen the forgotten of every set."""
    unlearnt: dict[int, TrainedRun]
    """By the percentage that is forgotten."""
    retrained: dict[int, TrainedRun]
    """By the percentage: trained on the same data as the unlearnt one."""
    reference: TrainedRun
    """Trained on the same data as the retrained one of the largest set, with another seed."""


@dataclass(frozen=True)
class RunMaker:
    """Makes the runs of draws, and skips what its folder holds already."""

    source: Path
    work: Path
    shopper_ids: Sequence[str]
    settings: dict[str, Any]

    def make(self, sets: ShopperSets, draw: int) -> DrawnRuns:
        """Prepare and train everything of a draw; its number is the seed.

        Raises:
            StepError: a command failed.
        """
        work = self.work / f"draw-{draw}"
        before = self._train(self._prepare(work / "members", [sets.unseen]), "run", draw)
        unlearnt, retrained = {}, {}
        for percent, forgotten in sets.forgotten.items():
            folder = self._prepare(work / f"without-{percent}", [sets.unseen, forgotten])
            retrained[percent] = load_run(self._train(folder, "run", draw))
            unlearnt[percent] = load_run(steps.unlearn_run(before, folder / "data", folder / UNLEARNT))
        reference = self._train(work / f"without-{sets.largest}", REFERENCE, _REFERENCE_SEED + draw)
        return DrawnRuns(load_run(before), unlearnt, retrained, load_run(reference))

    def _prepare(self, folder: Path, left_out: list[NDArray[np.int64]]) -> Path:
        names = np.array(self.shopper_ids, dtype=object)
        listed = write_deletions(names[np.concatenate(left_out)].tolist(), folder / "left-out.csv")
        steps.prepare_without(self.source, listed, folder / "data")
        return folder

    def _train(self, folder: Path, name: str, seed: int) -> Path:
        settings = self.work / "settings.json"
        settings.write_text(json.dumps(self.settings) + "\n", encoding="utf-8")
        return steps.train_run(folder / "data", folder / name, "--settings", str(settings), "--seed", str(seed))
