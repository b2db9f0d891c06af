"""The fairness audit of a run: its figures, its file, and that what shoppers declare is no input of a model."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import polars as pl
import pytest
import torch
from typer import Typer
from typer.testing import CliRunner, Result

from portrait.export.graphs import export, graphs
from portrait.export.precision import Precision
from portrait.reporting import commands, groups
from portrait.reporting.fairness.audit import AttributeAudit, audit_fairness, audit_file
from portrait.reporting.fairness.tables import make_tables
from portrait.training.dataset.corpus import load_corpus
from portrait.training.enums import Demographic
from portrait.training.run import run as runs
from portrait.training.run.evaluation import RankedTargets, rank_test_targets
from portrait.training.run.run import TrainedRun
from portrait.training.traits import artifacts
from portrait.training.traits.artifacts import FittedTraits, TraitPredictions

HER = "<b>her</b>"


@pytest.fixture(scope="module")
def ranked(trained: TrainedRun) -> RankedTargets:
    return rank_test_targets(trained)


@pytest.fixture
def small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let groups of five be shown: two of those of the data set are smaller than fifty."""
    monkeypatch.setattr("portrait.reporting.fairness.audit.MIN_GROUP_SHOPPERS", 5)


def by_gender(trained: TrainedRun, ranked: RankedTargets) -> AttributeAudit:
    [audited] = audit_fairness(trained, ranked, [Demographic.GENDER]).attributes
    return audited


def audit_command(*arguments: str | Path) -> Result:
    app = Typer()
    app.command()(commands.audit_fairness)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_groups_are_compared_by_every_kind_of_measure(trained: TrainedRun, ranked: RankedTargets) -> None:
    gender = by_gender(trained, ranked)
    # Five shoppers declared a third value; beside him they would show by subtraction.
    assert gender.left_out == 2
    assert {figure.group for measured in gender.measures for figure in measured.groups} == {HER}
    names = {measured.name for measured in gender.measures}
    assert {"NDCG@5", "HR@20", "popular items", "unlike own categories", "price", "click excess"} <= names
    assert [exposed.subject for exposed in gender.exposures] == ["categories"]
    for measured in gender.measures:
        for figure in measured.groups:
            assert figure.shoppers >= groups.MIN_GROUP_SHOPPERS
            assert figure.value.low <= figure.value.value <= figure.value.high


@pytest.mark.usefixtures("small_groups")
def test_a_group_that_is_served_better_is_found(trained: TrainedRun, ranked: RankedTargets) -> None:
    targets = ranked.vectors.targets
    is_her = trained.corpus.event_shopper[targets] < 65
    items = ranked.items.copy()
    items[is_her, 0] = trained.corpus.event_item[targets[is_her]]
    items[~is_her, :20] = -1
    gender = by_gender(trained, replace(ranked, items=items))
    [hits] = [measured for measured in gender.measures if measured.name == "HR@10"]
    assert [figure.value.value for figure in hits.groups] == [1.0, 0.0, 0.0]
    her, few, him = hits.groups
    assert her.gap is not None
    assert few.gap is not None
    assert him.gap is not None
    assert (her.gap.value, her.gap.low, her.gap.high) == (1.0, 1.0, 1.0)
    assert him.gap.value == pytest.approx(-65 / 70, abs=0.01)
    assert him.gap.is_clear


@pytest.mark.usefixtures("small_groups")
def test_what_only_one_group_is_shown_is_named(trained: TrainedRun, ranked: RankedTargets) -> None:
    is_her = trained.corpus.event_shopper[ranked.vectors.targets] < 65
    lamps = [row for row, item in enumerate(trained.corpus.items) if item.category_path[-1] == "Lamps"]
    rugs = [row for row, item in enumerate(trained.corpus.items) if item.category_path[-1] == "Rugs"]
    items = np.where(is_her[:, None], lamps[:10], rugs[:10])
    gender = by_gender(trained, replace(ranked, items=items))
    [categories] = gender.exposures
    her = categories.groups[0]
    assert (her.group, her.shown) == (HER, pytest.approx(1.0))
    assert her.by_chance < her.shown
    assert her.earlier <= her.earlier_by_chance  # all had done about the same
    assert her.differences[0].name == "Home › Lamps"
    assert her.differences[0].difference.value == pytest.approx(1.0)


def test_errors_of_traits_are_told_by_group(trained: TrainedRun, ranked: RankedTargets, tmp_path: Path) -> None:
    shoppers = np.arange(130)
    too_sure = np.where(shoppers < 65, 0.9, 0.5)
    learnt = FittedTraits([{"name": "buys", "absent": None}, {"name": "rare", "absent": "too few"}], None)
    run = replace(trained, folder=tmp_path, traits=learnt)
    assert audit_fairness(run, ranked, [Demographic.GENDER]).unmeasured_traits == ["buys"]
    predictions = {"buys": TraitPredictions(shoppers, shoppers % 2 == 0, too_sure)}
    artifacts.save_traits(learnt, tmp_path, 16, predictions)
    audit = audit_fairness(run, ranked, [Demographic.GENDER])
    assert audit.unmeasured_traits == []
    figures = {measured.name: measured.groups for measured in audit.attributes[0].measures}
    [excess] = figures["buys excess"]
    assert excess.value.value == pytest.approx(0.9 - 33 / 65)
    assert excess.gap is not None
    assert excess.gap.is_clear
    assert any(table.title == "Gender: errors of the traits" for table in make_tables(audit))


def test_the_command_prints_the_audit_and_writes_it(trained: TrainedRun) -> None:
    ended = audit_command(trained.folder, "--by", "gender,region")
    assert ended.exit_code == 0, ended.output
    assert "Gender: quality of the ranking" in ended.stdout
    assert HER in ended.stdout
    written = json.loads(audit_file(trained.folder, trained.settings.split).read_text(encoding="utf-8"))
    assert [each["attribute"] for each in written["attributes"]] == ["gender", "region"]
    printed = json.loads(audit_command(trained.folder, "--by", "gender,region", "--json").stdout)
    assert printed == written
    assert [shopper for shopper in trained.corpus.shopper_ids if shopper in json.dumps(written)] == []


def test_what_the_caller_can_mend_is_one_line(trained: TrainedRun, tmp_path: Path) -> None:
    for arguments, told in (
        ((trained.folder, "--by", "gender,income"), "there is no declared attribute 'income'"),
        ((trained.folder, "--by", "age_band"), "has no declared age_band"),
        ((tmp_path / "gone",), "holds no trained model"),
    ):
        ended = audit_command(*arguments)
        assert ended.exit_code == 2
        assert told in ended.stderr
        assert len(ended.stderr.strip().splitlines()) == 1


@pytest.fixture(scope="module")
def declared_otherwise(trained: TrainedRun, tmp_path_factory: pytest.TempPathFactory) -> TrainedRun:
    """A run on the same log, whose shoppers declared another age, gender and region."""
    folder = tmp_path_factory.mktemp("declared-otherwise")
    shutil.copytree(trained.data["path"], folder / "data")
    table = pl.read_parquet(folder / "data" / "shoppers.parquet")
    table = table.with_columns(
        gender=table["gender"].reverse(), age_band=pl.lit("65+"), region=pl.Series(["one", "two"] * 65)
    )
    table.write_parquet(folder / "data" / "shoppers.parquet")
    runs.train_run(folder / "data", folder / "run", trained.settings)
    return runs.load_run(folder / "run")


def test_no_graph_moves_with_what_shoppers_declare(
    trained: TrainedRun, declared_otherwise: TrainedRun, tmp_path: Path
) -> None:
    assert declared_otherwise.data["identity"] != trained.data["identity"]
    for one, other in zip(graphs(trained), graphs(declared_otherwise), strict=True):
        assert not {*one.inputs, *one.outputs} & {"age", "age_band", "gender", "region", "demographics"}
        outputs = []
        for number, graph in enumerate((one, other)):
            path = tmp_path / f"{graph.name}-{number}.onnx"
            export(graph, trained.settings.dimension, Precision.FP32, path)
            session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
            lengths = {"n": 3, "tokens": 8, "events": 9, "candidates": 7, "dimension": trained.settings.dimension}
            outputs.append(session.run(None, dict(graph.example(1, **lengths))))
        for first, second in zip(*outputs, strict=True):
            np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-5)


def test_no_ranking_moves_with_what_shoppers_declare(
    trained: TrainedRun, declared_otherwise: TrainedRun, ranked: RankedTargets
) -> None:
    corpus = load_corpus(Path(declared_otherwise.data["path"]))
    again = rank_test_targets(replace(trained, corpus=corpus))
    np.testing.assert_array_equal(again.items, ranked.items)
    np.testing.assert_array_equal(again.click, ranked.click)
    assert torch.equal(torch.from_numpy(again.vectors.profiles), torch.from_numpy(ranked.vectors.profiles))
