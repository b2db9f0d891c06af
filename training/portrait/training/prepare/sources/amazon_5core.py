"""Amazon 5-core review sequences: `user_sequence.txt` (shopper, then items, oldest first) and titles by ASIN.

The data record no times. A review stands for a purchase.
"""

from pathlib import Path

import duckdb

from portrait.training.prepare.engine import literal, reading
from portrait.training.prepare.sources.undeclared import NO_SHOPPERS

_SEQUENCES, _TITLES = "user_sequence.txt", "derived_asin_title.csv"


def recognises(path: Path) -> bool:
    """Whether the folder holds review sequences."""
    return (path / _SEQUENCES).exists()


def load(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Make the three views of the folder."""
    sequences, titles = path / _SEQUENCES, path / _TITLES
    with reading(sequences):
        connection.execute(
            f"""
            CREATE TEMP TABLE lines AS
            SELECT string_split(trim(column0), ' ') AS words, row_number() OVER () AS line
            FROM read_csv({literal(sequences)}, header = false, delim = '\t', quote = '', all_varchar = true)
            """
        )
    connection.execute(
        f"""
        CREATE TEMP VIEW raw_events AS
        SELECT {literal(sequences)} AS file, line * 100000 + place AS row,
            (line || '-' || place) AS event_id, shopper_id, 'purchase' AS type, NULL::TIMESTAMPTZ AS time, item_id,
            'products' AS catalogue, NULL::VARCHAR AS query, NULL::DOUBLE AS price, NULL::DOUBLE AS quantity,
            NULL::DOUBLE AS rating, NULL::DOUBLE AS dwell_seconds, NULL::INTEGER AS position
        FROM (
            SELECT line, words[1] AS shopper_id, unnest(words[2:]) AS item_id,
                generate_subscripts(words[2:], 1) AS place
            FROM lines
        )
        """
    )
    with reading(titles):
        connection.execute(
            f"""
            CREATE TEMP TABLE raw_items AS
            SELECT asin AS item_id, 'products' AS catalogue, title, []::VARCHAR[] AS category_path,
                NULL::VARCHAR AS brand, []::STRUCT("key" VARCHAR, "value" VARCHAR)[] AS attributes,
                NULL::DOUBLE AS price
            FROM read_csv({literal(titles)}, header = true, all_varchar = true)
            """
        )
    connection.execute(NO_SHOPPERS)
