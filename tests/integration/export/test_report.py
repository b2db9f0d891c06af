"""The report of a run: a page for people that loads nothing and names nobody."""

import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typer import Typer
from typer.testing import CliRunner, Result

from portrait.export.precision import Precision
from portrait.export.release import export_release
from portrait.features.files.integrity import sha256
from portrait.features.release import layout as release_layout
from portrait.reporting import commands, page
from portrait.reporting.figures import Figures, gather_figures
from portrait.training.run.run import TrainedRun
from portrait.training.traits.artifacts import FittedTraits

RESULTS = Path(__file__).parents[3] / "benchmarks" / "results"
HOSTILE = """<script>alert("1")</script>'&"""


@pytest.fixture(scope="module")
def figures(trained: TrainedRun) -> Figures:
    items = [replace(item, title=f"{HOSTILE} {item.title}") for item in trained.corpus.items]
    hostile = replace(trained, corpus=replace(trained.corpus, items=items))
    shape = {"profile": True, "hidden": 0}
    figure = {"value": 0.7, "interval": [0.6, 0.8]}
    learnt = {
        "name": "buys", "description": HOSTILE, "horizon_days": 30, "absent": None, "head": shape,
        "samples": {"test": {"samples": 20, "positives": 8, "first": "2026-01-01", "last": "2026-03-01"}},
        "test": {"auc": figure, "calibration_error": figure}, "rfm": {"auc": figure}, "auc_above_rfm": figure,
        "reliability": [
            {"samples": 10, "predicted": 0.1, "rate": 0.0}, {"samples": 10, "predicted": 0.9, "rate": 0.8}
        ],
    }  # fmt: skip
    newer = learnt | {
        "name": "buys_soon", "corrected": 7, "test": {"auc": figure, "calibration_error": figure, "excess": figure},
    }  # fmt: skip
    declared = [learnt, newer, {"name": "rare", "absent": "too few"}]
    return gather_figures(replace(hostile, traits=FittedTraits(declared, None)), [])


def report(*arguments: str | Path) -> Result:
    app = Typer()
    app.command()(commands.report)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


class _Tags(HTMLParser):
    """The tags of a page, all closed, and its addresses."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.open: list[str] = []
        self.addresses: list[str | None] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.addresses += [value for name, value in attrs if name in {"src", "href", "data", "action"}]
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_traits_are_told_with_their_curves_or_reasons(figures: Figures) -> None:
    text = page.render_page(figures)
    assert "20 samples, 8 came true" in text
    assert text.count("7 labels of training are corrections of people") == 1
    assert text.count("<td>not measured</td>") == 1  # by an earlier version
    assert "buys: probabilities given against shares that came true" in text
    assert "rare is absent: too few" in text
    trait, _ = figures.traits
    assert [point.count for point in trait.reliability] == [0, 8]
    assert trait.reliability[0].rate.low == 0.0
    assert trait.reliability[1].rate.high < 1.0


def test_what_was_unlearnt_is_told(figures: Figures) -> None:
    record = {"shoppers": 1203, "events": 9050, "steps": 68, "steps_of_training": 340, "time_share": 0.21}
    unlearnt = replace(figures, model=replace(figures.model, unlearning=record))
    told = "9,050 events of 1,203 shoppers, by starting from an earlier model for 68 of 340 steps, in 21% of the"
    assert told in page.render_page(unlearnt)
    assert "Unlearnt" not in page.render_page(figures)


def test_the_page_loads_nothing_and_titles_are_escaped(figures: Figures) -> None:
    text = page.render_page(figures)
    tags = _Tags(text)
    assert tags.open == []
    assert not tags.names & {"script", "link", "img", "iframe", "b"}
    assert all(address and address.startswith("#") for address in tags.addresses)
    assert "url(" not in text
    assert "&lt;script&gt;" in text


def test_the_page_names_nobody(figures: Figures, trained: TrainedRun) -> None:
    text = page.render_page(figures)
    assert [shopper for shopper in trained.corpus.shopper_ids if shopper in text] == []
    assert [item for item in trained.corpus.item_ids if f"{item}<" in text] == []
    assert str(trained.folder.parent) not in text


def test_figures_agree_with_what_evaluation_keeps(figures: Figures, trained: TrainedRun) -> None:
    kept = json.loads((trained.folder / "metrics-loo.json").read_text(encoding="utf-8"))
    hit = figures.ranking.measures["HR@10"].ours.value
    assert hit == kept["ranking"]["portrait"]["HR@10"]["value"]
    for cut in figures.slices:
        assert cut.unknown == 0 or cut.small
        if not cut.small:
            average = sum(each.ours.value * each.shoppers for each in cut.slices) / kept["shoppers"]
            assert average == pytest.approx(hit)
    assert [chances.kind for chances in figures.chances] == ["click", "purchase"]
    for chances in figures.chances:
        assert sum(point.count for point in chances.reliability) == chances.positives
        assert chances.curve[-1].ours == pytest.approx(1.0)
        assert len(chances.by_position) == 10
        assert sum(point.count for point in chances.by_position) <= chances.positives
        assert chances.first_calibration_error == kept["probabilities"][chances.kind]["calibration_error_of_first_10"]


def test_groups_are_compared_and_small_ones_left_out(figures: Figures) -> None:
    [gender, region] = figures.groups
    # Five shoppers declared a third value; beside him they would show by subtraction.
    assert [each.name for each in gender.slices] == ["<b>her</b>"]
    assert gender.slices[0].against_others is not None
    assert gender.small == 2
    assert region.slices[0].against_others is None


def test_examples_have_evidence_and_no_words_of_searches(figures: Figures, trained: TrainedRun) -> None:
    assert [example.name for example in figures.examples] == ["Shopper A", "Shopper B", "Shopper C"]
    for example in figures.examples:
        assert {statement.kind for statement in example.statements} == {"interest", "word", "price"}
        assert all(statement.evidence for statement in example.statements)
        assert example.recommended
        searched = [event for event in example.latest if event.did == "searched"]
        assert all(event.what == "(words not shown)" for event in searched)


def test_what_other_benchmarks_found_stands_in_their_own_words(trained: TrainedRun) -> None:
    found = gather_figures(trained, [RESULTS])
    text = page.render_page(found)
    tags = _Tags(text)
    assert not tags.open
    assert not [address for address in tags.addresses if address and not address.startswith("#")]
    assert {"Traits", "The six applications"} <= {finding.title for finding in found.findings}
    for finding in found.findings:
        assert f"<h3>{finding.title}</h3>" in text
    assert not found.comparisons


def test_the_command_writes_the_page_into_the_run_and_export_takes_it_along(
    trained: TrainedRun, tmp_path: Path
) -> None:
    ended = report(trained.folder)
    assert ended.exit_code == 0, ended.output
    written = trained.folder / release_layout.REPORT
    manifest, _ = export_release(trained, {}, tmp_path, Precision.FP32, lambda _: None)
    copied = release_layout.release_folder(tmp_path, manifest.release) / release_layout.REPORT
    assert copied.read_bytes() == written.read_bytes()
    assert manifest.hashes[str(copied.relative_to(tmp_path))] == sha256(copied)
    assert not list(trained.folder.glob(".*.tmp"))


def test_what_the_caller_can_mend_is_one_line(trained: TrainedRun, tmp_path: Path) -> None:
    for arguments, told in (
        ((tmp_path / "gone",), "holds no trained model"),
        ((trained.folder, "--out", tmp_path / "gone" / "report.html"), "is no folder"),
        ((trained.folder, "--results", tmp_path / "gone"), "does not exist"),
    ):
        ended = report(*arguments)
        assert ended.exit_code == 2
        assert told in ended.stderr
        assert len(ended.stderr.strip().splitlines()) == 1
