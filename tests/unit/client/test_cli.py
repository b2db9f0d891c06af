"""The command `portrait` by itself: which commands there are, and what it says where a part is missing."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

PYPROJECT = Path(__file__).parents[3] / "pyproject.toml"


def portrait(*arguments: str, missing: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command where a module can't be imported."""
    program = f"import sys; sys.argv[0] = 'portrait'; sys.modules[{missing!r}] = None\n"
    program += "from portrait.client.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, encoding="utf-8", check=False
    )


def test_version() -> None:
    ended = portrait("--version")
    assert ended.stdout == f"portrait {tomllib.loads(PYPROJECT.read_text(encoding='utf-8'))['project']['version']}\n"


def test_help_lists_the_commands_of_every_part() -> None:
    commands = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]["entry-points"]["portrait.commands"]
    listed = portrait("--help").stdout
    assert [command for command in commands if f" {command} " not in listed] == []


@pytest.mark.parametrize(
    ("missing", "command", "told"),
    [
        ("typer", "profile", "portrait needs typer: pip install 'portrait[cli]'"),
        ("rich.console", "profile", "portrait profile needs rich.console: pip install 'portrait[cli]'"),
        ("pydantic_settings", "serve", "portrait serve needs pydantic_settings: pip install 'portrait[server]'"),
        ("duckdb", "prepare", "portrait prepare needs duckdb: pip install 'portrait[train]'"),
    ],
)
def test_a_missing_part_is_named(missing: str, command: str, told: str, tmp_path: Path) -> None:
    arguments = {"profile": ["a"], "serve": ["--port", "1"], "prepare": [str(tmp_path), str(tmp_path / "out")]}
    ended = portrait(command, *arguments[command], missing=missing)
    assert (ended.returncode, ended.stderr, ended.stdout) == (2, told + "\n", "")


def test_help_is_there_where_a_part_is_missing() -> None:
    ended = portrait("--help", missing="pydantic_settings")
    assert ended.returncode == 0
    assert "Not installed: pip install 'portrait[server]'" in ended.stdout


def test_a_fault_of_ours_is_not_taken_for_a_missing_part() -> None:
    ended = portrait("profile", "a", missing="portrait.client.tables")
    assert "ModuleNotFoundError" in ended.stderr
    assert "pip install" not in ended.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["profile"],
        ["profile", "a", "--timeout", "0"],
        ["profile", "a", "--as-of", "yesterday"],
        ["profile", "a", "--key", "caller.key"],
        ["recommend", "a", "--k", "many"],
        ["nothing"],
    ],
)
def test_wrong_arguments_end_with_2(arguments: list[str]) -> None:
    ended = portrait(*arguments)
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    assert "--help" in ended.stderr
