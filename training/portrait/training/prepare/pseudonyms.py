"""Pseudonyms: keyed hashes in the place of the ids of shoppers and events, before anything of a log is written.

The key file is TOML. A new key gets a new id and becomes the current one; who deletes an old key can no longer tell
whom the data sets that it made are about:

    current = "2026-11"

    [keys]
    2026-11 = "64 hexadecimal digits or more: openssl rand -hex 32"

A pseudonym is the HMAC-SHA256 of the SHA-256 of the id. So a list of deletions, which holds only SHA-256, becomes one
of pseudonyms by the same key.
"""

import hashlib
import hmac
import re
import tomllib
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import duckdb

from portrait.features.logs.identifiers import MAX_ID_CHARACTERS
from portrait.training.errors import TrainingError

MIN_SECRET_BYTES = 32
_KEY_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_FIELDS = {"current", "keys"}
_DIGEST_CHARACTERS = 64
_CACHED_IDS = 1 << 14
_IDS = {"raw_events": ("shopper_id", "event_id"), "raw_shoppers": ("shopper_id",)}
"""Columns of the views of a source that hold ids of people or of what they did."""


@dataclass(frozen=True)
class PseudonymKey:
    """One key of a key file. A picture of it in a message or a log never shows the secret."""

    id: str
    secret: bytes = field(repr=False)

    def make_pseudonym(self, identifier: str, column: str = "shopper_id") -> str:
        """Make the pseudonym of an id, 64 hexadecimal digits.

        Args:
            identifier: the id, without blanks around it.
            column: the column that it stands in; equal ids of two columns have different pseudonyms.
        """
        return self.make_pseudonym_of_hash(hashlib.sha256(identifier.encode()).hexdigest(), column)

    def make_pseudonym_of_hash(self, sha256: str, column: str) -> str:
        """Make the pseudonym of an id of which only the SHA-256 is known, in hexadecimal digits."""
        return hmac.new(self.secret, f"{column}:{sha256}".encode(), hashlib.sha256).hexdigest()


def read_key(file: Path, key_id: str | None = None) -> PseudonymKey:
    """Read a key of a key file.

    Args:
        file: the key file.
        key_id: which key; None for the current one.

    Raises:
        TrainingError: the file is missing or malformed, or has no such key.
    """
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise TrainingError(f"{file} can't be read as TOML: {error}") from error
    if unknown := sorted(content.keys() - _FIELDS):
        raise TrainingError(f"{file}: there is no field {unknown[0]!r}; there are {', '.join(sorted(_FIELDS))}")
    keys = content.get("keys")
    if not isinstance(keys, dict) or not keys:
        raise TrainingError(f"{file}: 'keys' must be a table of at least one id and its secret")
    secrets = {name: _parse_secret(file, name, secret) for name, secret in keys.items()}
    if len(set(secrets.values())) < len(secrets):
        raise TrainingError(f"{file}: 'keys' has the same secret twice; make a new one by `openssl rand -hex 32`")
    wanted = content.get("current") if key_id is None else key_id
    if not isinstance(wanted, str) or wanted not in secrets:
        raise TrainingError(f"{file}: 'current' must name one of the keys {', '.join(secrets)}, not {wanted!r}")
    return PseudonymKey(wanted, secrets[wanted])


def _parse_secret(file: Path, name: str, secret: Any) -> bytes:
    """Parse a secret; a message about it never quotes it."""
    if not _KEY_ID.fullmatch(name):
        raise TrainingError(f"{file}: the id {name!r} of a key must be 1 to 64 letters, digits, _ and -")
    try:
        parsed = bytes.fromhex(secret)
    except (TypeError, ValueError):
        parsed = b""
    if len(parsed) < MIN_SECRET_BYTES:
        raise TrainingError(
            f"{file}: the secret of the key {name!r} must be {2 * MIN_SECRET_BYTES} hexadecimal digits or more; make "
            "one by `openssl rand -hex 32`"
        )
    return parsed


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
