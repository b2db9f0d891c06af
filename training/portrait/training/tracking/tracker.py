"""The interface of trackers, and the trackers of a run.

<run>/tracking.json   the tracker that was asked for, where it keeps its records, and the run's id there
"""

import dataclasses
import importlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from portrait.features.files.atomic_write import atomic_write
from portrait.features.installation import explain_install
from portrait.training import distributed
from portrait.training.enums import TrackerKind
from portrait.training.errors import TrainingError
from portrait.training.files import read_json_object
from portrait.training.settings import TrainSettings
from portrait.training.tracking.tensorboard import TensorBoard

TRACKING_FILE = "tracking.json"


class Tracker(Protocol):
    """Logs one run. Metrics have names such as `validation/ndcg@10`."""

    run_id: str
    """Id of the run in the tracker, by which a resumed run continues."""

    def log_scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Log numbers after an optimiser step."""

    def log_metrics(self, values: Mapping[str, float]) -> None:
        """Log the final metrics of the run."""

    def close(self, ended: bool = True) -> None:
        """Write what is not written yet; `ended` is false if the run was stopped before its end."""


@dataclass(frozen=True)
class TrackerConfig:
    """A tracker that a caller asks for."""

    kind: TrackerKind
    folder: Path
    """Folder of its records, unless the tracker's own environment variables name a place."""


def record_tracker(run: Path, config: TrackerConfig | None) -> None:
    """Record the tracker of a run, for training and evaluation; a run that has one keeps it.

    Args:
        run: the run's folder.
        config: by what; None for TensorBoard alone.

    Raises:
        TrainingError: the tracker's library is not installed.
    """
    if config is None or (run / TRACKING_FILE).exists():
        return
    _find_backend(config.kind)
    place = os.path.relpath(config.folder, run)
    _write_record(run, {"tracker": config.kind.value, "folder": place, "run_id": ""})


@contextmanager
def open_trackers(run: Path, settings: TrainSettings, step: int) -> Iterator[Tracker]:
    """The trackers of a run, as one; only the main process logs.

    Args:
        run: the run's folder.
        settings: what it is trained with.
        step: the optimiser step that it goes on from.

    Raises:
        TrainingError: a tracker's library is not installed any more.
    """
    trackers = [TensorBoard(run / "tensorboard", step), *_open_chosen(run, settings)] if distributed.is_main() else []
    tracker = _TrackerGroup(trackers)
    try:
        yield tracker
    except BaseException:
        tracker.close(ended=False)
        raise
    tracker.close()


def log_final_metrics(run: Path, settings: TrainSettings, values: Mapping[str, float]) -> None:
    """Log final metrics of an ended run to the trackers that it was trained with, except TensorBoard."""
    for tracker in _open_chosen(run, settings):
        tracker.log_metrics(values)
        tracker.close()


class _TrackerGroup:
    run_id = ""

    def __init__(self, trackers: list[Tracker]) -> None:
        self._trackers = trackers

    def log_scalars(self, step: int, values: Mapping[str, float]) -> None:
        for tracker in self._trackers:
            tracker.log_scalars(step, values)

    def log_metrics(self, values: Mapping[str, float]) -> None:
        for tracker in self._trackers:
            tracker.log_metrics(values)

    def close(self, ended: bool = True) -> None:
        for tracker in self._trackers:
            tracker.close(ended)


def _open_chosen(run: Path, settings: TrainSettings) -> list[Tracker]:
    """The tracker of `tracking.json`, opened; it goes on with the run that it began."""
    if not (run / TRACKING_FILE).exists():
        return []
    chosen = read_json_object(run / TRACKING_FILE)
    folder = (run / chosen["folder"]).resolve()
    name = run.resolve().relative_to(folder.parent).as_posix()
    tracker = _find_backend(TrackerKind(chosen["tracker"]))(
        folder, name, chosen["run_id"], dataclasses.asdict(settings)
    )
    _write_record(run, chosen | {"run_id": tracker.run_id})
    return [tracker]


def _find_backend(kind: TrackerKind) -> Callable[[Path, str, str, Mapping[str, object]], Tracker]:
    """Return the function that opens a tracker: folder of records, name of the run, its id ("" if new), settings."""
    try:
        # Their libraries are extras, and slow to import.
        opens: Callable[..., Tracker] = importlib.import_module(f"{__package__}.{kind.value}").open_run
    except ModuleNotFoundError as error:
        raise TrainingError(
            f"--tracker {kind} needs a library that is not installed ({error.name}): {explain_install(kind)}"
        ) from error
    return opens


def _write_record(run: Path, chosen: dict[str, str]) -> None:
    with atomic_write(run / TRACKING_FILE) as temporary:
        temporary.write_text(json.dumps(chosen, indent=2) + "\n", encoding="utf-8")
