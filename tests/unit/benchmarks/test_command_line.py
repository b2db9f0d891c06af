"""The table of benchmarks, and the steps that prepare their data."""

import importlib.util
import tomllib
from pathlib import Path

import pytest

from benchmarks import __main__ as command_line
from benchmarks.common import steps
from benchmarks.common.errors import BenchmarkError
from benchmarks.table import BENCHMARKS

ROOT = Path(__file__).parents[3]


def test_without_a_name_all_benchmarks_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main([]) == 0
    listed = capsys.readouterr().out
    assert all(f"  {name} " in listed for name in BENCHMARKS)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_has_a_module_and_extras_that_exist(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    module = importlib.util.find_spec(BENCHMARKS[name].module)
    assert module is not None
    assert module.origin is not None
    assert "def main(arguments: list[str]) -> int:" in Path(module.origin).read_text(encoding="utf-8")
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert command_line.main(["--extra", name]) == 0
    assert set(capsys.readouterr().out.strip().split(",")) <= set(extras)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no-such"], "there is no benchmark 'no-such'"),
        (["--extra", "no-such"], "there is no benchmark 'no-such'"),
        (["serving", "/no/such/folder"], "/no/such/folder is no folder"),
        (["serving.fuzz", "/no/such/folder"], "/no/such/folder is no folder"),
        (["explanations", "/no/such/folder"], "/no/such/folder is no folder"),
        (["precisions", "/"], "holds no trained model"),
        (["applications", "recommendation", "sales"], "there is no application sales"),
        (["applications", "risk"], "risk needs --shop"),
        (["soak", "/", "--hours", "1000"], "--hours 1000 is not within 0.05 to 168"),
    ],
)
def test_wrong_names_and_paths_are_reported(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = command_line.main(arguments)
    except SystemExit as exit_:  # argparse ends the program itself
        code = exit_.code
    assert code == 2
    assert message in capsys.readouterr().err


def test_a_step_that_is_done_is_skipped_and_a_stopped_run_is_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[tuple[str, ...]] = []
    monkeypatch.setattr(steps, "_run_portrait", lambda *arguments: ran.append(tuple(map(str, arguments))))
    source, data, run = tmp_path / "source", tmp_path / "data", tmp_path / "run"
    source.mkdir()
    assert steps.prepare_source(source, data) == data
    data.mkdir()
    for name in ("report.json", "events.parquet"):
        (data / name).touch()
    assert steps.prepare_source(source, data) == data
    assert steps.prepare_source(data, tmp_path / "other") == data, "a prepared data set is used as it is"
    steps.train_run(data, run, "--split", "time")
    run.mkdir()
    steps.train_run(data, run, "--split", "time")
    (run / "model.pt").touch()
    steps.train_run(data, run, "--split", "time")
    train = ("train", str(data), str(run), "--split", "time")
    assert ran == [("prepare", str(source), str(data)), train, (*train, "--resume")]


def test_a_step_that_fails_names_its_command(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    with pytest.raises(BenchmarkError, match=r"portrait prepare .*source .*data` ended with exit code 2"):
        steps.prepare_source(tmp_path / "source", tmp_path / "data")
