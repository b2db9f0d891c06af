"""Benchmarks' results as the report reads them: those of this repository, and those of other data sets."""

import json
from pathlib import Path

import pytest

from portrait.export.report.comparisons import read
from portrait.training.errors import TrainingError

RESULTS = Path(__file__).parents[3] / "benchmarks" / "results"


def test_a_folder_gives_the_tables_of_the_data_set() -> None:
    results = json.loads((RESULTS / "quality-beauty.json").read_text())
    found = read([RESULTS], results["shoppers"], results["items"])
    assert [table.title for table in found] == ["Trained: train only", "Trained: refit"]
    assert found[0].measures == ["NDCG@10", "HR@10"]
    [ours] = [model for model in found[0].models if model.name == "Portrait"]
    [ease] = [model for model in found[0].models if model.name == "EASE, recency"]
    assert ours.difference is None
    assert ease.difference is not None
    assert ease.difference.value == pytest.approx(ours.values[0].value - ease.values[0].value)
    assert read([RESULTS], 1, 2) == []


def test_what_was_named_must_be_of_the_data_set(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no benchmark's table of the run's data set"):
        read([RESULTS / "quality-beauty.json"], 1, 2)
    with pytest.raises(TrainingError, match="does not exist"):
        read([tmp_path / "gone.json"], 1, 2)
    (tmp_path / "broken.json").write_text('{"items": 2, "protocols": {"refit": {"x": 3}}}')
    with pytest.raises(TrainingError, match=r"broken\.json is no benchmark's result"):
        read([tmp_path], 1, 2)
