"""The SQL engine that reads, cleans and sorts logs: DuckDB, which spills to disk what memory does not hold."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from portrait.training.dataset.sql import literal
from portrait.training.prepare import sql_functions

MEMORY_LIMIT = "2GB"
"""Limit of the engine's own buffers; the process stays below twice that."""
TASK_MEMORY_LIMIT = "1GB"
"""The same for an engine that works on a part of a log, one of several on its machine."""


@contextmanager
def open_engine(scratch: Path, *, in_task: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that spills into `scratch`. All times are UTC.

    Args:
        scratch: a folder.
        in_task: use one core, and `TASK_MEMORY_LIMIT`, instead of all.
    """
    with duckdb.connect(":memory:") as connection:
        connection.execute(f"SET memory_limit = '{TASK_MEMORY_LIMIT if in_task else MEMORY_LIMIT}'")
        if in_task:
            connection.execute("SET threads = 1")
        connection.execute(f"SET temp_directory = {literal(scratch)}")
        connection.execute("SET TimeZone = 'UTC'")
        # DuckDB 2.0.0 takes bounds of one branch of a CASE for those of all, and compares a refund's quantity wrongly.
        connection.execute("SET disabled_optimizers = 'statistics_propagation'")
        connection.execute("SET enable_progress_bar = false")
        sql_functions.register_functions(connection)
        yield connection


def fetch_one(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[object, ...]:
    """The only row of a query that always has one."""
    row: tuple[object, ...] | None = connection.execute(query).fetchone()
    assert row is not None
    return row


def copy_to_parquet(connection: duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
    """Write the rows of a query to a file."""
    connection.execute(f"COPY ({query}) TO {literal(path)} (FORMAT parquet, COMPRESSION zstd)")
