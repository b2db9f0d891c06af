"""Hyper-parameter search: trials of one data set, judged by validation alone.

<study>/study.log        Optuna's journal: what was tried and what it gave
<study>/trials/<n>/      the run of each trial; its large files go when it has ended
<study>/best.json        the best settings so far, for `portrait train --settings`
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import torch
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from portrait.features.files.atomic_write import atomic_write
from portrait.training.dataset.data_set import open_data_set
from portrait.training.devices import CPU
from portrait.training.enums import FineTuning, Preset
from portrait.training.errors import TrainingError, to_one_line
from portrait.training.run import run as runs
from portrait.training.settings import BERT_LEARNING_RATES, TrainSettings
from portrait.training.tracking import TrackerConfig

JOURNAL_FILE, BEST_FILE = "study.log", "best.json"
_STUDY_NAME = "portrait"
_STARTUP_TRIALS, _STARTUP_EPOCHS = 5, 2

TrialCallback = Callable[[int, float | None, dict[str, Any]], None]
"""Called after each trial with its number, its validation NDCG@10 (None if it was pruned) and its settings."""


def suggest_settings(trial: optuna.Trial, finetune: FineTuning) -> dict[str, Any]:
    """The settings that are searched, and their ranges; the BERT's learning rate is searched about its usual one."""
    usual = BERT_LEARNING_RATES[finetune]
    return {
        "dimension": trial.suggest_categorical("dimension", [64, 128, 256]),
        "layers": trial.suggest_int("layers", 1, 3),
        "heads": trial.suggest_categorical("heads", [1, 2, 4]),
        "dropout": trial.suggest_float("dropout", 0.1, 0.6),
        "residual_dropout": trial.suggest_float("residual_dropout", 0.0, 0.3),
        "scale": trial.suggest_float("scale", 10.0, 40.0, log=True),
        "batch_events": trial.suggest_categorical("batch_events", [512, 1024, 2048, 4096]),
        "learning_rate": trial.suggest_float("learning_rate", 2e-4, 5e-3, log=True),
        "weight_decay": trial.suggest_float("weight_decay", 1e-3, 0.3, log=True),
        "bert_learning_rate": trial.suggest_float("bert_learning_rate", usual / 5, usual * 10, log=True),
    }


def search_hyperparameters(
    data: Path, folder: Path, base: dict[str, Any], trials: int, timeout: float | None, seed: int,
    report: TrialCallback, tracker: TrackerConfig | None = None, device: torch.device = CPU,
) -> dict[str, Any]:  # fmt: skip
    """Search until a study has so many trials that ended.

    A study goes on where it stopped; a trial that was running then is tried again from its start.

    Args:
        data: folder of a prepared data set. Its test events are never ranked.
        folder: the study's.
        base: settings that all trials share.
        trials: how many trials the study shall have, those of earlier calls included.
        timeout: seconds after which no new trial begins; None for never.
        seed: of the sampler and of every trial.
        report: called after each trial.
        tracker: where to tell the course of each trial beside TensorBoard.
        device: where trials are trained.

    Returns:
        The best settings.

    Raises:
        TrainingError: the data can't be trained on, the study is of something else, or no trial ended, or the
            tracker's library is missing.
    """
    shared = {name: value for name, value in base.items() if name != "preset"}
    preset = base.get("preset", Preset.QUICK)
    _require_no_file(folder)
    identity = open_data_set(data).identity
    runs.require_trainable(data, TrainSettings.from_preset(preset, **{**shared, "seed": seed}))
    subject = {"data": identity, "base": {key: str(value) for key, value in base.items()}, "seed": seed}
    study = _open_study(folder, seed, subject)
    _retry_interrupted(study, folder)

    def objective(trial: optuna.Trial) -> float:
        chosen = suggest_settings(trial, base.get("finetune", TrainSettings.finetune))
        settings = TrainSettings.from_preset(preset, **{**shared, **chosen, "seed": seed})
        own = folder / "trials" / str(trial.number)

        def on_epoch(epoch: int, ndcg: float) -> None:
            trial.report(ndcg, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned

        try:
            return runs.run_trial(data, own, settings, on_epoch, tracker, device)
        finally:
            for large in own.glob("*.pt"):
                large.unlink()

    def best() -> dict[str, Any]:
        return {**base, **study.best_params, "seed": seed}

    def report_trial(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        value = trial.value if trial.state is TrialState.COMPLETE else None
        report(trial.number, value, trial.params)
        if study.best_trials:
            _write_settings(folder / BEST_FILE, best())

    if (left := trials - _count_ended_trials(study)) > 0:
        study.optimize(objective, n_trials=left, timeout=timeout, callbacks=[report_trial])
    if not study.best_trials:
        raise TrainingError("no trial has ended; allow more --minutes or --trials")
    return best()


def _require_no_file(folder: Path) -> None:
    if folder.is_file():
        raise TrainingError(f"{folder} is a file; name a folder for the study")


def _count_ended_trials(study: optuna.Study) -> int:
    """Count the trials that have completed or were pruned."""
    return sum(trial.state in (TrialState.COMPLETE, TrialState.PRUNED) for trial in study.trials)


def _open_study(folder: Path, seed: int, subject: dict[str, Any]) -> optuna.Study:
    """The study of a folder, which is made if it is missing; one of another subject is left as it is."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    journal = folder / JOURNAL_FILE
    if journal.exists():
        study = _load_study(journal)
    else:
        folder.mkdir(parents=True, exist_ok=True)
        study = optuna.create_study(storage=_open_storage(journal), study_name=_STUDY_NAME, direction="maximize")
    known = study.user_attrs.get("subject")
    if known is None:
        study.set_user_attr("subject", subject)
    elif known != subject:
        other = ", ".join(name for name in subject if known.get(name) != subject[name])
        raise TrainingError(f"the study in {folder} is of other {other}; name a new folder")
    # Drawn anew from the trials so far, so that a study that goes on does not repeat itself.
    study.sampler = optuna.samplers.TPESampler(seed=seed + len(study.trials), n_startup_trials=_STARTUP_TRIALS)
    study.pruner = optuna.pruners.MedianPruner(_STARTUP_TRIALS, n_warmup_steps=_STARTUP_EPOCHS)
    return study


def _load_study(journal: Path) -> optuna.Study:
    try:
        return optuna.load_study(storage=_open_storage(journal), study_name=_STUDY_NAME)
    except Exception as error:  # a damaged journal makes it fail in many ways
        raise TrainingError(f"{journal} is not the journal of a study: {to_one_line(error)}") from error


def _open_storage(journal: Path) -> JournalStorage:
    return JournalStorage(JournalFileBackend(str(journal)))


def _retry_interrupted(study: optuna.Study, folder: Path) -> None:
    """Give up trials that were running when the study was stopped, and ask for their settings again."""
    for trial in study.trials:
        if trial.state is TrialState.RUNNING:
            study.tell(trial.number, state=TrialState.FAIL)
            shutil.rmtree(folder / "trials" / str(trial.number), ignore_errors=True)
            study.enqueue_trial(trial.params)


def _write_settings(path: Path, settings: dict[str, Any]) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
