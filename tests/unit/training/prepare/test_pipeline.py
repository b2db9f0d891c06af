"""The folder is written whole, replaces only a data set, and its command says what it did."""

import json
import sys
from pathlib import Path

import pytest
import typer
from support.prepared_data import WriteLog
from typer.testing import CliRunner

from portrait.training.commands import prepare
from portrait.training.errors import TrainingError
from portrait.training.prepare.pipeline import DATA_SET_FILES
from portrait.training.prepare.sources import detect_source

LOG = "shopper_id,type,item_id\ns,view,i\nt,view,i\n,view,i\n"
app = typer.Typer()
app.command()(prepare)


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.output


def test_the_command_prints_the_report(write_log: WriteLog, tmp_path: Path) -> None:
    code, output = run(write_log(events_csv=LOG), tmp_path / "out")
    assert code == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == DATA_SET_FILES
    for words in ("events →", "kept", "missing shopper", "none recorded"):
        assert words in output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "out"]


def test_the_report_is_json_too(write_log: WriteLog, tmp_path: Path) -> None:
    code, output = run(write_log(events_csv=LOG), tmp_path / "out", "--json")
    report = json.loads(output)
    assert code == 0
    assert report == json.loads((tmp_path / "out/report.json").read_text(encoding="utf-8"))
    assert (report["read"], report["kept"], report["rejected"]) == (3, 2, {"missing_shopper": 1})
    assert report["missing"]["time"] == 2
    assert report["limits"]["events_per_minute"] == 300


def test_a_data_set_is_replaced(write_log: WriteLog, tmp_path: Path) -> None:
    folder, output = write_log(events_csv=LOG), tmp_path / "out"
    assert run(folder, output)[0] == 0
    write_log(events_csv=LOG + "u,view,i\n")
    assert run(folder, output)[0] == 0
    assert json.loads((output / "report.json").read_text(encoding="utf-8"))["kept"] == 3


def test_a_data_set_outlives_a_failure(write_log: WriteLog, tmp_path: Path) -> None:
    folder, output = write_log(events_csv=LOG), tmp_path / "out"
    assert run(folder, output)[0] == 0
    before = {path.name: path.read_bytes() for path in output.iterdir()}
    write_log(events_csv=LOG + "broken\n")
    assert run(folder, output)[0] == 2
    assert {path.name: path.read_bytes() for path in output.iterdir()} == before


@pytest.mark.parametrize("held", ["notes.txt", "events.parquet", "report.json and notes.txt"])
def test_anything_else_is_left_alone(write_log: WriteLog, tmp_path: Path, held: str) -> None:
    output = tmp_path / "out"
    output.mkdir()
    for name in held.split(" and "):
        (output / name).write_text("mine", encoding="utf-8")
    code, told = run(write_log(events_csv=LOG), output)
    assert code == 2
    assert "name a new folder" in told
    assert sorted(path.name for path in output.iterdir()) == sorted(held.split(" and "))


def test_a_file_is_no_output(write_log: WriteLog, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine", encoding="utf-8")
    assert run(write_log(events_csv=LOG), tmp_path / "out")[0] == 2


def test_an_empty_folder_may_be_filled(write_log: WriteLog, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert run(write_log(events_csv=LOG), tmp_path / "out")[0] == 0


@pytest.mark.parametrize("arguments", [("--source", "nosuch", "log", "out"), ("absent", "out"), ("out",), tuple("abc")])
def test_wrong_arguments_are_refused(
    write_log: WriteLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    write_log(events_csv=LOG)
    monkeypatch.chdir(tmp_path)
    assert run(*arguments)[0] == 2


def test_spark_refuses_other_sources_than_events(tmp_path: Path) -> None:
    code, told = run("--engine", "spark", "--source", "bestbuy", tmp_path, tmp_path / "out")
    assert code == 2
    assert "the engine spark reads the source events alone, not bestbuy" in " ".join(told.split())


@pytest.mark.parametrize(("missing", "named"), [("pyspark", "extra `spark`"), ("java", "Java 17")])
def test_what_spark_lacks_is_named(
    write_log: WriteLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str, named: str
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    if missing == "pyspark":
        monkeypatch.setitem(sys.modules, "pyspark", None)  # not there, for who looks
    else:
        pytest.importorskip("pyspark")
    code, told = run("--engine", "spark", write_log(events_csv=LOG), tmp_path / "out")
    assert code == 2
    assert named in " ".join(told.split())
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_an_unknown_folder_is_not_guessed(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="--source"):
        detect_source(tmp_path)
