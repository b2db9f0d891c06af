"""The folder of a run: checks before training, and its creation once all checks have passed."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

import torch

from portrait.training import distributed, tracking
from portrait.training.dataset.data_set import DataSet
from portrait.training.devices import CPU
from portrait.training.encoders.warm_start import WarmStart
from portrait.training.enums import Split
from portrait.training.errors import TrainingError
from portrait.training.files import read_json_object
from portrait.training.settings import TrainSettings
from portrait.training.tracking import TrackerConfig

SETTINGS_FILE, BASELINES_FILE = "settings.json", "baselines.json"
UNLEARNING_FILE = "unlearning.json"
TRAIN_ONLY_FOLDER = "train-only"


def metrics_file(folder: Path, split: Split) -> Path:
    """Return the path of a run's metrics by a split."""
    return folder / f"metrics-{split.value}.json"


def read_unlearning(folder: Path) -> dict[str, Any] | None:
    """Read what `portrait unlearn` wrote down in a run's folder; None if the run was trained from the start."""
    path = folder / UNLEARNING_FILE
    return read_json_object(path) if path.exists() else None


@dataclass(frozen=True)
class RunFolder:
    """A folder, and what is to be trained into it."""

    path: Path
    data: DataSet
    settings: TrainSettings
    resume: bool
    """Go on with the run that the folder holds."""
    tracker: TrackerConfig | None
    device: torch.device = CPU
    """Device of the encoders while they are trained."""
    parent: Optional["RunFolder"] = None
    """The run of which this one is a part; it is begun first."""
    warm_start: WarmStart | None = None
    """Weights with which the encoders begin; None to train them from the start."""
    began: float = field(default_factory=time.process_time)
    """Seconds of the processor that this process had taken before."""

    def require_usable(self) -> None:
        """Check the folder; writes nothing.

        Raises:
            TrainingError: it holds something else, or the run that it holds is one of other settings or data.
        """
        written = self.path / SETTINGS_FILE
        if not self.resume:
            if self.path.exists() and any(self.path.iterdir()):
                raise TrainingError(
                    f"{self.path} is not empty; add --resume to go on with its run, or name a new folder"
                )
            return
        if not written.exists():
            raise TrainingError(f"{self.path} holds no run to resume")
        if TrainSettings.read(written) != self.settings:
            raise TrainingError(f"{self.path} began with other settings ({written}); resume it with the same options")
        self.data.require_trained(self.path)

    def begin(self) -> None:
        """Make the folder, and write what the run is trained on and how; the settings go last: they make it a run.

        Only the main process writes, once all have checked the folder.

        Raises:
            TrainingError: the library of the tracker is not installed.
        """
        if self.parent:
            self.parent.begin()
        distributed.wait_for_all()
        if not distributed.is_main():
            return
        self.path.mkdir(parents=True, exist_ok=True)
        self.data.record(self.path)
        tracking.record_tracker(self.path, self.tracker)
        if not self.resume:
            self.settings.write(self.path / SETTINGS_FILE)
