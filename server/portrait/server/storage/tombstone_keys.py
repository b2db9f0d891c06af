"""The keys by which the tombstones of a state file were hashed: without them, nobody would know who was forgotten."""

import sqlite3
from collections.abc import Iterable

_READ = "SELECT tombstone_keys FROM state"
_NOTE = (
    "UPDATE state SET tombstone_keys = trim(tombstone_keys || ' ' || ?1) "
    "WHERE ' ' || tombstone_keys || ' ' NOT LIKE '% ' || ?1 || ' %'"
)


def read_tombstone_keys(connection: sqlite3.Connection) -> list[str]:
    """Read the fingerprints of the keys."""
    [[fingerprints]] = connection.execute(_READ).fetchall()
    return str(fingerprints).split()


def note_tombstone_keys(connection: sqlite3.Connection, fingerprints: Iterable[str]) -> None:
    """Note keys, in the transaction that writes tombstones by them; writes nothing if all are noted."""
    for fingerprint in fingerprints:
        connection.execute(_NOTE, (fingerprint,))
