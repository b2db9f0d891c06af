"""Every command with every wrong path: it ends with a line and exit code 2, and never with a traceback.

Commands are found by their entry points and parameters by their types, so that a new one can't be forgotten.
"""

import itertools
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

import pytest
import typer
from support import tiny_release
from support.command_line import CommandResult, run_portrait
from support.tiny_log import Shop

FOLDERS_TO_WRITE = {
    ("export", "repository"),
    ("prepare", "paths"),
    ("train", "run"),
    ("tune", "study"),
    ("unlearn", "output"),
}
"""Parameters that name a folder to be written, which is made if it is missing, and holds other things at times."""
FILES_TO_WRITE = {("evaluate", "dump"), ("label-traits", "output"), ("loadtest", "out"), ("report", "out")}
"""Parameters that name a file to be written, or written anew."""
GATEWAY = {"address": "unix:/nowhere/portrait.sock", "timeout": "0.05"}
"""Nobody answers there."""
CERTIFICATES = {"root_certificates", "certificate", "key", "token_file"}
"""Read in the same way by all commands that call a gateway, of which a few paths say enough."""
SERVER = {
    "backup", "build-audience-table", "check-traits", "doctor", "export-deletions", "index-release", "migrate-state",
    "restore", "serve",
}  # fmt: skip
"""Commands that tell what stops them by a line of their log, with exit code 1."""
NOTHING_TO_DO = {
    (name, "empty")
    for name in ("audit", "encode", "export-deletions", "profiles", "record", "rules", "topics", "upsert")
}
"""A file without lines is a file of nothing: no events, no rules, no audit; and a new state holds nobody."""
NEEDED = {("audience", "interest"), ("loadtest", "source"), ("loadtest", "out")}
"""Parameters that a command may do without, but not in these tests."""
LINES = {("loadtest", "queries"), ("loadtest", "shopper_ids")}
"""Parameters that name a file of texts, one a line: any text is right."""
NO_TEXT = {"bytes", "below a file", "empty", "folder", "line break", "missing", "read-only"}


@dataclass(frozen=True)
class Command:
    """A command of the command line, `release promote` as two words."""

    words: tuple[str, ...]
    parameters: dict[str, typer.core.TyperArgument | typer.core.TyperOption]


def _commands() -> Iterator[Command]:
    for entry in sorted(entry_points(group="portrait.commands"), key=lambda entry: entry.name):
        loaded = entry.load()
        app = loaded
        if not isinstance(loaded, typer.Typer):
            app = typer.Typer()
            app.command(entry.name)(loaded)
        yield from _leaves((entry.name,), typer.main.get_command(app))


def _leaves(words: tuple[str, ...], command: object) -> Iterator[Command]:
    children = getattr(command, "commands", None)
    if children is None:
        yield Command(words, {each.name: each for each in command.params})  # type: ignore[attr-defined]
        return
    for name, child in children.items():
        yield from _leaves((*words, name), child)


COMMANDS = list(_commands())


def _is_path(parameter: typer.core.TyperArgument | typer.core.TyperOption) -> bool:
    named = parameter.name in {"file", "base_model"} or parameter.metavar == "PATH"
    return named or "Path" in str(parameter.type_descriptor.annotation)


CASES = [
    pytest.param(command, name, id=f"{' '.join(command.words)} {name}")
    for command in COMMANDS
    for name, parameter in command.parameters.items()
    if _is_path(parameter)
]


@pytest.fixture
def wrong(tmp_path: Path) -> dict[str, Path]:
    """Paths that no command can use."""
    folder = tmp_path / "wrong"
    folder.mkdir()
    contents = {
        "empty": b"",
        "bytes": bytes(range(256)) * 8,
        "broken.json": b'{"learning_rate": ',
        "deep.json": b"[" * 100_000,
        "list.json": b"[1, 2]",
        "broken.parquet": b"PAR1" + bytes(64) + b"PAR1",
        "broken.toml": b"[[trait]\nname = ",
        "surrogate.jsonl": b'{"shopper_id": "\\ud800", "type": "view", "item_id": "a"}\n',
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    (folder / "folder").mkdir()
    for name in ("events", "items", "report"):
        (folder / "folder" / f"{name}.parquet").mkdir()
    paths = {name: folder / name for name in (*contents, "folder")}
    return paths | {
        "missing": folder / "nowhere" / "nothing",
        "below a file": folder / "empty" / "nothing",
        "read-only": Path("/proc/portrait"),  # nothing can be made there, not even by root
        "line break": folder / "no\nwhere" / "no\nthing",
    }


@pytest.fixture(scope="session")
def valid(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """Valid values for the other parameters that a command requires."""
    folder = tmp_path_factory.mktemp("valid")
    (folder / "traits.toml").write_text(
        '[[trait]]\nname = "a"\nhorizon_days = 1\nlabel = "SELECT 1"\n', encoding="utf-8"
    )
    (folder / "events.csv").write_text("shopper_id,type,item_id\na,view,b\n", encoding="utf-8")
    repository = folder / "repository"
    tiny_release.build(repository)
    return {
        "data": shop.data,
        "run": shop.run,
        "file": folder / "traits.toml",
        "study": folder / "study",
        "output": folder / "next",
        "repository": repository,
        "number": 1,
        "percent": 10,
        "shopper_id": "a",
        "interest": "Home",
        "settings": None,
        "source": shop.data,
        "stream": "redis-stream://127.0.0.1:1/events",
        "out": folder / "workload.json",
        **GATEWAY,
    }


def _arguments(command: Command, wrong_name: str, path: object, valid: dict[str, object], shop: Shop) -> list[object]:
    """The command line with one wrong path; all else that it needs is right."""
    arguments: list[object] = [*command.words]
    options: list[object] = []
    if command.words == ("loadtest",):
        options.append("--dry-run")  # else the test's process would become k6
    for name, parameter in command.parameters.items():
        if name == wrong_name:
            value = path
        elif parameter.required or name in GATEWAY or (command.words[0], name) in NEEDED:
            value = valid.get(name, shop.log)
        else:
            continue
        values = [value]
        if (command.words[0], name) == ("prepare", "paths"):
            values = [shop.log, path if name == wrong_name else shop.log.with_name("unused")]
        if isinstance(parameter, typer.core.TyperArgument):
            arguments += values
        else:
            options += itertools.chain.from_iterable((max(parameter.opts, key=len), each) for each in values)
    return [*arguments, *options]


def _require_told(command: Command, kind: str, ended: CommandResult) -> None:
    if (command.words[0], kind) in NOTHING_TO_DO:
        return
    if command.words[0] in SERVER:
        assert ended.code in {1, 2}
        return
    if ended.code == 1 and "address" in command.parameters:
        # Nothing is wrong with the file before the gateway is asked. A busy machine may take longer than its timeout.
        assert "UNAVAILABLE" in ended.stderr or "DEADLINE_EXCEEDED" in ended.stderr
    else:
        assert ended.code == 2
    assert ended.stderr.count("\n") == 1 or ended.stderr.startswith("Usage: ")


@pytest.mark.parametrize(("command", "name"), CASES)
def test_a_wrong_path_is_told(
    command: Command, name: str, wrong: dict[str, Path], valid: dict[str, object], shop: Shop
) -> None:
    for kind, path in wrong.items():
        if name in CERTIFICATES and kind not in {"bytes", "folder", "missing"}:
            continue
        if (command.words[0], name) in FOLDERS_TO_WRITE and kind in {"missing", "folder", "line break"}:
            continue
        if (command.words[0], name) in FILES_TO_WRITE and path.is_file():
            continue
        if (command.words[0], name) in LINES and kind not in NO_TEXT:
            continue
        if (name, kind) == ("results", "folder"):
            continue  # a folder that holds no results of this data set is none of its own
        arguments = _arguments(command, name, path, valid, shop)
        ended = run_portrait(*arguments)
        try:
            _require_told(command, kind, ended)
        except AssertionError as error:
            raise AssertionError(f"{kind}: portrait {' '.join(map(str, arguments))}: {ended}") from error


def test_every_command_is_walked() -> None:
    """Commands without a path are few; a new one is looked at here."""
    walked = {case.values[0].words for case in CASES}  # type: ignore[attr-defined]
    assert {command.words for command in COMMANDS} == walked


@pytest.mark.parametrize("kind", ["bytes", "empty", "folder", "missing", "deep.json", "broken.parquet"])
@pytest.mark.parametrize("source", ["events", "amazon-5core", "bestbuy", "complete-journey", None])
def test_a_wrong_log_is_told(kind: str, source: str | None, wrong: dict[str, Path], tmp_path: Path) -> None:
    chosen = [] if source is None else ["--source", source]
    ended = run_portrait("prepare", wrong[kind], tmp_path / "out", *chosen)
    assert (ended.code, ended.stderr.count("\n")) == (2, 1), ended
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["model.pt", "data.json", "settings.json", "tokenizer.json", "relations.npz"])
@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'{"path": 3}', b"\xff\xfe"])
def test_a_damaged_run_is_told(shop: Shop, tmp_path: Path, name: str, content: bytes) -> None:
    shutil.copytree(shop.run, tmp_path / "run", ignore=shutil.ignore_patterns("tensorboard"))
    if name == "settings.json" and content == b"{}":
        pytest.skip("a run of an older version may lack settings")
    (tmp_path / "run" / name).write_bytes(content)
    ended = run_portrait("evaluate", tmp_path / "run")
    assert (ended.code, ended.stderr.count("\n")) == (2, 1), ended


@pytest.mark.parametrize("name", ["events.parquet", "items.parquet", "shoppers.parquet", "report.json"])
def test_a_damaged_data_set_is_told(shop: Shop, tmp_path: Path, name: str) -> None:
    shutil.copytree(shop.data, tmp_path / "data")
    whole = (tmp_path / "data" / name).read_bytes()
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes(byte ^ 0xFF for byte in whole[middle : middle + 64]) + whole[middle + 64 :]
    for content in (b"", b"[1]", b"PAR1" + bytes(64) + b"PAR1", whole[:middle], flipped):
        (tmp_path / "data" / name).write_bytes(content)
        ended = run_portrait("train", tmp_path / "data", tmp_path / "run", *shop.options)
        assert (ended.code, ended.stderr.count("\n")) == (2, 1), (content[:8], ended)
        assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
def test_an_end_far_from_the_log_is_told(shop: Shop, valid: dict[str, object], day: str) -> None:
    ended = run_portrait("train-traits", shop.run, valid["file"], "--complete-until", day)
    assert (ended.code, ended.stderr.count("\n")) == (2, 1), ended
    assert "--complete-until must be from 2026-01-" in ended.stderr


@pytest.mark.parametrize(
    "wrong", [("--trials", 0), ("--minutes", "nan"), ("--minutes", -1), ("--seed", -1), ("--seed", 2**40)]
)
def test_a_study_out_of_range_is_told(shop: Shop, tmp_path: Path, wrong: tuple[object, ...]) -> None:
    ended = run_portrait("tune", shop.data, tmp_path / "study", *wrong)
    assert (ended.code, ended.stderr.count("\n")) == (2, 1), ended
    assert f"'{str(wrong[0]).removeprefix('--')}' must be from" in ended.stderr
    assert not (tmp_path / "study").exists()
