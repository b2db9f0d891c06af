"""Schema of a source's three views, `raw_events`, `raw_items` and `raw_shoppers`: typed rows before cleanup."""

from collections.abc import Mapping

import duckdb

from portrait.features.events import DEFAULT_CATALOGUE
from portrait.training.dataset.sql import literal

EVENT_COLUMNS = {
    "event_id": "VARCHAR",
    "shopper_id": "VARCHAR",
    "type": "VARCHAR",
    "time": "TIMESTAMPTZ",
    "item_id": "VARCHAR",
    "catalogue": "VARCHAR",
    "query": "VARCHAR",
    "price": "DOUBLE",
    "quantity": "DOUBLE",
    "rating": "DOUBLE",
    "dwell_seconds": "DOUBLE",
    "position": "DOUBLE",
}
"""Columns of events: name and SQL type. `position` is an integer only after cleanup."""

SOURCE_COLUMNS = {"file": "VARCHAR", "row": "BIGINT", "part": "INTEGER", "lines": "INTEGER"}
"""Origin of an event: file name, row, part within a row that holds several events (from 0), and number of source
rows that the event sums up."""

ITEM_COLUMNS = {
    "row": "BIGINT",
    "item_id": "VARCHAR",
    "catalogue": "VARCHAR",
    "title": "VARCHAR",
    "category_path": "VARCHAR[]",
    "brand": "VARCHAR",
    "attributes": 'STRUCT("key" VARCHAR, "value" VARCHAR)[]',
    "price": "DOUBLE",
}
SHOPPER_COLUMNS = {
    "row": "BIGINT",
    "shopper_id": "VARCHAR",
    "age_band": "VARCHAR",
    "gender": "VARCHAR",
    "region": "VARCHAR",
}

_VIEWS = {
    "raw_events": SOURCE_COLUMNS | EVENT_COLUMNS,
    "raw_items": ITEM_COLUMNS,
    "raw_shoppers": SHOPPER_COLUMNS,
    "events_of_part": SOURCE_COLUMNS | EVENT_COLUMNS | {"currency": "VARCHAR"},
}
"""Columns of the three views, and of the events of one part of a log, before it is known which currency counts."""
_DEFAULTS = {"catalogue": literal(DEFAULT_CATALOGUE), "part": "0", "lines": "1"}


def create_view(connection: duckdb.DuckDBPyConnection, name: str, relation: str, given: Mapping[str, str]) -> None:
    """Make one of the three views; the arguments are those of `select_rows`."""
    create_view_from(connection, name, select_rows(name, relation, given))


def create_view_from(connection: duckdb.DuckDBPyConnection, name: str, rows: str) -> None:
    """Make one of the three views of the SQL that `select_rows` gives."""
    connection.execute(f"CREATE TEMP VIEW {name} AS {rows}")


def select_rows(name: str, relation: str, given: Mapping[str, str]) -> str:
    """SQL of rows of one of the views.

    Args:
        name: the view, of `_VIEWS`.
        relation: what stands behind FROM.
        given: SQL expression of each column that the source knows; the others are null or their default.
    """
    columns = _VIEWS[name]
    unknown = given.keys() - columns.keys()
    if unknown:
        raise ValueError(f"{name} has no column {', '.join(sorted(unknown))}")
    chosen = ", ".join(
        f"coalesce(({given.get(column, 'NULL')})::{kind}, {_DEFAULTS.get(column, 'NULL')}) AS {column}"
        for column, kind in columns.items()
    )
    return f"SELECT {chosen} FROM {relation}"


def create_empty_view(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Make one of the three views for a source that knows nothing of the kind."""
    create_view(connection, name, "(SELECT 1 WHERE false)", {})
