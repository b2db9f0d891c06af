"""Unlearning: the next run, on a data set that some shoppers have left, from the weights of the run before.

Statistics and relations are fitted to the new data set alone, as `portrait train` fits them, and so is the ranker, in
fewer epochs. The encoders start between the weights of the earlier run and untrained ones, and learn from the new data
set for a part of the steps of a whole training (`encoders.warm_start`). No step reads an event of who has left.
"""

import dataclasses
import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import torch

from portrait.features.files.atomic_write import atomic_write
from portrait.training import checkpoints
from portrait.training.dataset import corpus as corpora
from portrait.training.dataset import tables
from portrait.training.dataset.corpus import Corpus
from portrait.training.dataset.data_set import DataSet, open_data_set, open_data_set_of_run
from portrait.training.encoders.warm_start import WarmStart
from portrait.training.errors import TrainingError, to_one_line
from portrait.training.run import run as runs
from portrait.training.run.folder import SETTINGS_FILE, TRAIN_ONLY_FOLDER, UNLEARNING_FILE, RunFolder
from portrait.training.settings import TrainSettings

KEPT_WEIGHTS = 0.1
"""Share of the way from untrained to earlier weights, at which the encoders begin; residuals start untrained."""
STEP_SHARE = 0.12
"""Share of the steps of a whole training that are taken from there."""

_EVENT = ("shopper_id", "type", "time", "item_id", "query")


@dataclass(frozen=True)
class Departed:
    """Events of an earlier data set that a later one does not hold."""

    shoppers: int
    """Shoppers who did them."""
    events: int


@dataclass(frozen=True)
class _Earlier:
    """The run before."""

    folder: Path
    settings: TrainSettings
    texts: list[str]

    def read_warm_start(self, part: str = ".") -> WarmStart:
        """Read the weights of the run, or of a part of it.

        Raises:
            TrainingError: a file is damaged, or of a version that did not write down how long it trained.
        """
        path = self.folder / part / runs.MODEL_FILE
        try:
            state = checkpoints.load_state(path)
            return WarmStart(
                weights=state["model"],
                pooled=state["texts"],
                texts=self.texts,
                kept=KEPT_WEIGHTS,
                whole_steps=int(state["steps"]),
                whole_seconds=state["processor_seconds"],
                share=STEP_SHARE,
            )
        except KeyError as error:
            raise TrainingError(
                f"{path} was trained by a version that did not record the number of steps; train it again"
            ) from error
        except Exception as error:  # a damaged file makes each library fail in its own way
            raise TrainingError(f"{path} is damaged: {to_one_line(error)}") from error


def unlearn_run(folder: Path, data: Path, output: Path, device: torch.device) -> dict[str, Any]:
    """Train the next run on a data set that lacks shoppers of an earlier run; nothing is written if that fails.

    Args:
        folder: the earlier run, which has ended; its data set must still be there.
        data: folder of the data set without them, such as `portrait prepare --deletions` writes.
        output: folder of the next run; it must not exist yet.
        device: where the encoders are trained.

    Returns:
        What is written to `unlearning.json`: counts of who left, and how much was trained.

    Raises:
        TrainingError: a folder can't be used, the data set lacks nothing, or it is too small.
    """
    if output.exists():
        raise TrainingError(f"{output} exists; name a new folder for the next run")
    earlier, before = _open_earlier(folder)
    after = open_data_set(data)
    departed = count_departed(before, after)
    corpus = corpora.load_corpus(data)
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}-") as staging:
        path = Path(staging) / "run"
        record = _train(earlier, after, corpus, path, device) | dataclasses.asdict(departed)
        record["earlier_data"] = before.identity
        with atomic_write(path / UNLEARNING_FILE) as temporary:
            temporary.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        path.rename(output)
    return record


def _open_earlier(folder: Path) -> tuple[_Earlier, DataSet]:
    if not (folder / runs.MODEL_FILE).exists():
        raise TrainingError(f"{folder} holds no trained model; there is nothing to start with")
    data = open_data_set_of_run(folder)
    settings = TrainSettings.read(folder / SETTINGS_FILE)
    return _Earlier(folder, settings, corpora.load_corpus(data.folder).texts), data


def count_departed(before: DataSet, after: DataSet) -> Departed:
    """Count the events that a later data set lacks.

    Raises:
        TrainingError: it lacks none, or its shoppers have other pseudonyms.
    """
    keys = [each.report.get("pseudonym_key") for each in (before, after)]
    if keys[0] != keys[1]:
        raise TrainingError(
            f"{after.folder} has pseudonyms by the key {keys[1]!r}, the run's data set by {keys[0]!r}: nobody can tell "
            "who has left; prepare the log with the earlier key, or train a new run"
        )
    columns = {name: tables.EVENT_COLUMNS[name] for name in _EVENT}
    held, kept = (tables.read_table(each.folder, "events", columns) for each in (before, after))
    left = held.join(kept.unique(), on=list(_EVENT), how="anti", nulls_equal=True)
    if left.is_empty():
        raise TrainingError(
            f"{after.folder} holds all events that the run has learnt from, so there is nothing to unlearn; prepare it "
            "with --deletions first"
        )
    return Departed(int(left.select(pl.col("shopper_id").n_unique()).item()), len(left))


def _train(earlier: _Earlier, data: DataSet, corpus: Corpus, path: Path, device: torch.device) -> dict[str, Any]:
    """Train the next run into a folder; returns how much was trained."""
    began = time.process_time()
    start = earlier.read_warm_start()
    run = RunFolder(path, data, earlier.settings, False, None, device, warm_start=start)
    if earlier.settings.refit:
        part_start = earlier.read_warm_start(TRAIN_ONLY_FOLDER)
        settings = dataclasses.replace(earlier.settings, refit=False)
        part = RunFolder(path / TRAIN_ONLY_FOLDER, data, settings, False, None, device, run, part_start)
        runs.train_unfinished(part, corpus)
    runs.train_unfinished(run, corpus)
    seconds = time.process_time() - began
    return {
        "kept_weights": start.kept,
        "steps": start.steps,
        "steps_of_training": start.whole_steps,
        "processor_seconds": seconds,
        "processor_seconds_of_training": start.whole_seconds,
        "time_share": seconds / start.whole_seconds if start.whole_seconds else None,
    }
