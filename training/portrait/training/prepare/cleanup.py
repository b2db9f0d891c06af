"""Cleanup of events: rows with impossible values, duplicates, bursts and robots are rejected with a reason."""

from dataclasses import dataclass

import duckdb

from portrait.features.events import EventType
from portrait.features.logs.identifiers import CATALOGUE_PATTERN, MAX_ID_CHARACTERS, MAX_QUERY_CHARACTERS
from portrait.training.dataset.sql import literal
from portrait.training.prepare import deletions
from portrait.training.prepare.schema import EVENT_COLUMNS
from portrait.training.prepare.signs import SIGNED_EVENTS_SQL

SORTED_EVENTS_SQL = """
    SELECT event_id, shopper_id, sequence, type, time, item_id, catalogue, query, price, quantity, rating,
        dwell_seconds, position
    FROM events ORDER BY shopper_id, sequence
"""
"""The rows of `events` as a data set holds them."""
RATE_LIMITED_TYPES = (EventType.SEARCH, EventType.VIEW, EventType.CLICK)
"""Event types that a robot makes fast. One order may have any number of purchases or refunds at one time."""


@dataclass(frozen=True)
class CleanupLimits:
    """Limits of possible values and of a person's speed."""

    earliest: str = "1990-01-01"
    """Events before this day are rejected, as are those later than a day from now."""
    price: float = 1e9
    quantity: float = 1e6
    dwell_seconds: float = 86_400.0
    position: float = 1e5
    events_per_minute: int = 300
    """More events of `RATE_LIMITED_TYPES` than this by one shopper in one minute are a burst, which is rejected."""
    events_per_day: int = 5000
    """More of them than this by one shopper on one day (UTC) are those of a robot, which are rejected."""
    query_characters: int = MAX_QUERY_CHARACTERS
    """Longer queries are cut."""


def clean_events(connection: duckdb.DuckDBPyConnection, limits: CleanupLimits) -> None:
    """Make the table `judged` of `raw_events` and `forgotten`, and the views `events` and `rejected` of that.

    `judged` holds every row, its `reason` null if it is kept. Views are unsorted. What shoppers did who
    were forgotten since is in neither.
    """
    connection.execute(
        f"""
        CREATE TEMP TABLE judged AS
        SELECT * EXCLUDE (shopper_sha256, forgotten_at) REPLACE (left(query, {limits.query_characters}) AS query),
            {_reason_sql(limits)} AS reason
        FROM ({SIGNED_EVENTS_SQL}) LEFT JOIN forgotten ON shopper_sha256 = {deletions.SHOPPER_HASH_SQL}
        """
    )
    _reject_duplicates(connection, "duplicate_id", "shopper_id, event_id", "event_id IS NOT NULL")
    # Two ids say that there were two events. `portrait record` makes ids of the same columns where a log has none.
    what = f"shopper_id, type, time, catalogue, CASE type WHEN '{EventType.SEARCH}' THEN query ELSE item_id END"
    _reject_duplicates(connection, "duplicate_event", what, "event_id IS NULL AND time IS NOT NULL")
    _reject_bursts(connection, "burst", "minute", limits.events_per_minute)
    _reject_bursts(connection, "robot", "day", limits.events_per_day)
    create_views(connection)


def create_views(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the views `events` and `rejected` of `judged`."""
    columns = ", ".join(EVENT_COLUMNS)
    connection.execute(
        f"CREATE TEMP VIEW rejected AS SELECT file, row, reason, {columns} FROM judged "
        f"WHERE reason IS NOT NULL AND reason <> '{deletions.REASON}'"
    )
    made = {
        "event_id": "coalesce(event_id, file || ':' || row || CASE part WHEN 0 THEN '' ELSE ':' || part END)",
        "position": "position::INTEGER",
    }
    chosen = ", ".join(f"{made[name]} AS {name}" if name in made else name for name in EVENT_COLUMNS)
    order = "time NULLS FIRST, file, row, part"
    connection.execute(
        f"""
        CREATE TEMP VIEW events AS
        SELECT {chosen}, (row_number() OVER (PARTITION BY shopper_id ORDER BY {order}) - 1)::INTEGER AS sequence
        FROM judged WHERE reason IS NULL
        """
    )


def _reason_sql(limits: CleanupLimits) -> str:
    """An SQL expression: why a row is impossible, null if it is not."""
    types = ", ".join(literal(kind) for kind in EventType)

    def outside(column: str, low: float, high: float) -> str:
        # NaN compares as greater than any number.
        return f"{column} < {low} OR {column} > {high}"

    cases = {
        deletions.REASON: "forgotten_at IS NOT NULL AND (time IS NULL OR time <= forgotten_at)",
        "missing_shopper": "shopper_id IS NULL",
        "unknown_type": f"type IS NULL OR type NOT IN ({types})",
        "missing_query": f"type = '{EventType.SEARCH}' AND query IS NULL",
        "missing_item": f"type <> '{EventType.SEARCH}' AND item_id IS NULL",
        "impossible_id": " OR ".join(
            [
                *(f"length({column}) > {limit}" for column, limit in MAX_ID_CHARACTERS.items()),
                f"NOT regexp_full_match(catalogue, '{CATALOGUE_PATTERN}')",
            ]
        ),
        "impossible_time": f"time < '{limits.earliest}'::TIMESTAMPTZ OR time > now() + INTERVAL 1 DAY",
        "impossible_price": outside("price", 0, limits.price),
        "impossible_quantity": f"quantity <= 0 OR quantity > {limits.quantity}",
        "impossible_rating": outside("rating", 1, 5),
        "impossible_dwell": outside("dwell_seconds", 0, limits.dwell_seconds),
        "impossible_position": f"{outside('position', 1, limits.position)} OR position <> floor(position)",
    }
    whens = " ".join(f"WHEN {condition} THEN '{reason}'" for reason, condition in cases.items())
    return f"CASE {whens} END"


def _reject_duplicates(connection: duckdb.DuckDBPyConnection, reason: str, key: str, condition: str) -> None:
    """Keep the first row of each key only."""
    connection.execute(
        f"""
        UPDATE judged SET reason = '{reason}'
        FROM (
            SELECT rowid AS id FROM judged WHERE reason IS NULL AND {condition}
            QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY file, row, part) > 1
        ) AS later
        WHERE judged.rowid = later.id
        """
    )


def _reject_bursts(connection: duckdb.DuckDBPyConnection, reason: str, span: str, limit: int) -> None:
    """Reject all `RATE_LIMITED_TYPES` events of a shopper in each span of time that holds more than `limit` of them."""
    limited = (
        f"reason IS NULL AND time IS NOT NULL AND type IN ({', '.join(literal(kind) for kind in RATE_LIMITED_TYPES)})"
    )
    connection.execute(
        f"""
        UPDATE judged SET reason = '{reason}'
        FROM (
            SELECT shopper_id, date_trunc('{span}', time) AS span FROM judged
            WHERE {limited}
            GROUP BY ALL HAVING count(*) > {limit}
        ) AS crowded
        WHERE {limited} AND judged.shopper_id = crowded.shopper_id
            AND date_trunc('{span}', judged.time) = crowded.span
        """
    )
