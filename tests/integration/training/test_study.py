"""A study on small data: it goes on after a kill, and never looks at the test."""

import json
import multiprocessing
import os
import shutil
import signal
import time
from pathlib import Path

import optuna
import polars as pl
import pytest
import typer
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from support import tiny_data
from typer.testing import CliRunner

from portrait.training import commands
from portrait.training.dataset import corpus as corpora
from portrait.training.dataset import splits
from portrait.training.enums import Preset, Split
from portrait.training.errors import TrainingError
from portrait.training.run import study
from portrait.training.settings import TrainSettings


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    bert = tiny_data.write_bert(tmp_path_factory.mktemp("bert"))
    return {"base_model": str(bert), "max_epochs": 2, "frozen_bert_share": 0.5}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_data.write(tmp_path_factory.mktemp("data"))


def _told(*_: object) -> None:
    pass


def _search(data: Path, folder: Path, base: dict[str, object], trials: int) -> dict[str, object]:
    return study.search_hyperparameters(data, folder, base, trials, None, 0, _told)


def _trials(folder: Path) -> list[optuna.trial.FrozenTrial]:
    storage = JournalStorage(JournalFileBackend(str(folder / study.JOURNAL_FILE)))
    return optuna.load_study(study_name="portrait", storage=storage).trials


def test_a_killed_study_goes_on_and_ends_with_as_many_trials_as_asked(
    data: Path, base: dict[str, object], tmp_path: Path
) -> None:
    folder = tmp_path / "study"
    process = multiprocessing.get_context("spawn").Process(target=_search, args=(data, folder, base, 3))
    process.start()
    while not (folder / "trials" / "1" / "settings.json").exists():
        assert process.is_alive()
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    best = _search(data, folder, base, 3)
    trials = _trials(folder)
    assert sum(trial.state in (TrialState.COMPLETE, TrialState.PRUNED) for trial in trials) == 3
    assert not any(trial.state is TrialState.RUNNING for trial in trials)
    given_up = [trial.params for trial in trials if trial.state is TrialState.FAIL]
    assert all(any(trial.params == params for trial in trials if trial.value) for params in given_up)
    winner = max((trial for trial in trials if trial.state is TrialState.COMPLETE), key=lambda trial: trial.value)
    assert winner.params.items() <= best.items()
    assert json.loads((folder / study.BEST_FILE).read_text(encoding="utf-8")) == json.loads(
        json.dumps(best, default=str)
    )
    assert not list(folder.glob("trials/*/*.pt"))
    # As many as asked are there: nothing more is tried.
    assert _search(data, folder, base, 3) == best
    assert len(_trials(folder)) == len(trials)


def test_a_study_knows_nothing_of_the_test_items(data: Path, base: dict[str, object], tmp_path: Path) -> None:
    """Other test items, same values: every trial is judged by validation alone."""
    changed = tmp_path / "data"
    changed.mkdir()
    for name in ("items.parquet", "report.json"):
        (changed / name).write_bytes((data / name).read_bytes())
    events = pl.read_parquet(data / "events.parquet").sort("shopper_id", "sequence")
    corpus = corpora.load_corpus(data)
    test = splits.hold_out(corpus, Split.LOO).test
    rows = events.with_row_index("row")
    rows = rows.with_columns(
        pl.when(pl.col("row").is_in(test.tolist())).then(pl.lit("Rugs-0")).otherwise("item_id").alias("item_id")
    )
    rows.drop("row").write_parquet(changed / "events.parquet")
    for folder, source in ((tmp_path / "one", data), (tmp_path / "two", changed)):
        _search(source, folder, base, 1)
    first, second = (_trials(tmp_path / name)[0] for name in ("one", "two"))
    assert first.params == second.params
    assert first.value == pytest.approx(second.value)


def test_trials_share_a_preset_that_the_settings_name(data: Path, base: dict[str, object], tmp_path: Path) -> None:
    best = _search(data, tmp_path / "study", {**base, "preset": Preset.BEST}, 1)
    assert best["preset"] is Preset.BEST
    assert TrainSettings.read(tmp_path / "study" / "trials" / "0" / "settings.json").subspaces == 2


def test_another_data_set_is_refused(data: Path, base: dict[str, object], tmp_path: Path) -> None:
    _search(data, tmp_path / "study", base, 1)
    journal = (tmp_path / "study" / study.JOURNAL_FILE).read_bytes()
    shutil.copytree(data, tmp_path / "copied")
    _search(tmp_path / "copied", tmp_path / "study", base, 1)
    other = tiny_data.write(tmp_path / "other", seed=1)
    with pytest.raises(TrainingError, match="of other data; name a new folder"):
        _search(other, tmp_path / "study", base, 1)
    assert (tmp_path / "study" / study.JOURNAL_FILE).read_bytes() == journal


def test_a_typo_leaves_no_study(data: Path, base: dict[str, object], tmp_path: Path) -> None:
    for source, settings in ((tmp_path / "elsewhere", base), (data, base | {"base_model": str(tmp_path / "nowhere")})):
        with pytest.raises(TrainingError):
            _search(source, tmp_path / "study", settings, 1)
        assert not (tmp_path / "study").exists()


def test_a_damaged_journal_is_told(data: Path, base: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / study.JOURNAL_FILE).write_text("{\n}\n", encoding="utf-8")
    with pytest.raises(TrainingError, match="not the journal of a study"):
        _search(data, tmp_path / "study", base, 1)


def test_settings_of_a_file_count_less_than_options(tmp_path: Path) -> None:
    path = tmp_path / "best.json"
    path.write_text(json.dumps({"dimension": 64, "split": "time"}), encoding="utf-8")
    settings = TrainSettings.from_preset(Preset.BEST, **{**TrainSettings.read_overrides(path), "split": Split.LOO})
    assert (settings.dimension, settings.split, settings.subspaces) == (64, Split.LOO, 2)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('{"depth": 3}', "'depth'"),
        ('{"dimension": 30, "heads": 4}', "dimension 30"),
        ("[1]", "no JSON object"),
        ("{", "no settings file"),
        ('{"split": "sideways"}', "sideways"),
        ('{"dropout": "little"}', "'dropout'"),
        ('{"layers": 2.5}', "'layers'"),
    ],
)
def test_a_wrong_settings_file_is_told_in_one_line(data: Path, tmp_path: Path, content: str, told: str) -> None:
    path = tmp_path / "settings.json"
    path.write_text(content, encoding="utf-8")
    app = typer.Typer()
    app.command()(commands.train)
    ended = CliRunner().invoke(app, [str(data), str(tmp_path / "run"), "--settings", str(path)])
    assert ended.exit_code == 2
    assert told in ended.stderr
    assert not (tmp_path / "run").exists()
