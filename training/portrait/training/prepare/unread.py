"""Columns and files of a log that are not read: named in the report, since one of them may hold what was meant."""

import re
from collections.abc import Iterable
from typing import NamedTuple

import duckdb

from portrait.features.events import EventType
from portrait.features.logs.order_status import CALLED_OFF_PATTERN, STATUS_COLUMNS
from portrait.training.dataset.sql import identifier, literal
from portrait.training.prepare.signs import normalised_type_sql
from portrait.training.prepare.tables import Table

_TABLE = "unread"
_UNNAMED = re.compile(r"column \d+")


class Unread(NamedTuple):
    """One thing that is not read."""

    place: str
    """`events` or `shoppers` for a column of theirs, `files` for a file."""
    name: str
    called_off: int = 0
    """Purchases that the column says were called off."""


def find_unread(place: str, table: Table) -> list[Unread]:
    """List the columns of a part that Portrait does not read, those of an order's status among them.

    Args:
        place: `events` or `shoppers`.
        table: the part.
    """
    named = [Unread(place, column) for column in table.unread if not _UNNAMED.fullmatch(column)]
    return named + [
        Unread(place, column, _count_called_off(table, column)) for column in table.columns if column in STATUS_COLUMNS
    ]


def add_unread(connection: duckdb.DuckDBPyConnection, found: Iterable[Unread]) -> None:
    """Add to what is not read of the log."""
    _create_table(connection)
    for each in found:
        connection.execute(f"INSERT INTO {_TABLE} VALUES (?, ?, ?)", list(each))


def list_unread(connection: duckdb.DuckDBPyConnection) -> dict[str, list[str]]:
    """List the names that are not read, by place, each once and in order."""
    _create_table(connection)
    listed: dict[str, list[str]] = {}
    for place, name in connection.execute(f"SELECT DISTINCT place, name FROM {_TABLE} ORDER BY ALL").fetchall():
        listed.setdefault(place, []).append(name)
    return listed


def count_called_off(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Count the purchases of the log that a column says were called off, by column."""
    _create_table(connection)
    query = f"SELECT name, sum(called_off)::BIGINT AS rows FROM {_TABLE} GROUP BY name HAVING rows > 0 ORDER BY ALL"
    return dict(connection.execute(query).fetchall())


def _create_table(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(f"CREATE TEMP TABLE IF NOT EXISTS {_TABLE} (place VARCHAR, name VARCHAR, called_off BIGINT)")


def _count_called_off(table: Table, column: str) -> int:
    relation = f"{table.name} JOIN event_types ON spelling = {normalised_type_sql('type')}"
    says_so = f"regexp_matches(lower({identifier(column)}), {literal(CALLED_OFF_PATTERN)})"
    found = table.connection.execute(
        f"SELECT count(*) FROM {relation} WHERE kind = {literal(EventType.PURCHASE)} AND {says_so}"
    ).fetchone()
    return int(found[0]) if found else 0
