"""Training and evaluation on another device than the CPU, which is simulated: every tensor is made where it is used."""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import polars as pl
import pytest
import torch
from support import simulated_device, tiny_data
from support.command_line import run_portrait
from support.trained_weights import assert_same_weights

from portrait.training.encoders import trainer
from portrait.training.enums import Demographic, FineTuning, Preset, TrainingPrecision
from portrait.training.run import run as runs
from portrait.training.run.evaluation import evaluate_run
from portrait.training.settings import TrainSettings


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tiny_data.write(tmp_path_factory.mktemp("data"))
    shoppers = pl.read_parquet(folder / "events.parquet")["shopper_id"].unique().sort()
    genders = [("f", "m")[number % 2] for number in range(len(shoppers))]
    pl.DataFrame({"shopper_id": shoppers, "gender": genders}).write_parquet(folder / "shoppers.parquet")
    return folder


def _settings(bert: Path, **chosen: object) -> TrainSettings:
    small = {
        "base_model": str(bert), "dimension": 16, "max_epochs": 2, "batch_events": 512, "frozen_bert_share": 0.25,
        "adaptation_steps": 3,
    }  # fmt: skip
    exact = {"dropout": 0.0, "residual_dropout": 0.0, "bert_every_steps": 2, "precision": TrainingPrecision.FP32}
    return TrainSettings.from_preset(Preset.QUICK, **(small | exact | chosen))


@pytest.fixture(scope="module")
def with_device() -> Iterator[ProcessPoolExecutor]:
    """A process that may use the simulated device, as this one may not."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        yield pool


def _train_on_both(data: Path, cpu_run: Path, run: Path, settings: TrainSettings) -> None:
    trained_on = []
    step = trainer.Trainer.train_step

    def train_step(self: trainer.Trainer, group: list[object]) -> float:
        trained_on.append({parameter.device for parameter in self._model.parameters()})
        return step(self, group)

    with simulated_device.use() as device:
        # Here too, since Transformers draws other random numbers while a mode sees its operations.
        runs.train_run(data, cpu_run, settings)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(trainer.Trainer, "train_step", train_step)
            runs.train_run(data, run, settings, device=device)
        assert trained_on
        assert all(found == {device} for found in trained_on)
        evaluate_run(run, None, None, device)


def _resume(data: Path, run: Path, settings: TrainSettings) -> None:
    with simulated_device.use() as device:
        runs.train_run(data, run, settings, resume=True, device=device)


@pytest.mark.parametrize(
    "chosen",
    [
        {
            "finetune": FineTuning.ADALORA, "max_full_softmax_items": 4, "sampled_negatives": 16,
            "erase": (Demographic.GENDER,),
        },
        {"refit": True, "subspaces": 2},
    ],
    ids=["adalora and erase", "refit"],
)  # fmt: skip
def test_a_run_on_another_device_has_the_weights_of_one_on_the_cpu(
    data: Path, bert: Path, tmp_path: Path, with_device: ProcessPoolExecutor, chosen: dict[str, object]
) -> None:
    settings = _settings(bert, **chosen)
    with_device.submit(_train_on_both, data, tmp_path / "cpu", tmp_path / "device", settings).result()
    assert_same_weights(tmp_path / "cpu", tmp_path / "device")
    assert (tmp_path / "device" / "metrics-loo.json").exists()


def test_a_run_that_stopped_on_the_cpu_goes_on_on_another_device(
    data: Path, bert: Path, tmp_path: Path, with_device: ProcessPoolExecutor
) -> None:
    settings = _settings(bert, finetune=FineTuning.ADALORA, max_epochs=3)
    runs.train_run(data, tmp_path / "whole", settings)

    def stop(epoch: int, _: float) -> None:
        if epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        runs.run_trial(data, tmp_path / "stopped", settings, stop)
    with_device.submit(_resume, data, tmp_path / "stopped", settings).result()
    assert_same_weights(tmp_path / "whole", tmp_path / "stopped")


def test_a_run_in_bfloat16_learns_nearly_what_one_in_float32_learns(data: Path, bert: Path, tmp_path: Path) -> None:
    histories = []
    for precision in (TrainingPrecision.FP32, TrainingPrecision.BF16):
        run = tmp_path / precision.value
        runs.train_run(data, run, _settings(bert, precision=precision, gradient_checkpointing_texts=4))
        history = torch.load(run / trainer.CHECKPOINT_FILE, weights_only=True)["trainer_state"]["history"]
        histories.append([epoch["loss"] for epoch in history])
    assert histories[0] != histories[1]
    assert histories[0] == pytest.approx(histories[1], abs=0.05)


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("tpu", "there is no device 'tpu'; there are auto, cpu, cuda and cuda:N"),
        ("cuda:x", "there is no device 'cuda:x'"),
        ("cuda:99", "no GPU for --device cuda:99" if not torch.cuda.is_available() else "there is no device cuda:99"),
    ],
)
def test_a_device_that_is_not_there_is_refused(
    data: Path, bert: Path, tmp_path: Path, device: str, message: str
) -> None:
    ended = run_portrait("train", data, tmp_path / "run", "--base-model", bert, "--device", device)
    assert ended.code == 2
    assert message in ended.stderr
    assert not (tmp_path / "run").exists()
