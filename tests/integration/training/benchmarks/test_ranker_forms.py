"""The ranker and boosted trees, fitted to the same moments of a small shop."""

import json
from pathlib import Path

import pytest
from support.tiny_log import Shop

from benchmarks.common import results

try:
    from benchmarks.ranker_forms import boosted_trees, cli
except OSError as error:  # its wheel needs the system's OpenMP library
    pytest.skip(f"LightGBM can't be loaded: {error}", allow_module_level=True)


def test_both_forms_order_the_same_targets(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    monkeypatch.setattr(boosted_trees, "GRID", [{**boosted_trees.GRID[0], "min_data_in_leaf": 5}])
    assert cli.main([str(shop.run)]) == 0
    (run,) = json.loads((tmp_path / "ranker-forms.json").read_text(encoding="utf-8"))["runs"]
    for part in run["parts"].values():
        assert 0.0 < part["portrait"] <= 1.0
        assert 0.0 < part["trees"] <= 1.0
        low, high = part["interval"]
        assert low <= part["portrait"] - part["trees"] <= high
    assert "| validation |" in (tmp_path / "ranker-forms.md").read_text(encoding="utf-8")
