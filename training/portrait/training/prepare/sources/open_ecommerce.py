"""Open e-commerce 1.0: purchases of 2,000 people with declared age band, gender and state.

The log names no products, only their kind (`SUGAR_SUBSTITUTE`): the kind is the item. Times are days. Income,
household and education of the survey are not read.
"""

from pathlib import Path

import duckdb

from portrait.features.events import EventType
from portrait.training.dataset.readers import parquet_relation
from portrait.training.dataset.sql import literal
from portrait.training.prepare import schema, tables

_PURCHASES = "derived_purchases_without_sensitive_columns.parquet"


def recognises(path: Path) -> bool:
    """Tell whether the folder holds the purchases."""
    return (path / _PURCHASES).exists()


def load(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Make the three views of the folder."""
    file = path / _PURCHASES
    with tables.translated_errors(file):
        connection.execute(
            f"""
            CREATE TEMP TABLE purchases AS
            SELECT file_row_number + 1 AS row, id, order_date, price_per_unit, quantity, shipping_address_state,
                nullif(category, '') AS category, age, gender
            FROM {parquet_relation(file, numbered=True)}
            """
        )
    # What was bought of one kind on one day is one event; rows without a kind have nothing in common.
    schema.create_view(
        connection,
        "raw_events",
        """(
            SELECT min(row) AS row, count(*) AS lines, id, order_date, category,
                sum(price_per_unit * quantity) / sum(quantity) AS price, sum(quantity) AS quantity
            FROM purchases GROUP BY id, order_date, category, CASE WHEN category IS NULL THEN row END
        )""",
        {
            "file": literal(_PURCHASES),
            "row": "row",
            "lines": "lines",
            "shopper_id": "id",
            "type": literal(EventType.PURCHASE),
            "time": "order_date::TIMESTAMP AT TIME ZONE 'UTC'",
            "item_id": "category",
            "price": "price",
            "quantity": "quantity",
        },
    )
    readable = "upper(category[1]) || lower(replace(category[2:], '_', ' '))"
    schema.create_view(
        connection,
        "raw_items",
        "(SELECT category, min(row) AS row FROM purchases WHERE category IS NOT NULL GROUP BY category)",
        {"row": "row", "item_id": "category", "title": readable, "category_path": f"[{readable}]"},
    )
    schema.create_view(
        connection,
        "raw_shoppers",
        """(
            SELECT id, min(row) AS row, min(age) AS age, min(gender) AS gender, mode(shipping_address_state) AS state
            FROM purchases GROUP BY id
        )""",
        {"row": "row", "shopper_id": "id", "age_band": "age", "gender": "gender", "region": "state"},
    )
