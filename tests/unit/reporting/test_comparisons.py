"""Benchmarks' results as the report reads them: those of this repository, and those of other data sets."""

import json
from pathlib import Path

import pytest

from portrait.reporting import comparisons, findings, results
from portrait.reporting.results import DataSet
from portrait.training.errors import TrainingError

RESULTS = Path(__file__).parents[3] / "benchmarks" / "results"
BEAUTY = json.loads((RESULTS / "quality-beauty.json").read_text(encoding="utf-8"))
DATA = DataSet("amazon-5core", BEAUTY["shoppers"], BEAUTY["items"])
OTHER = DataSet("unheard-of", 1, 2)


def test_a_folder_gives_the_tables_of_the_data_set() -> None:
    found = [
        table for result in results.read_results([RESULTS], DATA) for table in comparisons.read_comparisons(result)
    ]
    assert [table.title for table in found] == ["Trained: train only", "Trained: refit"]
    assert found[0].measures == ["NDCG@10", "HR@10"]
    [ours] = [model for model in found[0].models if model.name == "Portrait"]
    [ease] = [model for model in found[0].models if model.name == "EASE, recency"]
    assert ours.difference is None
    assert ease.difference is not None
    assert ease.difference.value == pytest.approx(ours.values[0].value - ease.values[0].value)


def test_searches_are_compared_too() -> None:
    of_search = json.loads((RESULTS / "search-bestbuy.json").read_text(encoding="utf-8"))
    [result] = results.read_results([RESULTS / "search-bestbuy.json"], DataSet("bestbuy", 1, of_search["items"]))
    assert [table.measures for table in comparisons.read_comparisons(result)] == [["MAP@5", "HR@5", "MRR"]] * 3


def test_results_of_other_data_sets_are_left_out_and_those_that_name_none_are_not() -> None:
    names = {result.path.name for result in results.read_results([RESULTS], OTHER)}
    assert {"serving.json", "traits.json"} <= names
    assert not names & {"quality-beauty.json", "search-bestbuy.json", "profiles-open-ecommerce.json"}


@pytest.mark.parametrize("file", sorted(RESULTS.glob("*.md")), ids=lambda file: file.stem)
def test_every_result_is_told_whole(file: Path) -> None:
    finding = findings.read_finding(file)
    tables = [part for part in finding.parts if part.kind == "table"]
    assert finding.title
    assert tables
    for table in tables:
        assert {len(row) for row in table.lines} == {len(table.lines[0])}
    rows = [
        line
        for line in file.read_text(encoding="utf-8").splitlines()
        if line.startswith("|") and set(line) - set("|-: ")
    ]
    assert sum(len(table.lines) for table in tables) == len(rows)


def test_what_results_say_is_text(tmp_path: Path) -> None:
    file = tmp_path / "odd.md"
    file.write_text(
        "# A `b` <script>\n\n**So** [this](page.md) ![plot](p.svg)\n- one\n\n| a | b\\|c |\n|---|---|\n| *1* | < |\n",
        encoding="utf-8",
    )
    finding = findings.read_finding(file)
    assert finding.title == "A <code>b</code> &lt;script&gt;"
    assert [(part.kind, part.lines) for part in finding.parts] == [
        ("text", [["<strong>So</strong> this"]]),
        ("entry", [["one"]]),
        ("table", [["a", "b|c"], ["<em>1</em>", "&lt;"]]),
    ]


def test_what_was_named_must_be_of_the_data_set(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no benchmark's result of the run's data set"):
        results.read_results([RESULTS / "quality-beauty.json"], OTHER)
    with pytest.raises(TrainingError, match="does not exist"):
        results.read_results([tmp_path / "gone.json"], OTHER)
    broken = tmp_path / "broken.json"
    broken.with_suffix(".md").write_text("# Broken\n", encoding="utf-8")
    broken.write_text('{"items": 2, "protocols": {"refit": {"x": 3}}}', encoding="utf-8")
    [result] = results.read_results([tmp_path], OTHER)
    with pytest.raises(TrainingError, match=r"broken\.json is no benchmark's result"):
        comparisons.read_comparisons(result)
    broken.write_text("{", encoding="utf-8")
    with pytest.raises(TrainingError, match=r"broken\.json is no benchmark's result"):
        results.read_results([broken], OTHER)
