"""Writes what shoppers said and declared to the state file, in a transaction that runs."""

import sqlite3
from collections.abc import Sequence

from portrait.server.consent.consents import Consent
from portrait.server.demographics import Demographics
from portrait.server.storage.rows import CONSENT_COLUMNS, consent_row
from portrait.server.timestamps import to_microseconds

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


def record_consents(connection: sqlite3.Connection, shopper_id: str, consents: Sequence[Consent]) -> None:
    """Keep what a shopper said beside all that they said before."""
    rows = [(shopper_id, *consent_row(consent)) for consent in consents]
    connection.executemany(_KEEP_CONSENT, rows)
    connection.executemany(_COUNT_CONSENT, [row[:5] for row in rows])
    connection.execute(_ERASE_WITHDRAWN, (shopper_id,))


def declare(connection: sqlite3.Connection, shopper_id: str, demographics: Demographics) -> bool:
    """Keep what a shopper declares; returns whether it was kept."""
    bands = (demographics.age_band, demographics.gender, demographics.region)
    values = (shopper_id, *bands, to_microseconds(demographics.declared_at), demographics.source)
    return connection.execute(_DECLARE, values).rowcount > 0
