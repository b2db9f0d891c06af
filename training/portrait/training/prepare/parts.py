"""Finds the files of a table: one file, or a folder of parts as Spark, DuckDB and cloud warehouses write them."""

from dataclasses import dataclass
from pathlib import Path

from portrait.training.errors import DataError

FORMATS = (".csv", ".tsv", ".jsonl", ".parquet")
COMPRESSIONS = (".gz", ".zst")
MAX_NAMES = 5
"""Files of a folder that a message names."""
TABLES = ("events", "items", "shoppers")
"""Names of the tables of a log."""


@dataclass(frozen=True)
class Part:
    """One file of a table."""

    file: Path
    name: str
    """Its path inside the table's folder, or its own name: how events say where they come from."""


def file_format(file: Path) -> str:
    """The format of a file, one of `FORMATS`, by the end of its name; empty if it has none of them."""
    suffixes = [suffix.lower() for suffix in file.suffixes[-2:]]
    if suffixes and suffixes[-1] in COMPRESSIONS:
        suffixes.pop()
    return suffixes[-1] if suffixes and suffixes[-1] in FORMATS else ""


def find_parts(folder: Path, name: str) -> list[Part]:
    """The files of a table that a folder holds as `NAME.csv`, `NAME.parquet.gz`, …, or as a folder `NAME` of parts.

    Raises:
        DataError: it holds the table twice, or what the table's folder holds is no table.
    """
    found = [path for path in _list_visible(folder) if _stem(path) == name and (path.is_dir() or file_format(path))]
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise DataError(str(folder), None, None, f"holds {name} more than once: {names}; leave one of them there")
    if not found:
        return []
    (path,) = found
    return list_parts(path) if path.is_dir() else [Part(path, path.name)]


def list_parts(folder: Path) -> list[Part]:
    """The parts of a table's folder and of the folders in it, by name. What is hidden or empty is none.

    Raises:
        DataError: the folder holds no part, or something else.
    """
    paths = sorted(_list_files(folder), key=lambda path: path.relative_to(folder).as_posix())
    for path in paths:
        if not file_format(path):
            endings = ", ".join(FORMATS)
            raise DataError(
                str(path), None, None, f"a folder of parts holds files that end in {endings}, or hidden ones"
            )
    parts = [Part(path, path.relative_to(folder).as_posix()) for path in paths if path.stat().st_size]
    if not parts:
        raise DataError(str(folder), None, None, "holds no part that is not empty")
    return parts


def is_folder_of_parts(folder: Path) -> bool:
    """Tell whether a folder holds files of tables, and none that is named as one of Portrait's."""
    files = [path for path in _list_visible(folder) if path.is_file() and file_format(path)]
    return bool(files) and not any(_stem(path) in TABLES[1:] for path in _list_visible(folder))


def find_other_tables(folder: Path) -> list[str]:
    """Names of the tables that a log's folder holds beside its own, which nobody reads; none in a folder of parts."""
    if is_folder_of_parts(folder) and not find_parts(folder, "events"):
        return []
    return [path.name for path in _list_visible(folder) if file_format(path) and _stem(path) not in TABLES]


def describe_no_log(path: Path) -> str:
    """Say why a file or a folder is no log, and what one is."""
    *others, last = FORMATS
    packed = " or ".join(COMPRESSIONS)
    wanted = f"a log is a file, or a folder with events, as {', '.join(others)} or {last}, also packed as {packed}"
    if path.is_file():
        return f"{path} is no log: {wanted}"
    names = [each.name for each in _list_visible(path)]
    held = (
        f"it holds {', '.join(names[:MAX_NAMES])}{', …' if len(names) > MAX_NAMES else ''}" if names else "it is empty"
    )
    lines = "; if each has one object per line, let its name end in .jsonl"
    return f"{path} holds no log: {wanted}; {held}" + (lines if any("json" in name.lower() for name in names) else "")


def _list_files(folder: Path) -> list[Path]:
    if (folder / "report.json").exists():
        raise DataError(str(folder), None, None, "is a data set that `portrait prepare` wrote, and no part of a log")
    inner = _list_visible(folder)
    return [file for path in inner for file in (_list_files(path) if _is_own_folder(path) else [path])]


def _is_own_folder(path: Path) -> bool:
    # A link to a folder may lead back to where it stands.
    return path.is_dir() and not path.is_symlink()


def _list_visible(folder: Path) -> list[Path]:
    """List a folder without hidden files and marks such as `_SUCCESS`."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith((".", "_")))


def _stem(path: Path) -> str:
    """The name without the endings of formats and compressions."""
    name = path.name.lower()
    for endings in (COMPRESSIONS, FORMATS):
        name = next((name.removesuffix(end) for end in endings if name.endswith(end)), name)
    return name
