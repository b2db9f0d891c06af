"""The fine-tuning benchmark: validation chooses the learning rate, and the test is ranked for that rate alone."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.finetuning import cli as finetuning
from benchmarks.finetuning import trial
from portrait.training.enums import FineTuning
from portrait.training.metrics import MISSED

WORSE, BETTER = np.array([0, 9, MISSED, MISSED]), np.array([0, 0, 3, MISSED])


def _done(folder: Path, rate: float, validation: np.ndarray) -> tuple[Path, float]:
    folder.mkdir()
    np.save(folder / trial.VALIDATION, validation)
    cost = {"rate": rate, "parameters": {"text": 5, "all": 9}, "seconds": 1.0, "cpu_seconds": 2.0, "peak_gib": 0.5}
    (folder / trial.COST).write_text(json.dumps(cost | {"parity": 1e-7}), encoding="utf-8")
    return folder, rate


def test_validation_chooses_and_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    tried = [_done(tmp_path / "low", 1e-4, WORSE), _done(tmp_path / "high", 4e-4, BETTER)]
    test = np.array([MISSED, 2, 5, 0])
    np.save(tmp_path / "high" / finetuning.TEST, test)
    way = finetuning.choose_rate(tmp_path / "no data", FineTuning.LORA, tried)
    assert way["rate"] == 4e-4
    assert list(way["tried"]) == ["0.0001", "0.0004"]
    np.testing.assert_array_equal(way["ranks"]["test"], test)
    assert not (tmp_path / "low" / finetuning.TEST).exists()


def test_each_way_is_tried_at_each_factor_of_its_own_rate(tmp_path: Path) -> None:
    tried = finetuning.list_trials(tmp_path, [1.0, 4.0])
    assert set(tried) == set(FineTuning)
    assert [rate for _, rate in tried[FineTuning.FULL]] == pytest.approx([1e-5, 4e-5])
    assert len(tried[FineTuning.FROZEN]) == 1
