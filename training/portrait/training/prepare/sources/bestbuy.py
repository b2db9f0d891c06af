"""Best Buy searches that led to a click: `train.csv`, `test.csv` (one log, split by chance) and titles by SKU.

Each row is a search and, some seconds later, a click. `kaggle_test_unlabelled.csv` is left out: its searches are
those whose click is unknown.
"""

from pathlib import Path

import duckdb

from portrait.features.events import EventType
from portrait.features.logs.timestamps import read_time
from portrait.training.dataset.sql import literal
from portrait.training.prepare import schema, tables
from portrait.training.prepare.values import timestamp

_CLICKS, _TITLES = ("train.csv", "test.csv"), "sku_name.tsv"
_COLUMNS = ("user", "sku", "category", "query", "click_time", "query_time")
_CATEGORIES = {"abcat0701002": "Xbox 360 games"}


def recognises(path: Path) -> bool:
    """Tell whether the folder holds clicks and titles by SKU."""
    return all((path / name).exists() for name in (*_CLICKS, _TITLES))


def load(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Make the three views of the folder."""
    selects = []
    for name in _CLICKS:
        clicks = tables.read_table(connection, path / name, f"clicks_{Path(name).stem}", only=_COLUMNS)
        clicks.require(*_COLUMNS)
        for column in ("click_time", "query_time"):
            clicks.require_readable(column, timestamp(column), read_time)
        selects.append(f"SELECT {literal(name)} AS file, * FROM {clicks.name}")
    connection.execute(f"CREATE TEMP VIEW clicks AS {' UNION ALL '.join(selects)}")
    # A search that led to two clicks stands in two rows: the second is dropped as a duplicate.
    schema.create_view(
        connection,
        "raw_events",
        f"""(
            SELECT *, 0 AS part, '{EventType.SEARCH}' AS type, query_time AS happened, NULL AS item_id FROM clicks
            UNION ALL
            SELECT *, 1 AS part, '{EventType.CLICK}', click_time, sku FROM clicks
        )""",
        {
            "file": "file",
            "row": "row",
            "part": "part",
            "shopper_id": '"user"',
            "type": "type",
            "time": timestamp("happened"),
            "item_id": "item_id",
            "query": "query",
        },
    )
    tables.read_headerless_table(connection, path / _TITLES, "titles", ("sku", "title"), delimiter="\t")
    categories = " ".join(f"WHEN {literal(code)} THEN {literal(name)}" for code, name in _CATEGORIES.items())
    schema.create_view(
        connection,
        "raw_items",
        "(SELECT sku, min(category) AS category FROM clicks GROUP BY sku) LEFT JOIN titles USING (sku)",
        {
            "row": "row",
            "item_id": "sku",
            "title": "title",
            "category_path": f"[CASE category {categories} ELSE category END]",
        },
    )
    schema.create_empty_view(connection, "raw_shoppers")
