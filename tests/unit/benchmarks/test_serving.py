"""The table of all targets: a run of some parts leaves the results of the others as they were."""

from pathlib import Path

import pytest

from benchmarks.common import results
from benchmarks.common.targets import Result
from benchmarks.serving import cli as serving
from benchmarks.serving import curves
from benchmarks.serving.curves import Curve

WHERE = {"command": "c", "machine": "m", "date": "2026-01-01", "commit": "abc"}


def row(target: str, value: float) -> Result:
    return Result(target, value, "calls", "", None, "value <= 0")


def test_rows_of_a_partial_run_replace_their_own_only() -> None:
    first = serving.merge([], "fuzz", [row("a", 1), row("b", 0)], WHERE)
    both = serving.merge(first, "encoding", [row("c", 0)], WHERE)
    again = serving.merge(both, "fuzz", [row("a", 0)], WHERE)
    assert [(each["target"], each["value"], each["passed"]) for each in again] == [("c", 0, True), ("a", 0, True)]
    assert {"target", "value", "unit", "compared_to", "ratio", "required", "passed"} <= set(again[0])
    assert "**no**" in serving.format_report(first)
    assert "**no**" not in serving.format_report(again)


def test_only_what_is_named_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = []
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    monkeypatch.setattr(curves, "CURVES_FILE", tmp_path / "curves.json")
    monkeypatch.setattr(serving, "open_repository", lambda path: path)
    monkeypatch.setattr(serving, "measure", lambda name, repository: ran.append(name) or [row(name, 0)])
    assert serving.main([str(tmp_path), "--only", "fuzz,peers"]) == 0
    assert ran == ["fuzz", "peers"]
    assert (tmp_path / "serving.md").read_text(encoding="utf-8").index("## peers") < (
        tmp_path / "serving.md"
    ).read_text(encoding="utf-8").index("## fuzz")
    with pytest.raises(SystemExit):
        serving.main([str(tmp_path), "--only", "nothing"])


def test_curves_are_kept_by_panel_and_name_and_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curves, "CURVES_FILE", tmp_path / "curves.json")
    curves.keep_curves([Curve("clients", "warm", "clients", "answers/s", [(1, 10), (2, 20)])])
    curves.keep_curves(
        [Curve("clients", "warm", "clients", "answers/s", [(1, 11)]), Curve("items", "", "items", "ms", [(1, 1)])]
    )
    assert [list(map(tuple, each.points)) for each in curves.read_curves()] == [[(1, 11)], [(1, 1)]]
