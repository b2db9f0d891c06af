"""A run and its data set belong together by content: what changed is refused before anything is written."""

import hashlib
import json
import shutil
from pathlib import Path

import polars as pl
import pytest
from support import tiny_log
from support.command_line import run_portrait
from support.tiny_log import Shop

from portrait.training.dataset.identity import read_identity

TRAITS = """
[[trait]]
name = "buys"
horizon_days = 5
label = "SELECT shopper_id, true AS label FROM shoppers"
"""


@pytest.fixture
def copied(shop: Shop, tmp_path: Path) -> Shop:
    """A shop of its own, whose run knows where its data set lies now."""
    for folder in (shop.log, shop.data, shop.run):
        shutil.copytree(folder, tmp_path / folder.name)
    own = Shop(*(tmp_path / folder.name for folder in (shop.log, shop.data, shop.run)), shop.options)
    record = json.loads((own.run / "data.json").read_text(encoding="utf-8"))
    (own.run / "data.json").write_text(json.dumps(record | {"path": str(own.data)}), encoding="utf-8")
    return own


def _content(folder: Path) -> dict[str, str]:
    """Each file below a folder, and its hash."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("command", ["evaluate", "twin", "export", "report", "train-traits", "resume"])
def test_a_data_set_of_other_content_is_refused_and_nothing_is_written(
    copied: Shop, tmp_path: Path, command: str
) -> None:
    tiny_log.retitle(copied.log, "Lamps-3", "green toaster number 3")
    before = json.loads((copied.data / "report.json").read_text(encoding="utf-8"))
    assert run_portrait("prepare", copied.log, copied.data).code == 0
    after = json.loads((copied.data / "report.json").read_text(encoding="utf-8"))
    assert [before[count] for count in ("kept", "items", "shoppers")] == [
        after[count] for count in ("kept", "items", "shoppers")
    ]
    (tmp_path / "traits.toml").write_text(TRAITS, encoding="utf-8")
    held = _content(tmp_path)
    ended = run_portrait(*{
        "evaluate": ("evaluate", copied.run, "--dump", tmp_path / "dump.parquet"),
        "twin": ("evaluate", copied.run, "--split", "loo"),
        "export": ("export", copied.run, "--repository", tmp_path / "repository"),
        "report": ("report", copied.run, "--out", tmp_path / "report.html"),
        "train-traits": ("train-traits", copied.run, tmp_path / "traits.toml"),
        "resume": ("train", copied.data, copied.run, *copied.options, "--resume"),
    }[command])  # fmt: skip
    assert (ended.code, ended.stderr.count("\n")) == (2, 1), ended
    assert "is not the data set that" in ended.stderr
    assert _content(tmp_path) == held
    assert not (tmp_path / "repository").exists()


def test_a_run_that_was_stopped_goes_on_with_its_own_data_only(copied: Shop, tmp_path: Path) -> None:
    (copied.run / "model.pt").unlink()
    other = tiny_log.write(tmp_path / "other", seed=1)
    assert run_portrait("prepare", other, tmp_path / "prepared").code == 0
    held = _content(copied.run)
    ended = run_portrait("train", tmp_path / "prepared", copied.run, *copied.options, "--resume")
    assert (ended.code, ended.stderr.count("\n")) == (2, 1)
    assert _content(copied.run) == held


def test_the_same_log_prepared_again_is_the_same_data_set(copied: Shop) -> None:
    assert run_portrait("prepare", copied.log, copied.data).code == 0
    assert run_portrait("evaluate", copied.run).code == 0
    # Of a test as small as this, the report can show no parts.
    assert run_portrait("report", copied.run).code == 0


def test_a_data_set_that_moved_is_told_to_the_run_by_resuming(copied: Shop, tmp_path: Path) -> None:
    copied.data.rename(tmp_path / "moved")
    ended = run_portrait("evaluate", copied.run)
    assert (ended.code, ended.stderr.count("\n")) == (2, 1)
    assert "--resume" in ended.stderr
    weights = (copied.run / "model.pt").read_bytes()
    assert run_portrait("train", tmp_path / "moved", copied.run, *copied.options, "--resume").code == 0
    assert (copied.run / "model.pt").read_bytes() == weights
    assert run_portrait("evaluate", copied.run).code == 0


def test_tables_that_their_report_is_not_about_are_refused(copied: Shop, tmp_path: Path) -> None:
    items = pl.read_parquet(copied.data / "items.parquet")
    items.with_columns(pl.col("title").reverse()).write_parquet(copied.data / "items.parquet")
    ended = run_portrait("train", copied.data, tmp_path / "new", *copied.options)
    assert (ended.code, ended.stderr.count("\n")) == (2, 1)
    assert "run `portrait prepare` again" in ended.stderr
    assert not (tmp_path / "new").exists()


def test_a_typo_leaves_no_run(shop: Shop, tmp_path: Path) -> None:
    for data, options in (
        (tmp_path / "nowhere", shop.options),
        (shop.data, (*shop.options, "--base-model", tmp_path / "nowhere")),
        (shop.data, (*shop.options, "--erase", "gender")),
    ):
        ended = run_portrait("train", data, tmp_path / "new", *options)
        assert (ended.code, ended.stderr.count("\n")) == (2, 1), ended
        assert not (tmp_path / "new").exists()


def test_an_identity_is_of_content_not_of_files(shop: Shop, tmp_path: Path) -> None:
    """Compression, row groups, further columns and the folder's name have no part in it; each value has."""
    shutil.copytree(shop.data, tmp_path / "other")
    events = pl.read_parquet(tmp_path / "other" / "events.parquet")
    known = read_identity(shop.data)
    assert json.loads((shop.data / "report.json").read_text(encoding="utf-8"))["identity"] == known
    events.with_columns(further=pl.lit(1)).write_parquet(
        tmp_path / "other" / "events.parquet", compression="snappy", row_group_size=100
    )
    assert read_identity(tmp_path / "other") == known
    changes = {
        "price": pl.col("price") + 1,
        "query": pl.col("query").fill_null(""),
        "time": pl.col("time").dt.offset_by("1us"),
        "shopper_id": pl.col("shopper_id").shift().fill_null("s000"),
    }
    found = {known}
    for column, change in changes.items():
        events.with_columns(change.alias(column)).write_parquet(tmp_path / "other" / "events.parquet")
        found.add(read_identity(tmp_path / "other"))
    assert len(found) == 1 + len(changes)
