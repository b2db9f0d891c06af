"""Readers of tables with every option pinned: what is read hangs on the file alone, not on its name or its folder.

DuckDB and Polars read a path as a pattern, `~` as the home folder, and a folder `type=view/` as a column. No other
module calls their readers.
"""

from collections.abc import Collection
from pathlib import Path

import polars as pl

from portrait.features.files.path_names import utf8_path
from portrait.training.dataset.sql import literal
from portrait.training.errors import TrainingError

MAX_CSV_LINE, MAX_JSON_LINE = 2_000_000, 16 << 20
"""Bytes of a line; longer ones are refused."""

_WILDCARDS = "*?["
_PATH_OPTIONS = "hive_partitioning = false, filename = false, union_by_name = false"


def list_shards(table: Path) -> list[Path]:
    """The files of a Parquet table, which is one file or a folder of shards, in the order of their rows.

    Raises:
        OSError: it is neither.
    """
    if not table.is_dir():
        return [table]
    shards = sorted(path for path in table.glob("*.parquet") if not path.name.startswith((".", "_")))
    if not shards:
        raise FileNotFoundError(f"{table} is no file, and no folder of shards")
    return shards


def parquet_relation(file: Path, *, numbered: bool = False, mending: str = "strict") -> str:
    """SQL of a Parquet table's rows, those of its first shard first; bytes that have no type are UTF-8.

    Args:
        file: its path, or a folder of shards.
        numbered: add the column `file_row_number`, from 0; the file may have no column of that name then.
        mending: what becomes of bytes that are not UTF-8: `strict` refuses them, `replace` or `ignore` mends them.
    """
    paths = ", ".join(map(_quote_path, list_shards(file)))
    return (
        f"read_parquet([{paths}], file_row_number = {str(numbered).lower()}, binary_as_string = true, "
        f"utf8_validation = '{mending}', {_PATH_OPTIONS})"
    )


def csv_relation(file: Path, columns: Collection[str], delimiter: str, quote: str = '"', *, header: bool = True) -> str:
    """SQL of a delimited file's rows: UTF-8, not compressed, all columns text."""
    typed = ", ".join(f"{literal(column)}: 'VARCHAR'" for column in columns)
    # The dialect is given, not guessed: a guess that a broken row leads astray would hide the broken row.
    return (
        f"read_csv({_quote_path(file)}, auto_detect = false, strict_mode = true, header = {str(header).lower()}, "
        f"delim = {literal(delimiter)}, quote = '{quote}', escape = '{quote}', columns = {{{typed}}}, "
        f"compression = 'none', encoding = 'utf-8', max_line_size = {MAX_CSV_LINE}, null_padding = false, "
        f"ignore_errors = false, {_PATH_OPTIONS})"
    )


def json_lines_relation(file: Path) -> str:
    """SQL of a file's JSON lines, not compressed: one column, `json`."""
    return (
        f"read_ndjson_objects({_quote_path(file)}, compression = 'none', maximum_object_size = {MAX_JSON_LINE}, "
        f"ignore_errors = false, {_PATH_OPTIONS})"
    )


def parquet_schema_relation(file: Path) -> str:
    """SQL of a Parquet file's columns and fields, parents first: `name`, `num_children`."""
    return f"parquet_schema({_quote_path(file)})"


def read_parquet(file: Path, columns: Collection[str] | None = None) -> pl.DataFrame:
    """Read a Parquet table as a whole.

    Args:
        file: its path, or a folder of shards.
        columns: those that are wanted; all if None.

    Raises:
        OSError, polars.exceptions.PolarsError: it can't be read.
    """
    table = scan_parquet(file)
    return (table if columns is None else table.select(*columns)).collect()


def scan_parquet(file: Path) -> pl.LazyFrame:
    """Open a Parquet table, a file or a folder of shards, for a query.

    Raises:
        OSError: it is neither.
    """
    if not file.exists():
        raise FileNotFoundError(f"{file} is missing")
    return pl.scan_parquet([utf8_path(shard) for shard in list_shards(file)], glob=False, hive_partitioning=False)


def _quote_path(file: Path) -> str:
    """A file's path as an SQL literal that matches that file only.

    Raises:
        TrainingError: no pattern does.
    """
    path = str(file.absolute())
    if "\\" in path and any(wildcard in path for wildcard in _WILDCARDS):
        raise TrainingError(f"{file} can't be read: its path holds a backslash beside one of {_WILDCARDS}; rename it")
    return literal(Path("".join(f"[{letter}]" if letter in _WILDCARDS else letter for letter in path)))
