"""A whole run on small data: it ends, it can be killed and resumed, and its release agrees with it."""

import json
import multiprocessing
import os
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file, save_file
from support import tiny_data
from support.trained_weights import assert_same_weights

from portrait.training.encoders import domain_adaptation, trainer
from portrait.training.enums import FineTuning, Preset, Split
from portrait.training.errors import TrainingError
from portrait.training.ranker.model import Ranker
from portrait.training.run import run as runs
from portrait.training.run.evaluation import evaluate_run, rank_test_targets
from portrait.training.run.folder import TRAIN_ONLY_FOLDER
from portrait.training.settings import TrainSettings


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_data.write(tmp_path_factory.mktemp("data"))


def _settings(bert: Path, **chosen: object) -> TrainSettings:
    small = {"base_model": str(bert), "dimension": 16, "max_epochs": 4, "batch_events": 256, "frozen_bert_share": 0.25}
    return TrainSettings.from_preset(Preset.QUICK, **(small | chosen))


def _weights(run: Path) -> dict[str, torch.Tensor]:
    return torch.load(run / "model.pt", weights_only=True)["model"]


def _train_until_killed(data: Path, run: Path, settings: TrainSettings) -> None:
    """Train in another process and kill it, with no warning, soon after its first checkpoint."""
    process = multiprocessing.get_context("spawn").Process(target=runs.train_run, args=(data, run, settings))
    process.start()
    while not (run / "checkpoint.pt").exists():
        assert process.is_alive()
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.join()


@pytest.fixture(scope="module")
def whole(data: Path, bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "whole"
    runs.train_run(data, folder, _settings(bert))
    return folder


def test_a_killed_run_ends_like_one_that_was_not(data: Path, bert: Path, whole: Path, tmp_path: Path) -> None:
    settings = _settings(bert)
    _train_until_killed(data, tmp_path / "killed", settings)
    assert not (tmp_path / "killed" / "model.pt").exists()
    runs.train_run(data, tmp_path / "killed", settings, resume=True)
    expected, resumed = _weights(whole), _weights(tmp_path / "killed")
    assert expected.keys() == resumed.keys()
    for name, value in expected.items():
        torch.testing.assert_close(resumed[name], value, rtol=1e-3, atol=1e-4, msg=name)


def test_evaluation_ranks_better_than_popularity_and_dumps(whole: Path, tmp_path: Path) -> None:
    measured = evaluate_run(whole, None, tmp_path / "dump.parquet")
    ours, popular = (measured["ranking"][name]["NDCG@10"]["value"] for name in ("portrait", "popularity"))
    # A shopper stays with one category of four: whoever learns that is far ahead.
    assert ours > 1.2 * popular
    dumped = pl.read_parquet(tmp_path / "dump.parquet")
    assert dumped.columns == ["shopper_id", "position", "item_id", "score"]
    assert dumped.group_by("shopper_id").agg(pl.col("position").min())["position"].unique().to_list() == [1]
    assert (dumped.group_by("shopper_id").agg(pl.col("score").is_sorted(descending=True)))["score"].all()
    assert json.loads((whole / "metrics-loo.json").read_text(encoding="utf-8")) == json.loads(json.dumps(measured))


def test_the_other_split_is_measured_on_a_twin_that_has_not_seen_it(whole: Path) -> None:
    measured = evaluate_run(whole, Split.TIME, None)
    assert measured["split"] == "time"
    assert (whole / "time" / "model.pt").exists()


@pytest.mark.parametrize("tuning", [tuning for tuning in FineTuning if tuning is not FineTuning.FULL])
def test_each_tuning_goes_on_where_it_stopped_and_loads(
    data: Path, bert: Path, tmp_path: Path, tuning: FineTuning
) -> None:
    settings = _settings(bert, finetune=tuning, max_epochs=3, bert_every_steps=2)
    runs.train_run(data, tmp_path / "whole", settings)

    def stop(epoch: int, _: float) -> None:
        # The epoch before has left a checkpoint, in the midst of the steps that read texts.
        if epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        runs.run_trial(data, tmp_path / "stopped", settings, stop)
    runs.train_run(data, tmp_path / "stopped", settings, resume=True)
    expected, resumed = _weights(tmp_path / "whole"), _weights(tmp_path / "stopped")
    assert expected.keys() == resumed.keys()
    for name, value in expected.items():
        torch.testing.assert_close(resumed[name], value, rtol=1e-3, atol=1e-4, msg=name)
    loaded = runs.load_run(tmp_path / "stopped")
    everything = np.arange(len(loaded.corpus.texts))
    with torch.no_grad():
        read = loaded.cache.encode_texts(everything)
    torch.testing.assert_close(read, loaded.cache.pooled, rtol=0.05, atol=0.05)  # bfloat16 where the CPU has it


def test_a_run_that_stopped_in_the_adaptation_goes_on(
    data: Path, bert: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = domain_adaptation.DomainAdapter._train_step

    def stop(self: domain_adaptation.DomainAdapter, *arguments: object) -> None:
        if (tmp_path / "run" / domain_adaptation.ADAPTATION_FILE).exists():
            raise KeyboardInterrupt
        step(self, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(domain_adaptation, "_CHECKPOINT_STEPS", 3)
        patched.setattr(domain_adaptation.DomainAdapter, "_train_step", stop)
        with pytest.raises(KeyboardInterrupt):
            runs.train_run(data, tmp_path / "run", _settings(bert))
    assert not (tmp_path / "run" / "checkpoint.pt").exists()
    runs.train_run(data, tmp_path / "run", _settings(bert), resume=True)
    assert_same_weights(whole, tmp_path / "run")


def test_a_refit_learns_once_more_and_keeps_what_was_chosen(data: Path, bert: Path, tmp_path: Path) -> None:
    runs.train_run(data, tmp_path / "run", _settings(bert, max_epochs=2, refit=True, subspaces=2))
    chosen = [
        domain_adaptation.read_chosen_weight(each) for each in (tmp_path / "run", tmp_path / "run" / "train-only")
    ]
    assert chosen[0] == chosen[1]
    first, refit = runs.load_run(tmp_path / "run" / TRAIN_ONLY_FOLDER), runs.load_run(tmp_path / "run")
    # Some validation events are of the same moment as the test, and stay unseen.
    assert refit.holdout.train[first.holdout.validation].any()
    assert not refit.holdout.train[first.holdout.test].any()
    for name, value in first.ranker.state_dict().items():
        if name not in ("item_mean", "item_covariance"):  # these are of each run's own vectors
            torch.testing.assert_close(refit.ranker.state_dict()[name], value)
    torch.testing.assert_close(refit.ranker.item_mean, torch.from_numpy(refit.index.vectors.mean(0)))
    assert not torch.equal(first.model.residual.weight, refit.model.residual.weight)
    profiles = rank_test_targets(refit).vectors.profiles
    # Each of two subspaces has half of a vector's squared length.
    assert np.allclose((profiles.reshape(-1, 2, 8) ** 2).sum(-1), 0.5, atol=1e-5)


def test_a_query_decides_where_the_log_holds_none(data: Path, bert: Path, whole: Path, tmp_path: Path) -> None:
    shutil.copytree(data, tmp_path / "data")
    events = pl.read_parquet(data / "events.parquet").filter(pl.col("item_id").is_not_null())
    events.write_parquet(tmp_path / "data" / "events.parquet")
    runs.train_run(tmp_path / "data", tmp_path / "run", _settings(bert, max_epochs=1))
    unfitted, fitted = (runs.load_run(run).ranker for run in (tmp_path / "run", whole))
    # History moves the results of a search as far as searches have shown, and hardly where there was none.
    untouched = Ranker(1.0, 1.0, 8)
    assert torch.equal(unfitted.query_weights, untouched.query_weights)
    assert not torch.equal(fitted.query_weights, untouched.query_weights)
    assert torch.sigmoid(unfitted.gate).item() < 0.05
    assert unfitted.gate.item() == untouched.gate.item() != fitted.gate.item()


def test_too_little_data_is_refused(bert: Path, tmp_path: Path) -> None:
    data = tiny_data.write(tmp_path / "data", shoppers=5)
    with pytest.raises(TrainingError, match="too little data: 5 shoppers"):
        runs.train_run(data, tmp_path / "run", _settings(bert))


def test_a_folder_in_use_is_refused(data: Path, bert: Path, whole: Path) -> None:
    with pytest.raises(TrainingError, match="--resume"):
        runs.train_run(data, whole, _settings(bert))
    with pytest.raises(TrainingError, match="other settings"):
        runs.train_run(data, whole, _settings(bert, seed=7), resume=True)


def test_a_loss_that_is_no_number_ends_training_and_keeps_no_model(data: Path, bert: Path, tmp_path: Path) -> None:
    shutil.copytree(bert, tmp_path / "huge")
    weights = {name: tensor * 1e30 for name, tensor in load_file(bert / "model.safetensors").items()}
    save_file(weights, tmp_path / "huge" / "model.safetensors", {"format": "pt"})
    with pytest.raises(TrainingError, match=r"the loss is nan at step 1, .* base model"):
        runs.train_run(data, tmp_path / "run", _settings(tmp_path / "huge"))
    assert not list((tmp_path / "run").glob("*.pt"))


def test_training_that_gets_lost_names_the_step_and_the_settings(
    data: Path, bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third step finds weights that are no numbers, as after a step that was far too large."""
    step, losses = trainer.Trainer.train_step, []

    def lose(self: trainer.Trainer, group: list[object]) -> float:
        if len(losses) == 2:
            torch.nn.init.constant_(self._model.residual.weight, float("nan"))
        losses.append(step(self, group))
        return losses[-1]

    monkeypatch.setattr(trainer.Trainer, "train_step", lose)
    with pytest.raises(TrainingError, match=r"the loss is nan at step 3, .* lower learning_rate \(0.001\)"):
        runs.train_run(data, tmp_path / "run", _settings(bert))
    assert len(losses) == 2
    assert not (tmp_path / "run" / "model.pt").exists()
