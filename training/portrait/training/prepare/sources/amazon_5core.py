"""Amazon 5-core review sequences: `user_sequence.txt` (shopper, then items, oldest first) and titles by ASIN.

The data record no times. A review stands for a purchase.
"""

from pathlib import Path

import duckdb

from portrait.features.events import EventType
from portrait.training.dataset.sql import literal
from portrait.training.prepare import schema, tables

_SEQUENCES, _TITLES = "user_sequence.txt", "derived_asin_title.csv"


def recognises(path: Path) -> bool:
    """Tell whether the folder holds review sequences."""
    return (path / _SEQUENCES).exists()


def load(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Make the three views of the folder."""
    # Ids hold no tabs, so that a line is one value.
    tables.read_headerless_table(connection, path / _SEQUENCES, "sequences", ("line",), delimiter="\t")
    schema.create_view(
        connection,
        "raw_events",
        """(
            SELECT row, words[1] AS shopper_id, unnest(words[2:]) AS item_id,
                generate_subscripts(words[2:], 1) AS part
            FROM (SELECT row, string_split(trim(line), ' ') AS words FROM sequences)
        )""",
        {
            "file": literal(_SEQUENCES),
            "row": "row",
            "part": "part",
            "shopper_id": "shopper_id",
            "type": literal(EventType.PURCHASE),
            "item_id": "item_id",
        },
    )
    titles = tables.read_table(connection, path / _TITLES, "titles")
    titles.require("asin", "title")
    schema.create_view(connection, "raw_items", "titles", {"row": "row", "item_id": "asin", "title": "title"})
    schema.create_empty_view(connection, "raw_shoppers")
