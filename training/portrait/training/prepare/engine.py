"""The SQL engine that reads, cleans and sorts logs: DuckDB, which spills to disk what memory does not hold."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from portrait.training.dataset.sql import literal
from portrait.training.prepare import sql_functions

MEMORY_LIMIT = "2GB"
"""Limit of the engine's own buffers; the process stays below twice that."""


@contextmanager
def open_engine(scratch: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that spills into `scratch`. All times are UTC."""
    with duckdb.connect(":memory:") as connection:
        connection.execute(f"SET memory_limit = '{MEMORY_LIMIT}'")
        connection.execute(f"SET temp_directory = {literal(scratch)}")
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET enable_progress_bar = false")
        sql_functions.register_functions(connection)
        yield connection


def fetch_one(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[object, ...]:
    """The only row of a query that always has one."""
    row: tuple[object, ...] | None = connection.execute(query).fetchone()
    assert row is not None
    return row
