"""The SQL engine that reads, cleans and sorts logs: DuckDB, which spills to disk what memory does not hold."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from portrait.training.errors import DataError

MEMORY_LIMIT = "2GB"
"""Of the engine's own buffers; the process stays below twice that."""

_LINE = re.compile(r"Line: (\d+)|in line (\d+)|at line (\d+)", re.IGNORECASE)
_COLUMN = re.compile(r'Column (?:at position: \d+|name: )"?([\w ]+)"?|column "([\w ]+)"', re.IGNORECASE)


@contextmanager
def engine(scratch: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that spills into `scratch`. All times are UTC."""
    with duckdb.connect(":memory:") as connection:
        connection.execute(f"SET memory_limit = '{MEMORY_LIMIT}'")
        connection.execute(f"SET temp_directory = {literal(scratch)}")
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET enable_progress_bar = false")
        yield connection


def literal(value: object) -> str:
    """A value as an SQL string literal."""
    return "'" + str(value).replace("'", "''") + "'"


@contextmanager
def reading(file: Path) -> Iterator[None]:
    """Turn what the engine says of a malformed file into a `DataError` that names the place."""
    try:
        yield
    except (duckdb.Error, UnicodeDecodeError) as error:
        told = str(error)
        line, column = _LINE.search(told), _COLUMN.search(told)
        raise DataError(
            file=str(file),
            row=int(next(group for group in line.groups() if group)) if line else None,
            column=next((group for group in column.groups() if group), None) if column else None,
            message=told.splitlines()[0],
        ) from error
