"""`portrait loadtest` before k6 runs: what it repeats, and what it says of inputs that it can't repeat."""

import json
import shlex
import stat
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import typer
from typer.testing import CliRunner, Result

from portrait.client.loadtest.commands import loadtest
from portrait.client.loadtest.traffic import read_traffic
from portrait.client.loadtest.workload import DEFAULT_MIX, make_workload

LOG = """shopper_id,type,item_id,time,query
ann,view,rug,2026-05-02T10:00:00Z,
ann,view,lamp,2026-05-01T10:00:00Z,
ann,search,,2026-05-03T10:00:00Z,my address
bob,buy,sofa,,
"""


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No polars, and no k6."""
    monkeypatch.setitem(sys.modules, "polars", None)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    for name, value in {"PATH": "/nowhere", "NO_COLOR": "1", "COLUMNS": "200", "TERM": "dumb"}.items():
        monkeypatch.setenv(name, value)


def portrait(*arguments: str | Path) -> Result:
    """Run `portrait loadtest`."""
    app = typer.Typer()
    app.command()(loadtest)
    return CliRunner().invoke(app, [*map(str, arguments)])


def made(folder: Path, *arguments: str | Path) -> list[dict[str, Any]]:
    """The calls that are written."""
    out = folder / "workload.json"
    done = portrait(*arguments, "--out", out, "--dry-run")
    assert done.exit_code == 0, done.output
    calls = json.loads(out.read_text(encoding="utf-8"))["calls"]
    assert isinstance(calls, list)
    return calls


def file(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def visits(calls: list[dict[str, Any]]) -> set[tuple[str, ...]]:
    shoppers = [call["request"]["shopper"] for call in calls]
    return {tuple(event["item_id"] for event in each["history"]["events"]) for each in shoppers}


def test_a_log_gives_visits_and_nothing_of_anybody(tmp_path: Path) -> None:
    calls = made(tmp_path, file(tmp_path, "log.csv", LOG))
    assert len(calls) == 2_000
    assert {call["kind"] for call in calls} == {"recommend", "profile"}
    assert visits(calls) == {("lamp",), ("lamp", "rug"), ("sofa",)}
    text = (tmp_path / "workload.json").read_text(encoding="utf-8")
    assert not any(word in text for word in ("ann", "bob", "address", "2026"))
    assert stat.S_IMODE((tmp_path / "workload.json").stat().st_mode) == 0o600


def test_shoppers_queries_and_mix_are_the_teams_own(tmp_path: Path) -> None:
    ids, queries = file(tmp_path, "ids.txt", "ann\nbob\n"), file(tmp_path, "queries.txt", "red lamp\n灯\n")
    log = file(tmp_path, "log.csv", LOG)
    mix = "search=3,record=1,profile=0"
    calls = made(tmp_path, log, "--shopper-ids", ids, "--queries", queries, "--mix", mix, "--calls", "400")
    kinds = Counter(call["kind"] for call in calls)
    assert set(kinds) == {"search", "record"}
    assert 250 < kinds["search"] < 350
    searches = [call["request"] for call in calls if call["kind"] == "search"]
    assert {each["query"] for each in searches} == {"red lamp", "灯"}
    assert {each["shopper"]["shopper_id"] for each in searches} == {"ann", "bob"}
    recorded = [event for call in calls if call["kind"] == "record" for event in call["request"]["events"]]
    assert all(each["shopper_id"].startswith("loadtest-") for each in recorded)  # nobody did what a test records
    assert {each["event"]["item_id"] for each in recorded} == {"lamp", "rug", "sofa"}


def test_ids_alone_are_enough(tmp_path: Path) -> None:
    calls = made(tmp_path, "--shopper-ids", file(tmp_path, "ids.txt", "ann\n\n bob \n"))
    assert {call["request"]["shopper"]["shopper_id"] for call in calls} == {"ann", "bob"}
    assert {call["kind"] for call in calls} == {"recommend", "profile"}


def test_a_model_repository_gives_items_and_words(tmp_path: Path) -> None:
    release = tmp_path / "repository [1]" / "releases" / "2"
    release.mkdir(parents=True)
    items = [{"item_id": "lamp", "catalogue": "products", "title": "Red desk lamp"}]
    file(release, "items.jsonl", "\n".join(map(json.dumps, items)))
    calls = made(tmp_path, tmp_path / "repository [1]")
    assert {call["kind"] for call in calls} == {"recommend", "profile", "search"}
    assert {call["request"]["query"] for call in calls if call["kind"] == "search"} == {"Red"}


def test_a_prepared_data_set_gives_visits_and_nothing_of_anybody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "polars", pl)
    data = tmp_path / "data"
    data.mkdir()
    pl.DataFrame({
        "shopper_id": [f"person-{number}" for number in range(5) for _ in range(4)],
        "sequence": list(range(20)),
        "event_id": [f"secret-{number}" for number in range(20)],
        "type": ["search", "view", "click", "purchase"] * 5,
        "item_id": [None, "lamp", "rug", "lamp"] * 5,
        "catalogue": ["products"] * 20,
        "query": ["my address", None, None, None] * 5,
    }).write_parquet(data / "events.parquet")  # fmt: skip
    pl.DataFrame({"item_id": ["lamp", "rug"], "title": ["Red lamp", "Wool rug"]}).write_parquet(data / "items.parquet")
    workload = make_workload(read_traffic(data, None, None), DEFAULT_MIX, 200, 1)
    assert not any(word in json.dumps(workload) for word in ("person", "secret", "address"))
    assert visits(workload["calls"]) == {("lamp",), ("lamp", "rug"), ("lamp", "rug", "lamp")}


def test_certificates_that_are_none_are_told_before_the_work(tmp_path: Path) -> None:
    ids, out = file(tmp_path, "ids.txt", "ann\n"), tmp_path / "calls.json"
    for wrong in (tmp_path / "missing.pem", tmp_path, Path(ids)):
        done = portrait("--shopper-ids", ids, "--out", out, "--root-certificates", wrong, "--dry-run")
        assert (done.exit_code, done.stderr.count("\n"), out.exists()) == (2, 1, False)
        assert str(wrong) in done.stderr


def test_the_command_of_k6_is_printed(tmp_path: Path) -> None:
    ids, out = file(tmp_path, "ids.txt", "ann\n"), tmp_path / "my calls.json"
    stages = ("--stage", "50:30s", "--stage", "100:1m30s")
    authority = file(tmp_path, "ca.pem", "-----BEGIN CERTIFICATE-----\n")
    arguments = ("--shopper-ids", ids, "--out", out, "--rate", "20", *stages, "--root-certificates", authority)
    done = portrait(*arguments, "--dry-run")
    assert done.exit_code == 0
    command = shlex.split(done.stdout)
    assert command[:2] == ["k6", "run"]
    assert {f"WORKLOAD={out}", "RATE=20", "STAGES=50:30s,100:1m30s", f"CA={authority}"} <= set(command)
    assert not any(word.startswith("DURATION") for word in command)
    [protos] = [word.removeprefix("PROTOS=") for word in command if word.startswith("PROTOS=")]
    assert (Path(protos) / "portrait" / "v1" / "event_service.proto").is_file()
    assert Path(command[-1]).is_file()
    # Without k6 nothing was tested, so it is no success.
    untested = portrait(*arguments)
    assert untested.exit_code == 2
    assert "k6 is not installed" in untested.stderr
    assert shlex.join(command) in untested.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "need SOURCE or --shopper-ids"),
        (["nowhere"], "nowhere: No such file"),
        (["."], "neither a prepared data set (events.parquet) nor a model repository"),
        (["empty.csv"], "empty.csv has no event with an item"),
        (["searches.csv"], "searches.csv has no event with an item"),
        (["bad.csv"], "bad.csv, line 2, column 'type'"),
        (["log.csv", "--queries", "empty.csv"], "empty.csv is empty"),
        (["log.csv", "--shopper-ids", "nowhere"], "nowhere: No such file"),
        (["log.csv", "--mix", "buy=1"], "'buy' is not one of recommend, profile, search, record"),
        (["log.csv", "--mix", "profile"], "'profile' has no share"),
        (["log.csv", "--mix", "profile=-1"], "'profile=-1' has no share"),
        (["log.csv", "--mix", "profile=nan"], "'profile=nan' has no share"),
        (["log.csv", "--mix", "profile=0"], "all shares are 0"),
        (["log.csv", "--mix", "search=1"], "need --queries FILE"),
        (["--shopper-ids", "ids.txt", "--mix", "record=1"], "need SOURCE"),
        (["log.csv", "--stage", "fast"], "'fast' does not have the form 100:30s"),
        (["log.csv", "--duration", "60"], "'60' does not have the form 90s"),
        (["log.csv", "--deadline", "soon"], "'soon' does not have the form 500ms"),
        (["log.csv", "--rate", "0"], "--rate"),
        (["log.csv", "--key", "key.pem"], "--certificate and --key go together"),
        (["log.csv", "--out", "no/folder.json"], "No such file"),
    ],
)
def test_what_can_not_be_repeated_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    file(tmp_path, "log.csv", LOG)
    file(tmp_path, "ids.txt", "ann\n")
    file(tmp_path, "empty.csv", "")
    file(tmp_path, "searches.csv", "shopper_id,type,query\nann,search,lamp\n")
    file(tmp_path, "bad.csv", "shopper_id,type,item_id\nann,dance,lamp\n")
    done = portrait(*arguments, "--dry-run")
    assert done.exit_code == 2
    assert told in " ".join(done.stderr.replace("│", " ").split())
    assert isinstance(done.exception, SystemExit)
    assert not (tmp_path / "workload.json").exists()
    assert not list(tmp_path.glob(".*"))
