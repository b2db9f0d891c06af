"""Consents and declarations of shoppers: kept for good, counted right, seen by every process at once."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextvars import copy_context
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from portrait.features.profiles.absence import Absence, AbsenceReason
from portrait.server.consent.consents import Consent, ConsentRule, Permissions, Purpose, state_purposes
from portrait.server.demographics import AGE_BANDS, Demographics, find_age_band, select_demographics
from portrait.server.storage.sqlite import SqliteStore, open_store

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
ANN = Demographics("25-34", "female", "US-CA", NOON, "account form")
RULES = dict.fromkeys(Purpose, ConsentRule.GRANTED) | {Purpose.PERSONALISATION: ConsentRule.UNLESS_WITHDRAWN}


def said(purpose: Purpose, granted: bool, minutes: float = 0) -> Consent:
    moment = NOON + timedelta(minutes=minutes)
    return Consent(purpose, granted, moment, moment + timedelta(seconds=1), "notice 3", "banner")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = await open_store(tmp_path / "portrait.db")
    yield store
    await store.close()


async def test_the_latest_counts_and_all_is_kept(store: SqliteStore) -> None:
    granted, withdrawn = said(Purpose.ADVERTISING, True), said(Purpose.ADVERTISING, False, 5)
    late = said(Purpose.ADVERTISING, True, 3)  # was said before the withdrawal, and arrives after it
    for each in (granted, withdrawn, late):
        await store.record_consents("ann", [each])
    await store.record_consents("bob", [said(Purpose.RISK, True)])
    assert (await store.consents("ann")).by_purpose == {Purpose.ADVERTISING: False}
    assert await store.consent_records("ann", 100) == [granted, withdrawn, late]
    assert await store.consent_records("ann", 2) == [withdrawn, late]
    assert (await store.consents("nobody")).by_purpose == {}


async def test_of_one_second_the_last_to_arrive_counts(store: SqliteStore) -> None:
    await store.record_consents("ann", [said(Purpose.RISK, True, 0.9 / 60), said(Purpose.RISK, False)])
    assert (await store.consents("ann")).by_purpose == {Purpose.RISK: False}


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
async def test_in_whatever_order_they_arrive_the_latest_counts(store: SqliteStore, order: tuple[int, ...]) -> None:
    for minute in order:
        await store.record_consents("ann", [said(Purpose.RISK, minute % 2 == 0, minute)])
    assert (await store.consents("ann")).by_purpose == {Purpose.RISK: False}


async def test_what_was_said_survives_reopening(tmp_path: Path) -> None:
    store = await open_store(tmp_path / "portrait.db")
    await store.record_consents("ann", [said(Purpose.DEMOGRAPHICS, True)])
    assert await store.set_demographics("ann", ANN)
    await store.close()
    store = await open_store(tmp_path / "portrait.db")
    assert (await store.consents("ann")).by_purpose == {Purpose.DEMOGRAPHICS: True}
    assert await store.demographics("ann") == ANN
    await store.close()


async def test_a_declaration_takes_the_place_of_the_one_before(store: SqliteStore) -> None:
    assert await store.demographics("ann") is None
    await store.set_demographics("ann", ANN)
    moved = replace(ANN, region="US-NY", gender="")
    await store.set_demographics("ann", moved)
    assert await store.demographics("ann") == moved


async def test_withdrawing_erases_what_was_declared_and_nothing_else(store: SqliteStore, tmp_path: Path) -> None:
    for shopper in ("ann", "bob"):
        await store.set_demographics(shopper, ANN)
    await store.record_consents("ann", [said(Purpose.ADVERTISING, False)])
    assert await store.demographics("ann") == ANN
    await store.record_consents("ann", [said(Purpose.DEMOGRAPHICS, False, 1)])
    assert await store.demographics("ann") is None
    assert await store.demographics("bob") == ANN
    assert not await store.set_demographics("ann", ANN)
    assert await store.demographics("ann") is None
    await store.record_consents("ann", [said(Purpose.DEMOGRAPHICS, True, 2)])
    assert await store.set_demographics("ann", ANN)


async def test_a_change_is_seen_by_every_process_at_once(tmp_path: Path) -> None:
    mine, other = await open_store(tmp_path / "portrait.db"), await open_store(tmp_path / "portrait.db")
    versions = [await mine.versions(["ann"])]
    for change in (
        other.record_consents("ann", [said(Purpose.DEMOGRAPHICS, True)]),
        other.set_demographics("ann", ANN),
        other.set_demographics("ann", replace(ANN, region="")),
        other.record_consents("ann", [said(Purpose.DEMOGRAPHICS, False, 1)]),
        other.record_consents("ann", [said(Purpose.DEMOGRAPHICS, True, 2)]),
        other.set_demographics(
            "ann", ANN
        ),  # its row would have the number of one that was erased, were numbers given again
    ):
        await change
        versions.append(await mine.versions(["ann"]))
    assert len(set(versions)) == len(versions)
    assert await mine.versions(["ann"]) == versions[-1]
    await mine.close()
    await other.close()


async def test_many_shoppers_at_once(store: SqliteStore) -> None:
    shoppers = [f"s{number}\x00灯" for number in range(12_000)]
    await store.record_consents(shoppers[0], [said(Purpose.ADVERTISING, True)])
    await store.record_consents(shoppers[-1], [said(Purpose.ADVERTISING, False), said(Purpose.RISK, True)])
    await store.set_demographics(shoppers[7], ANN)
    await store.set_demographics(shoppers[8], replace(ANN, region=""))
    assert await store.shoppers_with_decision(Purpose.ADVERTISING, True, shoppers) == {shoppers[0]}
    assert await store.shoppers_with_decision(Purpose.ADVERTISING, False, shoppers) == {shoppers[-1]}
    assert await store.shoppers_with_decision(Purpose.RISK, True, []) == set()
    assert await store.regions(shoppers) == {shoppers[7]: "US-CA"}


async def test_what_is_allowed_where_nothing_was_said_is_a_rule_of_the_purpose(store: SqliteStore) -> None:
    permissions = Permissions(store, RULES)
    assert permissions.list_allowed(await store.consents("ann")) == {Purpose.PERSONALISATION}
    changes = [(Purpose.PERSONALISATION, False), (Purpose.DEMOGRAPHICS, True)]
    await store.record_consents("ann", [said(purpose, granted) for purpose, granted in changes])
    assert permissions.list_allowed(await store.consents("ann")) == {Purpose.DEMOGRAPHICS}
    assert await permissions.filter_allowing([Purpose.PERSONALISATION], ["bob", "ann"]) == {"bob"}
    assert await permissions.filter_allowing([Purpose.DEMOGRAPHICS], ["bob", "ann"]) == {"ann"}
    assert await permissions.filter_allowing(RULES, ["bob", "ann"]) == set()
    assert not await permissions.allows("ann", Purpose.RISK)
    assert await permissions.allows("ann", Purpose.DEMOGRAPHICS)
    assert permissions.refused == {Purpose.RISK: 1}


@pytest.mark.parametrize(
    "rules", [dict(zip(Purpose, rules, strict=True)) for rules in itertools.product(ConsentRule, repeat=4)]
)
async def test_many_are_asked_as_one_is(store: SqliteStore, rules: dict[Purpose, ConsentRule]) -> None:
    answers = list(itertools.product((None, True, False), repeat=2))
    for number, answer in enumerate(answers):
        pairs = zip((Purpose.PERSONALISATION, Purpose.ADVERTISING), answer, strict=True)
        await store.record_consents(f"s{number}", [said(of, granted) for of, granted in pairs if granted is not None])
    permissions, shoppers = Permissions(store, rules), [f"s{number}" for number in range(len(answers))]
    for purposes in (
        {Purpose.PERSONALISATION, Purpose.ADVERTISING},
        {Purpose.ADVERTISING},
        set(Purpose),
        set[Purpose](),
    ):
        alone = {shopper for shopper in shoppers if purposes <= permissions.list_allowed(await store.consents(shopper))}
        assert await permissions.filter_allowing(purposes, shoppers) == alone


@pytest.mark.parametrize("stated", [*Purpose])
async def test_a_stated_purpose_is_needed_as_well_and_allows_nothing_by_itself(
    store: SqliteStore, stated: Purpose
) -> None:
    answers = list(itertools.product((True, False), repeat=len(Purpose)))
    for number, answer in enumerate(answers):
        await store.record_consents(f"s{number}", [said(*each) for each in zip(Purpose, answer, strict=True)])
    permissions, shoppers = Permissions(store, RULES), [f"s{number}" for number in range(len(answers))]
    granted = {
        each: {name for name, answer in zip(shoppers, answers, strict=True) if answer[place]}
        for place, each in enumerate(Purpose)
    }
    context = copy_context()
    context.run(state_purposes, frozenset({stated}))
    for needed in Purpose:
        check = context.run(asyncio.ensure_future, permissions.filter_allowing([needed], shoppers))
        assert await check == granted[needed] & granted[stated]
        for name in shoppers:
            verdict = context.run(permissions.check, await store.consents(name), needed)
            missing = [each for each in (needed, stated) if name not in granted[each]]
            assert verdict.denied == next(iter(missing), None)


@pytest.mark.parametrize(
    ("age", "band"), [(0, "0-17"), (17, "0-17"), (18, "18-24"), (34, "25-34"), (35, "35-44"), (64, "55-64")]
)
def test_ages_have_bands(age: int, band: str) -> None:
    assert find_age_band(age) == band


def test_no_age_is_without_a_band() -> None:
    assert [find_age_band(age) for age in (65, 130)] == ["65+", "65+"]
    assert list(dict.fromkeys(map(find_age_band, range(131)))) == list(AGE_BANDS)


def test_a_band_is_outgrown_by_half_in_half_its_years() -> None:
    assert ANN.expires_at == NOON + timedelta(days=5 * 365.25)
    assert replace(ANN, age_band="18-24").expires_at == NOON + timedelta(days=3.5 * 365.25)
    assert replace(ANN, age_band="65+").expires_at is None
    assert replace(ANN, age_band="").expires_at is None


def test_what_is_declared_later_is_not_seen() -> None:
    assert select_demographics(ANN, NOON) == ANN
    for unknown in (select_demographics(ANN, NOON - timedelta(days=1)), select_demographics(None, NOON)):
        assert isinstance(unknown, Absence)
        assert unknown.reason is AbsenceReason.NOT_RECORDED
