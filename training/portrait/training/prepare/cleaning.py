"""Which rows are kept: impossible values, duplicates and bursts are put aside with their reason.

Sources give a view `raw_events`; `clean` makes the tables `events` and `rejected` of it.
"""

from dataclasses import dataclass

import duckdb

from portrait.features.events import EVENT_TYPES, EventType


@dataclass(frozen=True)
class Limits:
    """What is possible, and what a person can do."""

    earliest: str = "1990-01-01"
    """Events before this day are rejected, as are those later than a day from now."""
    price: float = 1e9
    quantity: float = 1e6
    dwell_seconds: float = 86_400.0
    events_per_minute: int = 300
    """A shopper with more events than this in one minute is a robot during that minute."""
    query_characters: int = 1000
    """Longer queries are cut."""


COLUMNS = {
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
    "position": "INTEGER",
}
"""Columns of `raw_events`, beside `file` and `row`, and their types."""


def clean(connection: duckdb.DuckDBPyConnection, limits: Limits) -> None:
    """Make `events` (with `sequence`, unsorted) and `rejected` of `raw_events`."""
    connection.execute(
        f"""
        CREATE TEMP TABLE judged AS
        SELECT * REPLACE (left(query, {limits.query_characters}) AS query), {_reason(limits)} AS reason
        FROM raw_events
        """
    )
    _reject(connection, "duplicate_id", "event_id", "event_id IS NOT NULL")
    what = "shopper_id, type, time, catalogue, coalesce(item_id, query)"
    _reject(connection, "duplicate_event", what, "time IS NOT NULL")
    connection.execute(
        f"""
        UPDATE judged SET reason = 'burst'
        FROM (
            SELECT shopper_id, date_trunc('minute', time) AS minute FROM judged
            WHERE reason IS NULL AND time IS NOT NULL
            GROUP BY ALL HAVING count(*) > {limits.events_per_minute}
        ) AS bursts
        WHERE judged.reason IS NULL AND judged.shopper_id = bursts.shopper_id
            AND date_trunc('minute', judged.time) = bursts.minute
        """
    )
    connection.execute(
        """
        CREATE TEMP VIEW rejected AS
        SELECT file, row, reason, event_id, type FROM judged WHERE reason IS NOT NULL
        """
    )
    connection.execute(
        """
        CREATE TEMP VIEW events AS
        SELECT
            coalesce(event_id, parse_filename(file) || ':' || row) AS event_id,
            shopper_id,
            (row_number() OVER (PARTITION BY shopper_id ORDER BY time NULLS FIRST, file, row) - 1)::INTEGER AS sequence,
            type, time, item_id, catalogue, query, price, quantity, rating, dwell_seconds, position
        FROM judged WHERE reason IS NULL
        """
    )


def _reason(limits: Limits) -> str:
    """An SQL expression: why a row is impossible, NULL if it is not."""
    types = ", ".join(f"'{kind}'" for kind in EVENT_TYPES)

    def outside(column: str, low: float, high: float) -> str:
        # NaN compares as greater than any number.
        return f"{column} < {low} OR {column} > {high}"

    cases = {
        "missing_shopper": "shopper_id IS NULL OR shopper_id = ''",
        "unknown_type": f"type IS NULL OR type NOT IN ({types})",
        "missing_query": f"type = '{EventType.SEARCH}' AND coalesce(trim(query), '') = ''",
        "missing_item": f"type <> '{EventType.SEARCH}' AND coalesce(item_id, '') = ''",
        "impossible_time": f"time < '{limits.earliest}'::TIMESTAMPTZ OR time > now() + INTERVAL 1 DAY",
        "impossible_price": outside("price", 0, limits.price),
        "impossible_quantity": f"quantity <= 0 OR quantity > {limits.quantity}",
        "impossible_rating": outside("rating", 1, 5),
        "impossible_dwell": outside("dwell_seconds", 0, limits.dwell_seconds),
        "impossible_position": "position < 1",
    }
    whens = " ".join(f"WHEN {condition} THEN '{reason}'" for reason, condition in cases.items())
    return f"CASE {whens} END"


def _reject(connection: duckdb.DuckDBPyConnection, reason: str, key: str, condition: str) -> None:
    """Keep the first row of each key only."""
    connection.execute(
        f"""
        UPDATE judged SET reason = '{reason}'
        FROM (
            SELECT rowid AS id FROM judged WHERE reason IS NULL AND {condition}
            QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY file, row) > 1
        ) AS later
        WHERE judged.rowid = later.id
        """
    )
