"""Text goes in and out as UTF-8 whatever the locale: every place says so.

Ruff's `unspecified-encoding` sees `open(…)`, but not `path.open(…)` or `path.read_text()` where it does not know the
type, nor `subprocess.run(…, text=True)`.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
FOLDERS = (
    "benchmarks", "clients", "docs", "export", "features", "model_repository", "reporting", "server", "tests",
    "training",
)  # fmt: skip
_ARGUMENTS_BEFORE_ENCODING = {"read_text": 0, "write_text": 1, "TextIOWrapper": 1, "FileHandler": 2}
_TEMPORARY_FILES = {"NamedTemporaryFile", "TemporaryFile", "SpooledTemporaryFile"}


def unspecified(source: str) -> list[int]:
    """Lines of a program that read or write text in the encoding of the locale."""
    return [call.lineno for call in calls(ast.parse(source)) if is_text(call) and not has(call, "encoding")]


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def has(call: ast.Call, keyword: str) -> bool:
    return any(each.arg in (keyword, None) for each in call.keywords)


def is_text(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if any(each.arg in ("text", "universal_newlines") and is_true(each.value) for each in call.keywords):
        return True
    if name in _ARGUMENTS_BEFORE_ENCODING:
        return len(call.args) <= _ARGUMENTS_BEFORE_ENCODING[name]
    if name in _TEMPORARY_FILES:
        return "b" not in mode(call, 0, "w+b")
    if name == "fdopen" or (name == "open" and isinstance(call.func, ast.Name)):
        return "b" not in mode(call, 1, "r")
    # A method `open` of something else than a path is given something else than a mode.
    return name == "open" and is_mode(said := mode(call, 0, "r" if not call.args else "")) and "b" not in said


def mode(call: ast.Call, place: int, default: str) -> str:
    """The mode that a file is opened with."""
    values = [each.value for each in call.keywords if each.arg == "mode"] or call.args[place : place + 1]
    if not values:
        return default
    return str(values[0].value) if isinstance(values[0], ast.Constant) else ""


def is_mode(text: str) -> bool:
    return bool(text) and set(text) <= set("rwaxbt+") and bool(set(text) & set("rwax"))


def is_true(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is True


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_text_has_an_encoding(folder: str) -> None:
    found = [
        f"{path.relative_to(REPOSITORY)}:{line}"
        for path in sorted((REPOSITORY / folder).rglob("*.py"))
        for line in unspecified(path.read_text(encoding="utf-8"))
    ]
    assert not found


@pytest.mark.parametrize(
    "line",
    [
        "open(path)",
        "open(path, 'w')",
        "path.open()",
        "path.open('a', newline='')",
        "path.open(mode='r')",
        "path.read_text()",
        "path.read_text(errors='replace')",
        "path.write_text(text)",
        "os.fdopen(descriptor, 'w')",
        "tempfile.NamedTemporaryFile('w')",
        "subprocess.run(command, text=True)",
        "subprocess.Popen(command, universal_newlines=True)",
        "io.TextIOWrapper(stream)",
    ],
)
def test_an_encoding_that_is_left_out_is_found(line: str) -> None:
    assert unspecified(line) == [1]


@pytest.mark.parametrize(
    "line",
    [
        "open(path, 'rb')",
        "path.open('wb')",
        "path.open(encoding='utf-8')",
        "os.fdopen(descriptor, 'rb', closefd=False)",
        "tempfile.NamedTemporaryFile()",
        "subprocess.run(command, text=True, encoding='utf-8')",
        "path.read_text('utf-8')",
        "AudienceTable.open(folder)",
        "Engine.open(repository, 1)",
        "webbrowser.open('http://localhost')",
    ],
)
def test_what_is_no_text_or_has_an_encoding_passes(line: str) -> None:
    assert unspecified(line) == []
