"""Amazon.cn ratings with Chinese titles: `ratings.csv` and `products.csv` (`^`-separated), both without header."""

from pathlib import Path

import duckdb

from portrait.features.events import EventType
from portrait.features.logs.amounts import read_number
from portrait.features.logs.timestamps import read_time
from portrait.training.dataset.sql import literal
from portrait.training.prepare import schema, tables
from portrait.training.prepare.values import number, strings, timestamp

_RATINGS, _PRODUCTS = "ratings.csv", "products.csv"
_RATING_COLUMNS = ("shopper", "item", "rating", "seconds")
_PRODUCT_COLUMNS = ("item", "title", "category_ids", "asin", "image", "categories", "tags")


def recognises(path: Path) -> bool:
    """Tell whether the folder holds ratings and `^`-separated products."""
    products = path / _PRODUCTS
    if not (path / _RATINGS).exists() or not products.exists():
        return False
    with products.open(encoding="utf-8", errors="replace") as lines:
        return lines.readline().count("^") == len(_PRODUCT_COLUMNS) - 1


def load(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Make the three views of the folder."""
    ratings = tables.read_headerless_table(connection, path / _RATINGS, "ratings", _RATING_COLUMNS, delimiter=",")
    ratings.require_readable("rating", number("rating"), read_number)
    ratings.require_readable("seconds", timestamp("seconds"), read_time)
    schema.create_view(
        connection,
        "raw_events",
        "ratings",
        {
            "file": literal(_RATINGS),
            "row": "row",
            "shopper_id": "shopper",
            "type": literal(EventType.RATE),
            "time": timestamp("seconds"),
            "item_id": "item",
            "rating": number("rating"),
        },
    )
    tables.read_headerless_table(connection, path / _PRODUCTS, "products", _PRODUCT_COLUMNS, delimiter="^")
    schema.create_view(
        connection,
        "raw_items",
        "products",
        {
            "row": "row",
            "item_id": "item",
            "title": "title",
            # Some list their categories from narrow to wide, some the other way: the source's order is kept.
            "category_path": strings("categories", "|"),
            "attributes": "[{'key': 'tags', 'value': replace(tags, '|', ' ')}]",
        },
    )
    schema.create_empty_view(connection, "raw_shoppers")
