"""The price of diversity on a small shop: the first amount changes nothing, the others spread what is alike."""

import json
from pathlib import Path

import pytest
from support.tiny_log import Shop

from benchmarks.common import results
from benchmarks.diversity import cli


def test_diversity_has_its_price(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    monkeypatch.setattr(cli, "AMOUNTS", (0.0, 8.0))
    assert cli.main([str(shop.run)]) == 0
    (run,) = json.loads((tmp_path / "diversity.json").read_text(encoding="utf-8"))["runs"]
    assert run["chosen"] in cli.AMOUNTS
    for part in ("validation", "test"):
        plain, spread = run[part]
        assert plain["minus_plain"]["NDCG@10"]["interval"] == [0.0, 0.0]
        assert spread["lists"]["distance"]["minus_plain"]["interval"][0] > 0.0
        assert spread["minus_plain"]["NDCG@10"]["difference"] == pytest.approx(spread["ndcg"] - plain["ndcg"])
    assert "| **" in (tmp_path / "diversity.md").read_text(encoding="utf-8")
