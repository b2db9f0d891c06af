"""Amazon.cn ratings with Chinese titles: `ratings.csv` and `products.csv` (`^`-separated, no headers)."""

from pathlib import Path

import duckdb

from portrait.training.prepare.engine import literal, reading
from portrait.training.prepare.sources.undeclared import NO_SHOPPERS

_RATINGS, _PRODUCTS = "ratings.csv", "products.csv"


def recognises(path: Path) -> bool:
    """Whether the folder holds ratings and `^`-separated products."""
    products = path / _PRODUCTS
    if not (path / _RATINGS).exists() or not products.exists():
        return False
    with products.open(encoding="utf-8", errors="replace") as lines:
        return lines.readline().count("^") >= 6


def load(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Make the three views of the folder."""
    ratings, products = path / _RATINGS, path / _PRODUCTS
    columns = "{'shopper': 'VARCHAR', 'item': 'VARCHAR', 'rating': 'DOUBLE', 'seconds': 'BIGINT'}"
    with reading(ratings):
        connection.execute(
            f"""
            CREATE TEMP TABLE raw_events AS
            SELECT {literal(ratings)} AS file, row_number() OVER () AS row, NULL::VARCHAR AS event_id,
                shopper AS shopper_id, 'rate' AS type, to_timestamp(seconds) AS time, item AS item_id,
                'products' AS catalogue, NULL::VARCHAR AS query, NULL::DOUBLE AS price, NULL::DOUBLE AS quantity,
                rating, NULL::DOUBLE AS dwell_seconds, NULL::INTEGER AS position
            FROM read_csv({literal(ratings)}, header = false, columns = {columns})
            """
        )
    with reading(products):
        # The category column lists names from narrow to wide and wide to narrow alike: all are kept, in its order.
        connection.execute(
            f"""
            CREATE TEMP TABLE raw_items AS
            SELECT column0 AS item_id, 'products' AS catalogue, column1 AS title,
                string_split(column5, '|') AS category_path, NULL::VARCHAR AS brand,
                [{{'key': 'tags', 'value': replace(column6, '|', ' ')}}] AS attributes, NULL::DOUBLE AS price
            FROM read_csv({literal(products)}, header = false, delim = '^', quote = '', all_varchar = true)
            """
        )
    connection.execute(NO_SHOPPERS)
