"""Shoppers who were forgotten: what they did before is left out, and stands not even among what is rejected.

`portrait export-deletions` writes the list: `shopper_sha256`, the SHA-256 of the id's UTF-8 in hexadecimal, and
`forgotten_at`: when, or the time of the latest event that the gateway had, where that was dated ahead.
"""

from pathlib import Path

import duckdb

from portrait.features.logs.timestamps import read_time
from portrait.training.prepare import tables
from portrait.training.prepare.values import text, timestamp

REASON = "forgotten"
SHOPPER_HASH_SQL = "sha256(shopper_id)"
"""SQL of what the list knows a shopper by."""


def load_deletions(connection: duckdb.DuckDBPyConnection, file: Path | None, *, pseudonymous: bool = False) -> None:
    """Make the table `forgotten` of a list, one row a shopper; an empty one if there is no list.

    Args:
        connection: the engine.
        file: the list.
        pseudonymous: the views of the source hold pseudonyms, which the list is turned into.

    Raises:
        DataError: the file is missing or malformed.
    """
    connection.execute("CREATE TEMP TABLE forgotten (shopper_sha256 VARCHAR, forgotten_at TIMESTAMPTZ)")
    if file is None:
        return
    listed = tables.read_table(connection, file, "buried", only=("shopper_sha256", "forgotten_at"))
    listed.require("shopper_sha256", "forgotten_at")
    listed.require_readable("forgotten_at", timestamp("forgotten_at"), read_time)
    connection.execute(
        f"INSERT INTO forgotten SELECT lower(trim(shopper_sha256)), max({timestamp('forgotten_at')}) FROM buried "
        f"WHERE {text('shopper_sha256')} IS NOT NULL AND {text('forgotten_at')} IS NOT NULL GROUP BY ALL"
    )
    if pseudonymous:
        connection.execute("UPDATE forgotten SET shopper_sha256 = sha256(pseudonym(shopper_sha256, 'shopper_id'))")
