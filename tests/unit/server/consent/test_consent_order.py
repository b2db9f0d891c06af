"""Clocks that disagree, messages that come late: a withdrawal never loses, what has no time counts by its arrival."""

import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portrait.server.consent.consents import Consent, Purpose
from portrait.server.demographics import Demographics
from portrait.server.storage.sqlite import SqliteStore, open_store

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
HOURS = st.integers(-3, 3).map(lambda hours: timedelta(hours=hours))
SECONDS = st.integers(-3, 3).map(lambda seconds: timedelta(seconds=seconds))
SKEWS = st.one_of(HOURS, SECONDS, st.builds(lambda one, other: one + other, HOURS, SECONDS))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = await open_store(tmp_path / "portrait.db")
    yield store
    await store.close()


def said(granted: bool, recorded_at: datetime, time: datetime | None = None) -> Consent:
    return Consent(Purpose.RISK, granted, time or recorded_at, recorded_at)


async def allowed(store: SqliteStore, shopper_id: str) -> bool | None:
    return (await store.consents(shopper_id)).by_purpose.get(Purpose.RISK)


async def test_a_withdrawal_after_a_grant_by_a_fast_clock_counts(store: SqliteStore) -> None:
    await store.record_consents("ann", [said(True, NOON + timedelta(hours=2))])
    await store.record_consents("ann", [said(False, NOON)])
    assert await allowed(store, "ann") is False
    await store.record_consents("ann", [said(True, NOON + timedelta(seconds=1))])
    assert await allowed(store, "ann") is True


async def test_a_grant_without_a_time_counts_after_a_withdrawal_by_a_fast_clock(store: SqliteStore) -> None:
    await store.record_consents("ann", [said(False, NOON + timedelta(hours=2))])
    await store.record_consents("ann", [said(True, NOON)])
    assert await allowed(store, "ann") is True


async def test_a_late_grant_undoes_no_withdrawal_of_any_gateway(store: SqliteStore) -> None:
    slow = NOON - timedelta(hours=2)
    await store.record_consents("ann", [said(False, slow, NOON + timedelta(minutes=5))])
    await store.record_consents("ann", [said(True, slow, NOON)])
    assert await allowed(store, "ann") is False
    await store.record_consents("ann", [said(False, slow, NOON - timedelta(days=1))])
    await store.record_consents("ann", [said(True, slow, NOON)])
    assert await allowed(store, "ann") is False


_NAMES = iter(range(10**9))

SAYINGS = st.lists(st.tuples(st.booleans(), SKEWS, st.none() | SKEWS), min_size=1, max_size=8)
"""Decisions: granted or not, the skew of the gateway's clock, and the time that the caller sent, if any."""


@pytest.mark.slow
@settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
@given(SAYINGS)
async def test_whatever_the_clocks_say(
    store: SqliteStore, sayings: list[tuple[bool, timedelta, timedelta | None]]
) -> None:
    shopper = f"shopper-{next(_NAMES)}"
    withdrawals: list[datetime] = []
    for number, (granted, skew, sent) in enumerate(sayings):
        recorded_at = NOON + timedelta(milliseconds=number) + skew
        before = await allowed(store, shopper)
        consent = said(granted, recorded_at, None if sent is None else NOON + sent)
        await store.record_consents(shopper, [consent])
        after = await allowed(store, shopper)
        if not granted:
            assert after is False
            withdrawals.append(consent.time)
        elif sent is None or not withdrawals:
            assert after is True
        elif max(withdrawals) - consent.time >= timedelta(seconds=1):
            assert after is before
        elif consent.time >= max(withdrawals):
            assert after is True
    records = await store.consent_records(shopper, 99)
    assert [record.granted for record in records] == [granted for granted, *_ in sayings]


async def test_what_lost_to_a_clock_in_a_file_of_version_4_counts(tmp_path: Path) -> None:
    path = tmp_path / "portrait.db"
    store = await open_store(path)
    for shopper in ("lost", "undone", "granted", "again"):
        await store.record_consents(shopper, [Consent(Purpose.DEMOGRAPHICS, True, NOON, NOON)])
        await store.set_demographics(shopper, Demographics("25-34", "", "", NOON))
    await store.close()
    late, early = (round((NOON + timedelta(hours=hours)).timestamp() * 1e6) for hours in (2, -2))
    with sqlite3.connect(path) as connection:
        connection.execute("ALTER TABLE consents DROP COLUMN withdrawn_at")
        for table in ("state", "links", "identity_changes", "reviews", "review_changes", "household_members"):
            connection.execute(f"DROP TABLE {table}")
        records = [
            ("lost", 0, early, early),  # by a right clock, after a grant by a fast one: was ignored
            ("undone", 0, late, late), ("undone", 1, late - 5_000_000, late),  # was never undone
            ("again", 0, early, early), ("again", 1, late, late),
        ]  # fmt: skip
        for shopper, granted, time, recorded_at in records:
            connection.execute(
                "INSERT INTO consent_records (shopper_id, purpose, granted, time, recorded_at, notice, source) "
                "VALUES (?, 'demographics', ?, ?, ?, '', '')",
                (shopper, granted, time, recorded_at),
            )
        connection.execute("UPDATE consents SET granted = 0, time = ? WHERE shopper_id = 'undone'", (late,))
        connection.execute("PRAGMA user_version = 4")
    connection.close()
    store = await open_store(path)
    counts = {shopper: (await store.consents(shopper)).by_purpose for shopper in ("lost", "undone", "granted", "again")}
    assert {shopper: counted[Purpose.DEMOGRAPHICS] for shopper, counted in counts.items()} == {
        "lost": False, "undone": False, "granted": True, "again": True,
    }  # fmt: skip
    assert await store.demographics("lost") is None
    assert await store.demographics("granted") is not None
    await store.record_consents("undone", [Consent(Purpose.DEMOGRAPHICS, True, NOON, NOON + timedelta(hours=1))])
    assert (await store.consents("undone")).by_purpose[Purpose.DEMOGRAPHICS] is False
    await store.close()
