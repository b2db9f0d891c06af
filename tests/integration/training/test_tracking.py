"""Runs told to the real MLflow and W&B libraries, where they are installed."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from support import tiny_data
from typer.testing import CliRunner

from portrait.features.installation import explain_install
from portrait.training import commands
from portrait.training.encoders import trainer
from portrait.training.encoders.trainer import TrainerState
from portrait.training.enums import Preset, TrackerKind
from portrait.training.run import run as runs
from portrait.training.run import study as hyperparameters
from portrait.training.run.evaluation import evaluate_run
from portrait.training.settings import TrainSettings
from portrait.training.tracking import TrackerConfig


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_data.write(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> TrainSettings:
    bert = tiny_data.write_bert(tmp_path_factory.mktemp("bert"))
    return TrainSettings.from_preset(
        Preset.QUICK, base_model=str(bert), dimension=16, max_epochs=2, batch_events=256, frozen_bert_share=0.25
    )


@pytest.fixture(autouse=True)
def _own_places(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "WANDB_MODE", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def stopped(data: Path, settings: TrainSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that trains a run and is interrupted after the first epoch."""

    def train(track: TrackerKind) -> Path:
        run = tmp_path / "run"
        with monkeypatch.context() as patched:
            patched.setattr(trainer.Trainer, "_is_finished", lambda loop: _interrupt_after_one(loop._state))
            with pytest.raises(KeyboardInterrupt):
                runs.train_run(data, run, settings, tracker=TrackerConfig(track, run))
        return run

    return train


def _interrupt_after_one(at: TrainerState) -> bool:
    if at.epoch:
        raise KeyboardInterrupt
    return False


def test_mlflow_has_one_run_of_a_training_that_was_resumed(data: Path, settings: TrainSettings, stopped: Any) -> None:
    pytest.importorskip("mlflow", reason="the extra `mlflow` is not installed")
    from mlflow.tracking import MlflowClient

    run = stopped(TrackerKind.MLFLOW)
    client = MlflowClient(f"sqlite:///{run / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("portrait").experiment_id
    (told,) = client.search_runs([experiment])
    assert told.info.status == "KILLED"

    runs.train_run(data, run, settings, resume=True)
    measured = evaluate_run(run, None, None)

    (told,) = client.search_runs([experiment])
    history = _history(run)
    assert told.info.status == "FINISHED"
    assert told.info.run_name == "run"
    assert told.data.params["dimension"] == "16"
    assert told.data.metrics["validation/best_ndcg_at_10"] == max(history.values())
    assert told.data.metrics["test/NDCG_at_10"] == measured["ranking"]["portrait"]["NDCG@10"]["value"]
    validated = client.get_metric_history(told.info.run_id, "validation/ndcg_at_10")
    assert {point.step: point.value for point in validated} == history
    losses = client.get_metric_history(told.info.run_id, "train/loss")
    assert [point.step for point in losses] == list(range(1, max(history) + 1))


def test_wandb_has_all_records_of_a_resumed_training_under_one_id(
    data: Path, settings: TrainSettings, stopped: Any
) -> None:
    wandb = pytest.importorskip("wandb", reason="the extra `wandb` is not installed")
    run = stopped(TrackerKind.WANDB)
    runs.train_run(data, run, settings, resume=True)
    evaluate_run(run, None, None)
    wandb.teardown()  # W&B's own process writes the files; it ends here

    parts = sorted((run / "wandb").glob("offline-run-*"))
    assert len(parts) == 3  # the first epoch, the rest, the evaluation
    run_id = json.loads((run / "tracking.json").read_text(encoding="utf-8"))["run_id"]
    assert all(part.name.endswith(f"-{run_id}") for part in parts)
    told = b"".join(file.read_bytes() for part in parts for file in part.glob("run-*.wandb"))
    for name in (b"validation/ndcg@10", b"validation/best_ndcg@10", b"train/loss", b"test/NDCG@10", b"dimension"):
        assert name in told
    assert b"Lamps" not in told
    assert b"s001" not in told


def test_both_halves_of_a_refit_and_all_trials_of_a_study_stand_side_by_side(
    data: Path, settings: TrainSettings, tmp_path: Path
) -> None:
    pytest.importorskip("mlflow", reason="the extra `mlflow` is not installed")
    from mlflow.tracking import MlflowClient

    def names(folder: Path) -> set[str]:
        client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
        experiment = client.get_experiment_by_name("portrait")
        return {told.info.run_name for told in client.search_runs([experiment.experiment_id])}

    refit = TrainSettings(**(vars(settings) | {"refit": True}))
    runs.train_run(data, tmp_path / "refit", refit, tracker=TrackerConfig(TrackerKind.MLFLOW, tmp_path / "refit"))
    assert names(tmp_path / "refit") == {"refit", "refit/train-only"}

    study = tmp_path / "study"
    base = {"base_model": settings.base_model, "max_epochs": 1}
    hyperparameters.search_hyperparameters(
        data, study, base, 2, None, 0, lambda *_: None, TrackerConfig(TrackerKind.MLFLOW, study)
    )
    assert names(study) == {"study/trials/0", "study/trials/1"}


@pytest.mark.parametrize("track", list(TrackerKind))
def test_a_missing_library_is_one_line_that_names_the_extra(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, track: TrackerKind
) -> None:
    for name in [track.value, *(name for name in sys.modules if name.startswith(f"{track.value}."))]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, f"portrait.training.tracking.{track.value}", raising=False)
    app = typer.Typer()
    app.command()(commands.train)
    result = CliRunner().invoke(app, [str(data), str(tmp_path / "run"), "--tracker", track.value])
    assert result.exit_code == 2
    assert explain_install(track.value) in " ".join(result.output.split())
    assert "Traceback" not in result.output


def _history(run: Path) -> dict[int, float]:
    position = torch.load(run / "checkpoint.pt", weights_only=True)["position"]
    return {entry["step"]: entry["validation_ndcg@10"] for entry in position["history"]}
