"""Search of source and documentation for words that readers stumble over.

    python tests/support/plain_words.py [PATH…]

Each finding is a line `FILE:LINE: what`. Without paths, the whole repository is searched.
"""

import ast
import re
import sys
import tokenize
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
_FOLDERS = (
    "benchmarks", "clients", "docs", "experiments", "export", "features", "model_repository", "protos", "reporting",
    "server", "tests", "training",
)  # fmt: skip
_FILES = ("CONTRIBUTING.md", "Makefile", "README.md", "pyproject.toml")
_TEXTS = {".c", ".html", ".js", ".md", ".pbtxt", ".proto", ".py", ".sh", ".toml", ".ts", ".yaml", ".yml"}
_SKIPPED_FOLDERS = {"v1", "results", "node_modules", "__pycache__"}
"""Generated stubs, and results that tell the commands of their time."""

_OPENINGS = re.compile(r"(Of|Who|Whose|Whom|What|Whether|How|Where|When|Which|If|That)\b")
_BOUNDS = re.compile(r"_*(MOST|LEAST)_")
_EVENT = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_LOGGER = re.compile(r"_?log(ger)?")
_LEVELS = {"debug", "info", "warning", "warn", "error", "exception", "critical"}
_WORD = re.compile(r"[a-z]+")
_TABLE = re.compile(r"^#+ Names, English and rooms\n(.*?)(?=^#+ |\Z)", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`]+)`")

Found = Iterator[tuple[int, str]]
"""Line numbers and what is wrong there."""


def find_openings(tree: ast.Module) -> Found:
    """Find docstrings, those of attributes included, that begin with a question word, `Of`, `If` or `That`."""
    for node in _docstrings(tree):
        if opening := _OPENINGS.match(str(node.value).lstrip()):
            yield node.lineno, f"a docstring begins with {opening[0]!r}"


def _docstrings(tree: ast.Module) -> Iterator[ast.Constant]:
    for statement in _walk_statements(tree):
        match statement:
            case ast.Expr(value=ast.Constant(value=str()) as constant):
                yield constant


def _walk_statements(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield all statements, and no expression: they are nine of ten nodes."""
    nodes: list[ast.AST] = [tree]
    while nodes:
        node = nodes.pop()
        yield node
        for part in ("body", "orelse", "finalbody", "handlers", "cases"):
            nodes.extend(getattr(node, part, ()))


def find_bounds(path: Path) -> Found:
    """Find identifiers that begin with `MOST_` or `LEAST_`."""
    if not _BOUNDS.search(path.read_text(encoding="utf-8")):
        return  # to look is faster than to split every file into tokens
    with path.open("rb") as source:
        for token in tokenize.tokenize(source.readline):
            if token.type == tokenize.NAME and _BOUNDS.match(token.string):
                yield token.start[0], f"{token.string} is not MAX_ or MIN_"


def find_log_events(tree: ast.Module) -> Found:
    """Find log calls whose event is not in snake_case."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=logger), attr=level), args=[event, *_]):
                if level in _LEVELS and _LOGGER.fullmatch(logger):
                    for text in _constants(event):
                        if not _EVENT.fullmatch(text):
                            yield node.lineno, f"the log event {text!r} is not in snake_case"


def _constants(event: ast.expr) -> Iterator[str]:
    match event:
        case ast.Constant(value=str(text)):
            yield text
        case ast.IfExp(body=one, orelse=other):
            yield from _constants(one)
            yield from _constants(other)


def read_old_names(changelog: str) -> list[str]:
    """Read the first column of the tables of the changelog's section on names: everything in backticks."""
    rows = [row for section in _TABLE.findall(changelog) for row in section.splitlines() if row.startswith("|")]
    return sorted({name for row in rows for name in _CODE.findall(row.split("|")[1])})


def find_old_names(path: Path, tree: ast.Module | None, names: list[str]) -> Found:
    """Find old names; those that are common words as well count only as modules, definitions and imports."""
    text = path.read_text(encoding="utf-8")
    if pattern := _compile_names(tuple(names)):
        for place in pattern.finditer(text):
            yield text.count("\n", 0, place.start()) + 1, f"{place[0]} is an old name"
    words = {name for name in names if _WORD.fullmatch(name)}
    if path.suffix == ".py" and path.stem in words:
        yield 1, f"{path.name} has an old name"
    for node in _walk_statements(tree) if tree else ():
        for name in sorted(_defined(node) & words):
            yield getattr(node, "lineno", 1), f"{name} is an old name"


@lru_cache(maxsize=1)
def _compile_names(names: tuple[str, ...]) -> re.Pattern[str] | None:
    longest_first = sorted((re.escape(name) for name in names if not _WORD.fullmatch(name)), key=len, reverse=True)
    return re.compile(rf"(?<![\w-])(?:{'|'.join(longest_first)})(?![\w-])") if longest_first else None


def _defined(node: ast.AST) -> set[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
        case ast.ImportFrom(module=str(module), names=names) if module.startswith(("portrait", "benchmarks")):
            return {*module.split("."), *(alias.name for alias in names)}
        case ast.Import(names=names):
            return {part for alias in names if alias.name.startswith("portrait") for part in alias.name.split(".")}
    return set()


def find(path: Path, old_names: list[str]) -> Found:
    """Find everything in one file."""
    tree = None
    if path.suffix == ".py":
        tree = ast.parse(path.read_bytes())
        yield from find_openings(tree)
        yield from find_bounds(path)
        if _has_log_events(path):
            yield from find_log_events(tree)
    yield from find_old_names(path, tree, old_names)


def _has_log_events(path: Path) -> bool:
    """Tell whether a file logs through structlog: the lines of other packages are sentences for people."""
    return "server" in path.parts or "structlog" in path.read_text(encoding="utf-8")


def list_files(paths: list[Path]) -> list[Path]:
    """List the files below some paths that are searched."""
    found = {file for path in paths for file in (path.rglob("*") if path.is_dir() else [path])}
    return sorted(
        file
        for file in found
        if (file.suffix in _TEXTS or file.name == "Makefile")
        and not _SKIPPED_FOLDERS & set(file.parts)
        and not any(part.startswith(".") for part in file.relative_to(file.anchor).parts)
    )


def search(paths: list[Path], repository: Path = REPOSITORY) -> list[str]:
    """Search files and folders of a repository; all of it without any. Each finding names file and line."""
    everything = [*(repository / name for name in (*_FOLDERS, *_FILES))]
    old_names = read_old_names((repository / "CHANGELOG.md").read_text(encoding="utf-8"))
    return [
        f"{path.relative_to(repository)}:{line}: {what}"
        for path in list_files(paths or [each for each in everything if each.exists()])
        for line, what in sorted(set(find(path, old_names)))
    ]


if __name__ == "__main__":
    findings = search([Path(each).resolve() for each in sys.argv[1:]])
    print(*findings, sep="\n")
    sys.exit(bool(findings))
