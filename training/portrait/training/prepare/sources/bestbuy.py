"""Best Buy searches that led to a click: `train.csv`, `test.csv` (one log, split by chance) and titles by SKU.

Each row is a search and, some seconds later, a click. `kaggle_test_unlabelled.csv` is left out: its searches are
those whose click is unknown.
"""

from pathlib import Path

import duckdb

from portrait.training.prepare.engine import literal, reading
from portrait.training.prepare.sources.undeclared import NO_SHOPPERS

_CLICKS, _TITLES = ("train.csv", "test.csv"), "sku_name.tsv"
_CATEGORIES = {"abcat0701002": "Xbox 360 games"}


def recognises(path: Path) -> bool:
    """Whether the folder holds clicks and titles by SKU."""
    return all((path / name).exists() for name in (*_CLICKS, _TITLES))


def load(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Make the three views of the folder."""
    for number, name in enumerate(_CLICKS):
        file = path / name
        verb = "CREATE TEMP TABLE clicks AS" if number == 0 else "INSERT INTO clicks"
        with reading(file):
            connection.execute(
                f"""
                {verb} SELECT {literal(file)} AS file, row_number() OVER () + 1 AS row, "user" AS shopper_id, sku,
                    category, query, click_time::TIMESTAMP AS click_time, query_time::TIMESTAMP AS query_time
                FROM read_csv({literal(file)}, header = true, all_varchar = true)
                """
            )
    nothing = "NULL::DOUBLE AS price, NULL::DOUBLE AS quantity, NULL::DOUBLE AS rating, "
    nothing += "NULL::DOUBLE AS dwell_seconds, NULL::INTEGER AS position"
    # A search that led to two clicks is one search.
    connection.execute(
        f"""
        CREATE TEMP VIEW raw_events AS
        SELECT any_value(file) AS file, min(row) AS row, NULL::VARCHAR AS event_id, shopper_id, 'search' AS type,
            query_time AT TIME ZONE 'UTC' AS time, NULL::VARCHAR AS item_id, 'products' AS catalogue, query, {nothing}
        FROM clicks GROUP BY shopper_id, query, query_time
        UNION ALL
        SELECT file, row, parse_filename(file) || ':' || row || ':click', shopper_id, 'click',
            click_time AT TIME ZONE 'UTC', sku, 'products', query, NULL, NULL, NULL, NULL, NULL
        FROM clicks
        """
    )
    categories = " ".join(f"WHEN {literal(code)} THEN {literal(name)}" for code, name in _CATEGORIES.items())
    with reading(path / _TITLES):
        connection.execute(
            f"""
            CREATE TEMP TABLE raw_items AS
            SELECT sku AS item_id, 'products' AS catalogue, title,
                [CASE category {categories} ELSE category END] AS category_path, NULL::VARCHAR AS brand,
                []::STRUCT("key" VARCHAR, "value" VARCHAR)[] AS attributes, NULL::DOUBLE AS price
            FROM (SELECT sku, any_value(category) AS category FROM clicks GROUP BY sku)
            LEFT JOIN read_csv({literal(path / _TITLES)}, header = false, delim = '\t', quote = '',
                names = ['sku', 'title'], all_varchar = true) USING (sku)
            """
        )
    connection.execute(NO_SHOPPERS)
