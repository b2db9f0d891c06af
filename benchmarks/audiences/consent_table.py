"""A state file with random consents of all generated shoppers."""

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.audiences.audience_table import NOW, format_shopper_id
from portrait.server.consent.consents import Purpose
from portrait.server.storage.sqlite import open_store
from portrait.server.timestamps import to_microseconds

GRANTED_SHARE = 0.7
"""Share of shoppers who granted advertising; the others refused it."""
WITHDRAWN_SHARE = 0.05
"""Share of shoppers who withdrew personalisation; the others granted it."""


def write_consents(state: Path, shoppers: int, seed: int) -> str:
    """Write both tables of consents at once, as a call for each shopper would take an hour; returns the identity."""
    identity = asyncio.run(_create_store(state))
    connection = sqlite3.connect(state)
    with connection:
        connection.executemany(
            "INSERT INTO consent_records (shopper_id, purpose, granted, time, recorded_at, notice, source) "
            "VALUES (?, ?, ?, ?, ?, 'notice 3', 'cookie banner')",
            _draw_consents(shoppers, seed),
        )
        connection.execute(
            "INSERT INTO consents (shopper_id, purpose, granted, time) "
            "SELECT shopper_id, purpose, granted, time FROM consent_records ORDER BY shopper_id, purpose"
        )
    connection.close()
    return identity


async def _create_store(state: Path) -> str:
    store = await open_store(state)
    await store.close()
    return store.identity


def _draw_consents(shoppers: int, seed: int) -> Iterator[tuple[str, str, bool, int, int]]:
    rng, moment = np.random.default_rng(seed), to_microseconds(NOW)
    advertising, personalisation = rng.random(shoppers) < GRANTED_SHARE, rng.random(shoppers) >= WITHDRAWN_SHARE
    for number, (may_advertise, may_personalise) in enumerate(
        zip(advertising.tolist(), personalisation.tolist(), strict=True)
    ):
        yield format_shopper_id(number), Purpose.ADVERTISING.value, may_advertise, moment, moment
        yield format_shopper_id(number), Purpose.PERSONALISATION.value, may_personalise, moment, moment
