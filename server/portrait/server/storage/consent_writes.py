"""Writes what shoppers say and declare to the state file."""

import sqlite3
from collections.abc import Sequence
from typing import Any

from portrait.server.storage.rows import CONSENT_COLUMNS

_KEEP_CONSENT = f"INSERT INTO consent_records (shopper_id, {', '.join(CONSENT_COLUMNS)}) VALUES (?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
_COUNT_CONSENT = (
    "INSERT INTO consents (shopper_id, purpose, granted, time, withdrawn_at) "
    "VALUES (?1, ?2, ?3, ?4, iif(?3, NULL, ?4)) "
    "ON CONFLICT DO UPDATE SET granted = excluded.granted, time = excluded.time, "
    "withdrawn_at = max(coalesce(withdrawn_at, excluded.withdrawn_at), coalesce(excluded.withdrawn_at, withdrawn_at)) "
    "WHERE NOT excluded.granted OR withdrawn_at IS NULL OR ?4 = ?5 OR ?4 / 1000000 >= withdrawn_at / 1000000"
)
"""A withdrawal counts whenever it arrives; a grant does unless its own time is before that of a known withdrawal.

In whole seconds, as many clocks tell no less. A grant whose time is that of its recording has none of its own: it
counts by its arrival, as clocks of several machines, or of one that was set, can't order it.
"""
_WITHDREW_DEMOGRAPHICS = (
    "EXISTS (SELECT 1 FROM consents WHERE shopper_id = ?1 AND purpose = 'demographics' AND NOT granted)"
)
_ERASE_WITHDRAWN = f"DELETE FROM demographics WHERE shopper_id = ?1 AND {_WITHDREW_DEMOGRAPHICS}"  # noqa: S608
_DECLARE = (
    "REPLACE INTO demographics (shopper_id, age_band, gender, region, declared_at, source) "
    f"SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE NOT {_WITHDREW_DEMOGRAPHICS}"
)


def record_consents(connection: sqlite3.Connection, shopper_id: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Keep consents of a shopper, in a transaction that runs; rows are of the shopper and as `CONSENT_COLUMNS`."""
    connection.executemany(_KEEP_CONSENT, rows)
    connection.executemany(_COUNT_CONSENT, [row[:5] for row in rows])
    connection.execute(_ERASE_WITHDRAWN, (shopper_id,))


def declare(connection: sqlite3.Connection, values: Sequence[Any]) -> bool:
    """Keep a declaration, in a transaction that runs; returns whether the shopper had not withdrawn `demographics`.

    Args:
        connection: of the state file.
        values: shopper, age band, gender, region, time and source.
    """
    return connection.execute(_DECLARE, values).rowcount > 0
