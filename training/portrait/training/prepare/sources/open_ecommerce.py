"""Open e-commerce 1.0: purchases of 2,000 people with declared age band, gender and state.

The log names no products, only their kind (`SUGAR_SUBSTITUTE`): the kind is the item. Times are days. Income,
household and education of the survey are not read.
"""

from pathlib import Path

import duckdb

from portrait.training.prepare.engine import literal, reading

_PURCHASES = "derived_purchases_without_sensitive_columns.parquet"


def recognises(path: Path) -> bool:
    """Whether the folder holds the purchases."""
    return (path / _PURCHASES).exists()


def load(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Make the three views of the folder."""
    file = path / _PURCHASES
    with reading(file):
        # Units of one kind that were bought on one day at one price are one event.
        connection.execute(
            f"""
            CREATE TEMP TABLE purchases AS
            SELECT row_number() OVER () AS row, id, order_date, price_per_unit, quantity, shipping_address_state,
                nullif(category, '') AS category, age, gender
            FROM read_parquet({literal(file)})
            """
        )
    connection.execute(
        f"""
        CREATE TEMP VIEW raw_events AS
        SELECT {literal(file)} AS file, min(row) AS row, NULL::VARCHAR AS event_id, id AS shopper_id,
            'purchase' AS type, order_date::TIMESTAMP AT TIME ZONE 'UTC' AS time, category AS item_id,
            'products' AS catalogue, NULL::VARCHAR AS query,
            sum(price_per_unit * quantity) / sum(quantity) AS price, sum(quantity) AS quantity,
            NULL::DOUBLE AS rating, NULL::DOUBLE AS dwell_seconds, NULL::INTEGER AS position
        FROM purchases GROUP BY id, order_date, category
        """
    )
    connection.execute(
        """
        CREATE TEMP VIEW raw_items AS
        SELECT category AS item_id, 'products' AS catalogue,
            upper(category[1]) || lower(replace(category[2:], '_', ' ')) AS title,
            [upper(category[1]) || lower(replace(category[2:], '_', ' '))] AS category_path, NULL::VARCHAR AS brand,
            []::STRUCT("key" VARCHAR, "value" VARCHAR)[] AS attributes, NULL::DOUBLE AS price
        FROM (SELECT DISTINCT category FROM purchases WHERE category IS NOT NULL)
        """
    )
    connection.execute(
        """
        CREATE TEMP VIEW raw_shoppers AS
        SELECT id AS shopper_id, any_value(age) AS age_band, any_value(gender) AS gender,
            mode(shipping_address_state) AS region
        FROM purchases GROUP BY id
        """
    )
