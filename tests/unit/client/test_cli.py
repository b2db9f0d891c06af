"""The command `portrait` by itself: which commands there are, and what it says where a part is missing."""

import os
import pty
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest
import typer

from portrait.client.command_list import GROUPS
from portrait.features.installation import explain_install

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


def test_the_list_says_of_each_command_what_its_own_help_says() -> None:
    """A command that is not in the list is still there, under further commands, but the list has to load its part."""
    listed = {name: said for group in GROUPS.values() for name, said in group.items()}
    commands = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]["entry-points"]["portrait.commands"]
    assert listed.keys() == commands.keys()
    for entry in entry_points(group="portrait.commands"):
        loaded = entry.load()
        own = loaded.info.help if isinstance(loaded, typer.Typer) else loaded.__doc__
        assert " ".join(own.split()).startswith(listed[entry.name].rstrip(".")), entry.name


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], ["profile", "--help"], ["item", "get", "--help"], ["audience", "find", "--help"],
     ["profile", "a", "--as-of", "yesterday"], ["train", "--help"]],
)  # fmt: skip
def test_help_and_wrong_arguments_load_nothing_heavy(arguments: list[str]) -> None:
    program = (
        "import sys, atexit; sys.argv[0] = 'portrait'\n"
        "atexit.register(lambda: sys.stderr.write('loaded: ' + ' '.join(sys.modules)))\n"
        "from portrait.client.cli import main; main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, encoding="utf-8", check=False
    )
    loaded = set(ended.stderr.partition("loaded: ")[2].split())
    assert "typer" in loaded
    heavy = {
        "grpc",
        "google.protobuf",
        "asyncio",
        "ssl",
        "numpy",
        "pydantic_settings",
        "torch",
        "duckdb",
        "polars",
        "onnx",
    }
    assert loaded & heavy == set()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("missing", "command", "told"),
    [
        ("typer", "profile", f"portrait needs typer: {explain_install('cli')}"),
        ("rich.console", "profile", f"portrait profile needs rich.console: {explain_install('cli')}"),
        ("pydantic_settings", "serve", f"portrait serve needs pydantic_settings: {explain_install('server')}"),
        ("duckdb", "prepare", f"portrait prepare needs duckdb: {explain_install('train')}"),
    ],
)
def test_a_missing_part_is_named(missing: str, command: str, told: str, tmp_path: Path) -> None:
    arguments = {"profile": ["a"], "serve": ["--port", "1"], "prepare": [str(tmp_path), str(tmp_path / "out")]}
    ended = portrait(command, *arguments[command], missing=missing)
    assert (ended.returncode, ended.stderr, ended.stdout) == (2, told + "\n", "")


def test_help_is_there_where_a_part_is_missing() -> None:
    ended = portrait("--help", missing="pydantic_settings")
    assert ended.returncode == 0
    assert "Not installed: pip install '.[server]'" in ended.stdout


def test_a_fault_of_ours_is_not_taken_for_a_missing_part() -> None:
    ended = portrait("profile", "a", missing="portrait.client.tables")
    assert "ModuleNotFoundError" in ended.stderr
    assert "pip install" not in ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ["profile"],
        ["profile", "a", "--timeout", "0"],
        ["profile", "a", "--as-of", "yesterday"],
        ["profile", "a", "--key", "caller.key"],
        ["recommend", "a", "--k", "many"],
        ["recommend", "a", "--max-per-category", "some"],
        ["nothing"],
    ],
)
def test_wrong_arguments_end_with_2(arguments: list[str]) -> None:
    ended = portrait(*arguments)
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    assert "--help" in ended.stderr


def run_in_ascii(program: str, **streams: int) -> subprocess.CompletedProcess[bytes]:
    """Run a program after the command line has set up its streams, where the locale is ASCII."""
    environment = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    whole = f"from portrait.client import cli; cli._open_streams(); cli._encode_streams(); import sys; {program}"
    return subprocess.run([sys.executable, "-c", whole], env=environment, check=True, **streams)


def test_pipes_take_utf_8_whatever_the_locale() -> None:
    program = "sys.stdout.write('\\u53f0\\u706f \\xe9 \\udcff'); sys.stderr.write('\\u53f0')"
    ended = run_in_ascii(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert (ended.stdout.decode(), ended.stderr.decode()) == ("台灯 é \\udcff", "台")


def test_a_terminal_takes_what_its_locale_can_show() -> None:
    terminal, program = pty.openpty()
    run_in_ascii("sys.stdout.write('\\u53f0 lamp')", stdout=program)
    assert os.read(terminal, 100) == b"\\u53f0 lamp"
    os.close(program)
    os.close(terminal)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_no_file_gets_the_number_of_a_closed_stream(closed: str, tmp_path: Path) -> None:
    program = (
        "from portrait.client import cli; cli._open_streams(); import os, sys; "
        f"opened = open({str(tmp_path / 'file')!r}, 'w', encoding='utf-8'); "
        "sys.stdout.write('x'); sys.stderr.write('x'); sys.stdout.flush(); sys.stderr.flush(); "
        "opened.write(f'{opened.fileno()} {[os.get_inheritable(each) for each in range(3)]}')"
    )
    subprocess.run(["sh", "-c", f'"$@" {closed}', "sh", sys.executable, "-c", program], check=True, capture_output=True)
    number, _, inheritable = (tmp_path / "file").read_text(encoding="utf-8").partition(" ")
    assert int(number) > 2
    assert inheritable == "[True, True, True]"


@pytest.mark.parametrize("arguments", ["--version", "profile --help"])
def test_an_output_that_can_not_be_written_is_told_in_one_line(arguments: str) -> None:
    program = "from portrait.client.cli import main; main()"
    with open("/dev/full", "wb") as full:
        ended = subprocess.run(
            [sys.executable, "-c", program, *arguments.split()],
            stdout=full,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            check=False,
        )
    assert (ended.returncode, ended.stderr) == (1, "portrait: [Errno 28] No space left on device\n")
