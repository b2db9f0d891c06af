"""The benchmark over a folder of data sets, on two small ones: what it skips, what it repeats and what it writes."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from support import tiny_log
from support.command_line import run_portrait
from support.tiny_log import Shop

from benchmarks.common import results, steps
from benchmarks.quality_sets import cli
from benchmarks.quality_sets.shortcuts import measure_shortcuts
from portrait.training.dataset.corpus import NO_ITEM, load_corpus
from portrait.training.dataset.splits import hold_out
from portrait.training.enums import Split


def test_every_data_set_is_measured_by_each_split_and_nothing_twice(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, ran = tmp_path / "sources", []
    tiny_log.write(folder / "timed", shoppers=40)
    timeless = tiny_log.write(folder / "timeless", shoppers=40, events=30)
    pl.read_csv(timeless / "events.csv").drop("time").write_csv(timeless / "events.csv")
    tiny_log.write(folder / "too-small", shoppers=3)
    (folder / "images").mkdir()

    def run(*arguments: object) -> None:
        # The commands of a user, with a small base model.
        ran.append(tuple(map(str, arguments)))
        small = shop.options[:4] if arguments[0] == "train" and "--base-model" not in arguments else ()
        ended = run_portrait(*arguments, *small)
        if ended.code:
            raise steps.StepError(ended.stderr)

    monkeypatch.setattr(steps, "_run_portrait", run)
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    names = ["timed", "timeless", "too-small"]
    arguments = [str(folder), "--work", str(tmp_path / "work"), "--only", *names]
    assert cli.main(arguments) == 0
    assert [(each[0], each[-1]) for each in ran if each[0] == "train"] == [
        ("train", "loo"), ("train", "time"), ("train", "loo")
    ]  # fmt: skip
    content = json.loads((tmp_path / "quality-sets.json").read_text(encoding="utf-8"))
    assert [(row["data"], row["split"]) for row in content["sets"]] == [
        ("timed", "loo"), ("timed", "time"), ("timeless", "loo")
    ]  # fmt: skip
    text = (tmp_path / "quality-sets.md").read_text(encoding="utf-8")
    for row in content["sets"]:
        assert f"| {row['data']} | {row['split']} | {row['shoppers']} |" in text
        assert f"{row['ranking']['portrait']['NDCG@10']['value']:.4f}" in text
    assert "images: left out" in capsys.readouterr().out
    ran.clear()
    assert cli.main(arguments) == 0
    assert ran == []
    only = [*arguments[:3], "--only", "timeless", "--seeds", "2", "--without-bert"]
    assert cli.main(only) == 0
    assert [each[0] for each in ran] == ["train", "evaluate", "train"]
    (row,) = json.loads((tmp_path / "quality-sets.json").read_text(encoding="utf-8"))["sets"]
    assert row["ndcg_by_seed"][0] == row["ranking"]["portrait"]["NDCG@10"]["value"]
    assert len(row["ndcg_by_seed"]) == 2
    assert row["worth_of_bert"]["all shoppers"]["shoppers"] == row["shoppers"]
    assert "What the BERT is worth" in (tmp_path / "quality-sets.md").read_text(encoding="utf-8")


def test_a_data_set_that_fails_is_named_and_the_next_one_follows(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        tiny_log.write(tmp_path / "sources" / name, shoppers=30)

    def run(*arguments: object) -> None:
        if arguments[0] == "prepare" and str(arguments[1]).endswith("a"):
            raise steps.StepError("no such column")
        ended = run_portrait(*arguments, *(shop.options[:4] if arguments[0] == "train" else ()))
        assert ended.code == 0, ended

    monkeypatch.setattr(steps, "_run_portrait", run)
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    code = cli.main([str(tmp_path / "sources"), "--work", str(tmp_path / "work"), "--only", "a", "b"])
    assert code == 1
    assert "- a: no such column" in (tmp_path / "quality-sets.md").read_text(encoding="utf-8")
    content = json.loads((tmp_path / "quality-sets.json").read_text(encoding="utf-8"))
    assert {row["data"] for row in content["sets"] if "failed" not in row} == {"b"}


@pytest.mark.parametrize("split", list(Split))
def test_shortcuts_are_counted_target_by_target(shop: Shop, split: Split) -> None:
    corpus = load_corpus(shop.data)
    targets = hold_out(corpus, split).test
    last, own = [], []
    for target in targets:
        items = corpus.event_item[corpus.shopper_start[target] : corpus.context_end[target]]
        items = items[items != NO_ITEM]
        last.append(corpus.event_item[target] in items[-2:])
        own.append(corpus.event_item[target] in items)
    found = measure_shortcuts(corpus, targets)
    assert (found.among_last_items, found.in_own_history) == pytest.approx((np.mean(last), np.mean(own)))
    assert 0.0 < found.among_last_items < found.in_own_history
