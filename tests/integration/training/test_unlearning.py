"""`portrait unlearn`: the next run is one of the data set without the forgotten, and says what it is."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from support.command_line import CommandResult, run_portrait
from support.tiny_log import Shop

from portrait.training.dataset import corpus as corpora
from portrait.training.dataset.splits import hold_out
from portrait.training.ranker.relations import fit_relations
from portrait.training.run import run as runs
from portrait.training.run.unlearning import KEPT_WEIGHTS

FORGOTTEN = ("s003", "s017", "s040")


@pytest.fixture(scope="module")
def made(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, CommandResult]:
    """A folder with the data set without the forgotten and the next run, and what the command printed."""
    folder = tmp_path_factory.mktemp("unlearning")
    hashes = [hashlib.sha256(each.encode()).hexdigest() for each in FORGOTTEN]
    lines = ["shopper_sha256,forgotten_at", *(f"{each},2027-01-01T00:00:00Z" for each in hashes), ""]
    (folder / "deletions.csv").write_text("\n".join(lines), encoding="utf-8")
    prepared = run_portrait("prepare", "--deletions", folder / "deletions.csv", shop.log, folder / "data")
    assert prepared.code == 0, prepared
    return folder, run_portrait("unlearn", shop.run, folder / "data", folder / "next")


def test_the_next_run_says_who_was_left_out_and_how_much_was_trained(
    shop: Shop, made: tuple[Path, CommandResult]
) -> None:
    folder, ended = made
    assert ended.code == 0, ended
    assert "without 72 events of 3 shoppers" in " ".join(ended.stdout.split())
    record = runs.load_run(folder / "next").unlearning
    assert record == json.loads((folder / "next" / "unlearning.json").read_text(encoding="utf-8"))
    assert (record["shoppers"], record["events"], record["kept_weights"]) == (3, 72, KEPT_WEIGHTS)
    assert 1 <= record["steps"] < record["steps_of_training"]
    assert record["time_share"] == record["processor_seconds"] / record["processor_seconds_of_training"]
    assert runs.load_run(shop.run).unlearning is None
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []


def test_nothing_that_is_counted_or_fitted_knows_the_forgotten(shop: Shop, made: tuple[Path, CommandResult]) -> None:
    folder, _ = made
    trained = runs.load_run(folder / "next")
    assert not {*FORGOTTEN} & {*trained.corpus.shopper_ids}
    alone = corpora.load_corpus(folder / "data")
    learnt = hold_out(alone, trained.settings.split).learnt(alone)
    for name, expected in fit_relations(alone, learnt, trained.settings).by_name.items():
        own = trained.relations.by_name[name]
        assert own.items.tolist() == expected.items.tolist()
        np.testing.assert_allclose(own.weights, expected.weights, rtol=1e-5)
    ranker, before = trained.ranker.state_dict(), runs.load_run(shop.run).ranker.state_dict()
    assert any(not torch.equal(value, before[name]) for name, value in ranker.items())


def test_what_lacks_nothing_or_would_replace_a_run_is_refused(shop: Shop, made: tuple[Path, CommandResult]) -> None:
    folder, _ = made
    same = run_portrait("unlearn", shop.run, shop.data, folder / "other")
    assert (same.code, same.stderr.count("\n")) == (2, 1)
    assert "nothing to unlearn" in same.stderr
    assert not (folder / "other").exists()
    again = run_portrait("unlearn", shop.run, folder / "data", folder / "next")
    assert (again.code, again.stderr.count("\n")) == (2, 1)
    assert "name a new folder" in again.stderr
