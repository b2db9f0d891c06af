"""Shoppers who were forgotten: what they did before is left out, and stands not even among what is rejected.

`portrait export-deletions` writes the list: `shopper_sha256`, a hash of the id, plain or keyed (`shopper_hashes`), and
`forgotten_at`: when, or the time of the latest event that the gateway had, where that was dated ahead. Whom a keyed
hash is of, only the ids of the log and the key tell: such rows become plain ones of those shoppers who are in the log.
"""

from pathlib import Path

import duckdb

from portrait.features.logs.shopper_hashes import PLAIN, ShopperHasher, fingerprint_of
from portrait.features.logs.timestamps import read_time
from portrait.training.errors import TrainingError
from portrait.training.prepare import tables
from portrait.training.prepare.values import text, timestamp

REASON = "forgotten"
SHOPPER_HASH_SQL = "sha256(shopper_id)"
"""SQL of what the list knows a shopper by."""


def load_deletions(
    connection: duckdb.DuckDBPyConnection,
    file: Path | None,
    *,
    pseudonymous: bool = False,
    hasher: ShopperHasher = PLAIN,
) -> None:
    """Make the table `forgotten` of a list, one row a shopper; an empty one if there is no list.

    Args:
        connection: the engine; the views of the source hold the ids of the log.
        file: the list.
        pseudonymous: the list is turned into pseudonyms, as the views will be.
        hasher: has the keys of the list.

    Raises:
        DataError: the file is missing or malformed.
        TrainingError: it has hashes by a key that the hasher lacks, or the engine has no ids to compare them with.
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
    _resolve_keyed_hashes(connection, file, hasher)
    if pseudonymous:
        connection.execute("UPDATE forgotten SET shopper_sha256 = sha256(pseudonym(shopper_sha256, 'shopper_id'))")


def _resolve_keyed_hashes(connection: duckdb.DuckDBPyConnection, file: Path, hasher: ShopperHasher) -> None:
    """Replace keyed hashes by the SHA-256 of those shoppers of the log whom they are of; others are of nobody there."""
    keyed = connection.execute("SELECT shopper_sha256 FROM forgotten WHERE contains(shopper_sha256, ':')").fetchall()
    if not keyed:
        return
    listed = {shopper_hash for (shopper_hash,) in keyed}
    if unknown := hasher.find_unknown(fingerprint_of(each) or "" for each in listed):
        raise TrainingError(
            f"{file} has shoppers by keys with the fingerprints {', '.join(unknown)}: give the key file of the gateway "
            "with --deletion-keys"
        )
    found = [(each, sha256) for (sha256,) in _list_shoppers(connection) for each in hasher.list_hashes_of(sha256)]
    matches = [pair for pair in found if pair[0] in listed]
    columns = [[pair[place] for pair in matches] for place in (0, 1)]
    connection.execute("CREATE TEMP TABLE resolved (keyed VARCHAR, sha256 VARCHAR)")
    connection.execute("INSERT INTO resolved SELECT unnest(?::VARCHAR[]), unnest(?::VARCHAR[])", columns)
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE forgotten AS SELECT shopper_sha256, max(forgotten_at) AS forgotten_at FROM ("
        "SELECT * FROM forgotten WHERE NOT contains(shopper_sha256, ':') UNION ALL "
        "SELECT sha256, forgotten_at FROM forgotten JOIN resolved ON keyed = shopper_sha256) GROUP BY ALL"
    )


def _list_shoppers(connection: duckdb.DuckDBPyConnection) -> list[tuple[str]]:
    """List the SHA-256 of all shoppers of the log."""
    columns = connection.execute("SELECT table_name FROM duckdb_columns() WHERE column_name = 'shopper_id'").fetchall()
    tables = sorted({name for (name,) in columns} & {"raw_events", "raw_shoppers"})
    if "raw_events" not in tables:
        raise TrainingError("the engine spark can't compare keyed hashes of forgotten shoppers: use --engine duckdb")
    union = " UNION ".join(f"SELECT {SHOPPER_HASH_SQL} FROM {name} WHERE shopper_id IS NOT NULL" for name in tables)
    return connection.execute(union).fetchall()
