"""Data-parallel training under torchrun: two processes train what one trains, and end together."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from support import tiny_data
from support.command_line import run_portrait
from support.ports import find_free_port
from support.trained_weights import assert_same_weights

from portrait.training.encoders import trainer
from portrait.training.run import run as runs
from portrait.training.run.folder import TRAIN_ONLY_FOLDER
from portrait.training.settings import TrainSettings

pytestmark = pytest.mark.slow

EXACT = {"dropout": 0.0, "residual_dropout": 0.0, "precision": "fp32"}
SMALL = {"dimension": 16, "max_epochs": 2, "batch_events": 512, "frozen_bert_share": 0.25, "bert_every_steps": 2}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_data.write(tmp_path_factory.mktemp("data"))


def _torchrun(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a command of `portrait` in two processes."""
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--no-python"]
    portrait = Path(sys.executable).parent / "portrait"
    return subprocess.run(
        [*launch, portrait, *map(str, arguments)], capture_output=True, encoding="utf-8", check=False, timeout=300,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def _write_settings(folder: Path, bert: Path, chosen: dict[str, object]) -> Path:
    path = folder / "settings.json"
    path.write_text(json.dumps(SMALL | EXACT | {"base_model": str(bert)} | chosen), encoding="utf-8")
    return path


def test_two_processes_train_what_one_trains(data: Path, bert: Path, tmp_path: Path) -> None:
    chosen = {"finetune": "adalora", "gradient_checkpointing_texts": 3, "subspaces": 2}
    settings = _write_settings(tmp_path, bert, chosen | {"refit": True, "gradient_accumulation": 2})
    ended = _torchrun("train", data, tmp_path / "two", "--settings", settings)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("trained: ") == 1
    runs.train_run(data, tmp_path / "one", TrainSettings.read(settings))
    _assert_same_training(tmp_path / "one", tmp_path / "two", TRAIN_ONLY_FOLDER)


def test_a_stopped_run_goes_on_in_two_processes(data: Path, bert: Path, tmp_path: Path) -> None:
    # A batch may hold a single window, and a step fewer texts than there are processes.
    chosen = {"max_full_softmax_items": 4, "sampled_negatives": 16, "batch_events": 30, "bert_texts_per_step": 1}
    settings = _write_settings(tmp_path, bert, chosen)
    runs.train_run(data, tmp_path / "whole", TrainSettings.read(settings))

    def stop(epoch: int, _: float) -> None:
        if epoch == 1:  # the second, whose checkpoint is not written yet
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        runs.run_trial(data, tmp_path / "stopped", TrainSettings.read(settings), stop)
    assert len(_read_history(tmp_path / "stopped")) == 1
    ended = _torchrun("train", data, tmp_path / "stopped", "--settings", settings, "--resume")
    assert ended.returncode == 0, ended.stderr
    _assert_same_training(tmp_path / "whole", tmp_path / "stopped", ".")


def _assert_same_training(one: Path, two: Path, validated: str) -> None:
    """Compare the weights of two runs of two epochs, and the histories of those parts that were validated."""
    assert_same_weights(one, two)
    histories = [_read_history(run / validated) for run in (one, two)]
    assert [len(history) for history in histories] == [2, 2]
    for first, second in zip(*histories, strict=True):
        assert first == pytest.approx(second, abs=1e-4)


def _read_history(run: Path) -> list[dict[str, float]]:
    """Read step, loss and validation of each epoch."""
    history: list[dict[str, float]] = torch.load(run / "checkpoint.pt", weights_only=True)["trainer_state"]["history"]
    return history


def test_one_process_of_each_machine_computes_what_the_others_map(tmp_path: Path) -> None:
    """Three processes, the last one on another machine as far as it knows."""
    port = str(find_free_port())
    started = [
        subprocess.Popen(
            [sys.executable, "-c", _COMPUTES_ONCE],
            stdout=subprocess.PIPE, encoding="utf-8",
            env=os.environ | {
                "RANK": str(rank), "LOCAL_RANK": str(local_rank), "WORLD_SIZE": "3", "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": port, "TMPDIR": str(tmp_path),
            },
        )
        for rank, local_rank in enumerate([0, 1, 0])
    ]  # fmt: skip
    said = [json.loads(process.communicate(timeout=120)[0]) for process in started]
    first, _, other = (process.pid for process in started)
    assert [each["computed_by"] for each in said] == [first, first, other]
    assert all(each["mapped"] and each["sum"] == 499_500 and each["empty"] == 0 for each in said)
    assert not list(tmp_path.iterdir())


_COMPUTES_ONCE = """
import json, os
import numpy as np, torch
from portrait.training import distributed

with distributed.join_processes(torch.device("cpu")):
    value = distributed.compute_once(
        lambda: {"pid": os.getpid(), "array": np.arange(1000), "empty": np.empty(0, dtype=np.int64)}
    )
    mapped = isinstance(value["array"], np.memmap)
    value["array"] += 1  # of this process alone
    value["array"] -= 1
    print(json.dumps({
        "computed_by": value["pid"], "mapped": mapped, "sum": int(value["array"].sum()), "empty": len(value["empty"]),
    }))
"""


def test_an_error_ends_all_processes_with_its_line(data: Path, bert: Path, tmp_path: Path) -> None:
    settings = _write_settings(tmp_path, bert, {})
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "file").touch()
    ended = _torchrun("train", data, tmp_path / "run", "--settings", settings)
    assert ended.returncode != 0
    assert "is not empty" in ended.stderr
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["file"]


def test_a_search_is_refused_in_several_processes(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")  # as torchrun tells each process
    ended = run_portrait("tune", data, tmp_path / "study")
    assert ended.code == 2
    assert "portrait tune runs in one process" in ended.stderr
    assert not (tmp_path / "study").exists()


def test_a_process_that_dies_ends_the_others(data: Path, bert: Path, tmp_path: Path) -> None:
    """The second process is killed at its third step; the first loses contact and says so, or is ended by torchrun."""
    settings = _write_settings(tmp_path, bert, {"max_epochs": 50, "patience": 50})
    script = tmp_path / "train.py"
    script.write_text(_DIES, encoding="utf-8")
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    ended = subprocess.run(
        [*launch, script, data, tmp_path / "run", settings], capture_output=True, encoding="utf-8", check=False,
        timeout=300, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert ended.returncode != 0
    assert "Signal 9 (SIGKILL) received by PID" in ended.stderr
    assert not (tmp_path / "run" / runs.MODEL_FILE).exists()
    assert not list((tmp_path / "run").glob("*.tmp"))


_DIES = f"""
import os, signal, sys
from {trainer.__name__} import Trainer
from portrait.client import cli

step, done = Trainer.train_step, []

def train_step(self, group):
    if len(done) == 2 and os.environ["RANK"] == "1":
        os.kill(os.getpid(), signal.SIGKILL)
    done.append(step(self, group))
    return done[-1]

Trainer.train_step = train_step
data, run, settings = sys.argv[1:]
sys.argv = ["portrait", "train", data, run, "--settings", settings]
cli.main()
"""
