"""`portrait train-traits`: declared traits become heads of a run, or are absent with a reason."""

import json
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from support import tiny_data
from support.review_lines import review_line
from typer import Typer
from typer.testing import CliRunner

from portrait.features.histories.statistics import STATISTICS
from portrait.training import commands
from portrait.training.enums import Preset, Split
from portrait.training.run import run as runs
from portrait.training.settings import TrainSettings
from portrait.training.traits import labels

APP = Typer()
APP.command("train-traits")(commands.train_traits)

BUYS = "SELECT shopper_id, shopper_id IN (SELECT shopper_id FROM future WHERE type = 'purchase') AS label FROM shoppers"
FILE = f"""
[[trait]]
name = "buys_2d"
description = "Buys in the next two days."
horizon_days = 2
label = "{BUYS}"

[[trait]]
name = "never"
horizon_days = 2
label = "SELECT shopper_id, false AS label FROM shoppers"

[[trait]]
name = "buys_90d"
horizon_days = 90
label = "{BUYS}"
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("traits")
    data = tiny_data.write(folder / "data", shoppers=500)
    settings = TrainSettings.from_preset(
        Preset.QUICK, base_model=str(tiny_data.write_bert(folder / "bert")), dimension=16, max_epochs=1,
        batch_events=512, split=Split.TIME,
    )  # fmt: skip
    runs.train_run(data, folder / "run", settings)
    return folder / "run"


def test_traits_become_heads_or_are_absent_with_a_reason(run: Path, tmp_path: Path) -> None:
    file = tmp_path / "traits.toml"
    file.write_text(FILE, encoding="utf-8")
    answer = CliRunner().invoke(APP, [str(run), str(file), "--json"])
    assert answer.exit_code == 0, answer.output
    buys, never, too_long = json.loads(answer.stdout)
    assert buys["absent"] is None
    assert "too few positives: 0 of" in never["absent"]
    assert "window too short" in too_long["absent"]
    assert set(buys["test"]) == {"auc", "calibration_error", "excess", "brier"}
    assert sum(point["samples"] for point in buys["reliability"]) == buys["samples"]["test"]["samples"]

    traits = runs.load_run(run).traits
    assert traits is not None
    assert traits.heads is not None
    assert traits.names == ["buys_2d"]
    assert "reliability" not in traits.manifest_entries[0]
    kept = next(entry for entry in traits.manifest_entries if entry["name"] == buys["name"])
    assert sum(kept["distribution"]["counts"]) == buys["samples"]["test"]["samples"]
    with torch.no_grad():
        found = traits.heads(torch.zeros(3, 16), torch.zeros(3, len(STATISTICS))).numpy()
    assert found.shape == (3, 1)
    assert ((found > 0) & (found < 1)).all()
    np.testing.assert_allclose(found[0], found[1], rtol=1e-6)  # the order of sums differs between machines

    # Of shoppers of whom somebody reviewed it, a trait learns corrections of the time, and nothing else.
    file.write_text(FILE.partition('[[trait]]\nname = "never"')[0], encoding="utf-8")
    reviews = tmp_path / "reviews.jsonl"
    reviewed = runs.load_run(run).corpus.shopper_ids[:200]
    early, late = (datetime(year, 1, 1, tzinfo=UTC) for year in (2026, 2027))
    lines = [
        review_line(action, value=0.9, trait="buys_2d", shopper_id=each, reviewed_at=at)
        for (action, at), ids in zip(
            (("correct", early), ("correct", late), ("pin", early)), (reviewed[:70], reviewed[70:140], reviewed[140:]),
            strict=True,
        )
        for each in ids
    ]  # fmt: skip
    reviews.write_text("\n".join(lines), encoding="utf-8")
    answer = CliRunner().invoke(APP, [str(run), str(file), "--json", "--reviews", str(reviews)])
    assert answer.exit_code == 0, answer.output
    [without] = json.loads(answer.stdout)
    for part in ("train", "validation"):
        assert 0 < without["samples"][part]["samples"] < 0.8 * buys["samples"][part]["samples"]
    assert without["samples"]["test"] == buys["samples"]["test"]
    left_out = buys["samples"]["train"]["samples"] - without["samples"]["train"]["samples"]
    assert (buys["corrected"], 0 < without["corrected"] < 0.5 * left_out) == (0, True)


def test_reviews_of_other_shoppers_are_told(run: Path, tmp_path: Path) -> None:
    file, reviews = tmp_path / "traits.toml", tmp_path / "reviews.jsonl"
    file.write_text(FILE, encoding="utf-8")
    reviews.write_text(review_line(trait="buys_2d", shopper_id="nobody"), encoding="utf-8")
    answer = CliRunner().invoke(APP, [str(run), str(file), "--reviews", str(reviews)])
    assert (answer.exit_code, "names no shopper" in answer.output) == (2, True)


def test_what_is_wrong_is_told_in_one_line(run: Path, tmp_path: Path) -> None:
    file = tmp_path / "traits.toml"
    file.write_text(FILE.replace("FROM future", "FROM futures"), encoding="utf-8")
    answer = CliRunner().invoke(APP, [str(run), str(file)])
    assert answer.exit_code == 2
    assert "trait buys_2d, field 'label': can't be evaluated" in answer.output
    assert len(answer.output.strip().splitlines()) == 1


def test_a_label_that_runs_away_is_told_in_one_line(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limited = partial(labels.open_labeller, limits=labels.Limits(seconds=1.0, memory_mib=256))
    monkeypatch.setattr("portrait.training.run.traits.open_labeller", limited)
    file = tmp_path / "traits.toml"
    joined = "(SELECT count(*) FROM past AS a, past AS b, past AS c WHERE a.time < b.time) > 0"
    file.write_text(FILE.replace(BUYS, f"SELECT shopper_id, {joined} AS label FROM shoppers"), encoding="utf-8")
    answer = CliRunner().invoke(APP, [str(run), str(file)])
    assert answer.exit_code == 2
    assert "trait buys_2d, field 'label': takes too much at one moment; the limit is 1 s" in answer.output
    assert len(answer.output.strip().splitlines()) == 1
