"""Baselines beside a run: what `portrait train` says of them, and what `portrait evaluate` and the report show."""

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.command_line import run_portrait
from support.tiny_log import Shop

from portrait.training.baselines import comparison
from portrait.training.baselines.protocol import Task
from portrait.training.baselines.registry import list_suitable
from portrait.training.dataset.splits import hold_out
from portrait.training.run import run as runs
from portrait.training.run import validation
from portrait.training.run.baselines import find_settings
from portrait.training.run.folder import BASELINES_FILE, TRAIN_ONLY_FOLDER
from portrait.training.run.kept_baselines import rank_validation
from portrait.training.run.validation import compare_on_validation, warn_below_baselines


@pytest.fixture
def copied(shop: Shop, tmp_path: Path) -> Path:
    return Path(shutil.copytree(shop.run, tmp_path / "run"))


def _read_kept(run: Path) -> dict[str, Any]:
    return json.loads((run / BASELINES_FILE).read_text(encoding="utf-8"))


def test_training_ends_with_a_comparison_on_validation_alone(shop: Shop) -> None:
    kept = json.loads((shop.run / runs.VALIDATION_FILE).read_text(encoding="utf-8"))
    trained = runs.load_run(shop.run)
    assert kept["shoppers"] == len(trained.holdout.validation)
    assert not np.isin(trained.holdout.validation, trained.holdout.test).any()
    suitable = {each.name for each in list_suitable(Task(trained.corpus, trained.holdout))}
    assert set(kept["ranking"]) == {"portrait", *suitable}
    assert kept == json.loads(json.dumps(compare_on_validation(trained)))


def test_evaluation_shows_every_baseline_with_its_paired_difference(shop: Shop, copied: Path) -> None:
    ended = run_portrait("evaluate", copied)
    assert ended.code == 0, ended
    measured = json.loads((copied / "metrics-time.json").read_text(encoding="utf-8"))
    rows = measured["ranking"]
    assert measured["baseline_settings"] == _read_kept(shop.run)["settings"]
    assert list(rows) == ["portrait", *measured["baseline_settings"]]
    for name in measured["baseline_settings"]:
        for metric in ("NDCG@10", "HR@10"):
            paired = rows[name][metric]["portrait_minus_this"]
            assert paired["difference"] == pytest.approx(
                rows["portrait"][metric]["value"] - rows[name][metric]["value"]
            )
            assert paired["interval"][0] <= paired["difference"] <= paired["interval"][1]
        [line] = [line for line in ended.stdout.splitlines() if line.startswith(f"│ {name} ") and "(" in line]
        assert f"{rows[name]['NDCG@10']['value']:.4f}" in line
        assert f"{rows[name]['NDCG@10']['portrait_minus_this']['difference']:+.4f} (" in line


def test_the_report_shows_the_same_baselines(copied: Path) -> None:
    assert run_portrait("report", copied).code == 0
    measured = json.loads((copied / "metrics-time.json").read_text(encoding="utf-8"))
    text = (copied / "report.html").read_text(encoding="utf-8")
    for name in measured["baseline_settings"]:
        assert f'<th scope="row">{name}</th>' in text


def test_settings_are_chosen_anew_where_none_are_kept(copied: Path) -> None:
    kept = _read_kept(copied)["settings"]
    (copied / BASELINES_FILE).unlink()
    assert find_settings(runs.load_run(copied)) == kept


@pytest.mark.parametrize("damage", [{}, {"settings": {}}, {"ranks": {}}, {"ranks": 3}, {"ranks": {"popularity": [1]}}])
def test_baselines_that_are_not_those_of_today_are_ranked_anew(copied: Path, damage: dict[str, object]) -> None:
    kept, path = _read_kept(copied), copied / BASELINES_FILE
    path.write_text(json.dumps((kept | damage) if damage else {}), encoding="utf-8")
    trained = runs.load_run(copied)
    _, found = rank_validation(copied, trained.corpus, trained.holdout, trained.settings.seed)
    assert found.settings == kept["settings"]
    assert {name: ranks.tolist() for name, ranks in found.ranks.items()} == kept["ranks"]
    assert _read_kept(copied) == kept


def test_a_refit_is_measured_with_the_settings_of_its_train_only_run(shop: Shop, copied: Path) -> None:
    """The fits of a refit know the validation events: chosen by them, settings would be too good."""
    kept = copied / TRAIN_ONLY_FOLDER
    kept.mkdir()
    (copied / BASELINES_FILE).rename(kept / BASELINES_FILE)
    trained = runs.load_run(copied)
    trained.holdout = hold_out(trained.corpus, trained.settings.split, refit=True)
    expected = _read_kept(kept)["settings"]
    assert find_settings(trained) == expected
    (kept / BASELINES_FILE).unlink()
    assert find_settings(trained) == expected


@pytest.mark.parametrize("better", [True, False])
def test_a_warning_says_whether_portrait_is_above_the_baselines(
    copied: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, better: bool
) -> None:
    (copied / runs.VALIDATION_FILE).unlink()

    def rank(trained: runs.TrainedRun, _: object) -> np.ndarray:
        return np.full(len(trained.holdout.validation), 0 if better else 15)

    monkeypatch.setattr(validation.evaluation, "find_portrait_ranks", rank)
    with caplog.at_level(logging.WARNING):
        warn_below_baselines(copied)
    assert (copied / runs.VALIDATION_FILE).exists()
    if better:
        assert not caplog.messages
        return
    [message] = caplog.messages
    ranking = json.loads((copied / runs.VALIDATION_FILE).read_text(encoding="utf-8"))["ranking"]
    strongest = comparison.find_strongest(ranking)
    assert f"{strongest!r}: NDCG@10 0.0000 against {ranking[strongest]['NDCG@10']['value']:.4f}" in message
    caplog.clear()
    warn_below_baselines(copied)
    assert not caplog.messages, "a run is compared once"


def test_a_comparison_that_fails_leaves_the_run_as_it_is(
    shop: Shop, copied: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (copied / runs.VALIDATION_FILE).unlink()
    (copied / runs.TOKENIZER_FILE).write_bytes(b"damaged")
    with caplog.at_level(logging.WARNING):
        warn_below_baselines(copied)
    [message] = caplog.messages
    assert "could not be compared with baselines" in message
    assert not (copied / runs.VALIDATION_FILE).exists()
