"""Pseudonyms: keyed hashes in the place of the ids of shoppers and events, before anything of a log is written.

A pseudonym is the HMAC-SHA256 of the SHA-256 of the id. So a list of deletions, which holds SHA-256, becomes one of
pseudonyms by the same key. Who deletes an old key can no longer tell whom the data sets that it made are about.
"""

from functools import lru_cache
from pathlib import Path

import duckdb

from portrait.features.logs.identifiers import MAX_ID_CHARACTERS
from portrait.features.logs.pseudonym_keys import KeyFileError, PseudonymKey, read_keys
from portrait.features.logs.shopper_hashes import ShopperHasher, read_shopper_hasher
from portrait.training.errors import TrainingError

_DIGEST_CHARACTERS = 64
_CACHED_IDS = 1 << 14
_IDS = {"raw_events": ("shopper_id", "event_id"), "raw_shoppers": ("shopper_id",)}
"""Columns of the views of a source that hold ids of people or of what they did."""


def read_key(file: Path, key_id: str | None = None) -> PseudonymKey:
    """Read a key of a key file.

    Args:
        file: the key file.
        key_id: which key; None for the current one.

    Raises:
        TrainingError: the file is missing or malformed, or has no such key.
    """
    try:
        return read_keys(file, key_id)[0]
    except KeyFileError as error:
        raise TrainingError(str(error)) from error


def read_hasher(file: Path | None) -> ShopperHasher:
    """Read the keys by which forgotten shoppers are listed; None if they are listed by plain SHA-256.

    Raises:
        TrainingError: the file is missing or malformed.
    """
    try:
        return read_shopper_hasher(file)
    except KeyFileError as error:
        raise TrainingError(str(error)) from error


def register_pseudonyms(connection: duckdb.DuckDBPyConnection, key: PseudonymKey) -> None:
    """Let the engine call `pseudonym(sha256, column)`; no SQL text holds the key."""
    make_pseudonym = lru_cache(maxsize=_CACHED_IDS)(key.make_pseudonym_of_hash)
    connection.create_function("pseudonym", make_pseudonym, ["VARCHAR", "VARCHAR"], "VARCHAR")


def replace_ids_sql(view: str) -> str:
    """SQL of `* REPLACE (…)` that puts pseudonyms in the place of the ids of a view of `schema`.

    An id that is too long stays too long, so that cleaning rejects it as it would have rejected the id.
    """
    return f"* REPLACE ({', '.join(f'{_pseudonym_sql(column)} AS {column}' for column in _IDS[view])})"


def _pseudonym_sql(column: str) -> str:
    limit = MAX_ID_CHARACTERS[column]
    times = f"CASE WHEN length({column}) > {limit} THEN {limit // _DIGEST_CHARACTERS + 1} ELSE 1 END"
    return f"repeat(pseudonym(sha256({column}), '{column}'), {times})"


def replace_ids(connection: duckdb.DuckDBPyConnection) -> None:
    """Replace the ids in the views that a source has made; the connection knows `pseudonym`."""
    views = {name for (name,) in connection.execute("SELECT view_name FROM duckdb_views()").fetchall()}
    tables = {name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    for name in _IDS.keys() & (views | tables):
        connection.execute(f"ALTER {'VIEW' if name in views else 'TABLE'} {name} RENAME TO source_{name}")
        connection.execute(f"CREATE TEMP VIEW {name} AS SELECT {replace_ids_sql(name)} FROM source_{name}")
