"""Links and households: whatever was done, a store tells what one tells that was only told what still counts."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from support.identity_steps import (
    HOUSEHOLDS,
    NOON,
    PURPOSES,
    SHOPPERS,
    STEPS,
    Remaining,
    Step,
    at,
    decided,
    joined,
    linked,
    look_up,
    take,
    viewed,
)
from support.memory_store import MemoryStore
from support.redis_server import RedisServer, run_redis

from portrait.server.audiences.eligibility import AudienceEligibility
from portrait.server.consent.consents import ConsentRule, Permissions, Purpose
from portrait.server.demographics import Demographics
from portrait.server.errors import DiskFull
from portrait.server.households import MAX_MEMBERS, JoinOutcome
from portrait.server.identities import MAX_LINKS, Identity, LinkOutcome
from portrait.server.storage.backup import back_up, restore
from portrait.server.storage.redis.store import open_redis_store
from portrait.server.storage.sqlite import open_store
from portrait.server.storage.store import RecordedEvent, Store

KINDS = ("sqlite", "redis", "memory")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with run_redis(tmp_path_factory.mktemp("redis"), "--appendonly", "no") as running:
        yield running


@asynccontextmanager
async def opened(kind: str, server: RedisServer, folder: Path) -> AsyncIterator[tuple[Store, Store]]:
    """Open an empty store of a kind, as two processes have it."""
    one: Store
    other: Store
    if kind == "sqlite":
        one, other = await open_store(folder / "portrait.db"), await open_store(folder / "portrait.db")
    elif kind == "redis":
        server.clear()
        one, other = await open_redis_store(server.url), await open_redis_store(server.url)
    else:
        one = other = MemoryStore()
    try:
        yield one, other
    finally:
        await one.close()
        await other.close()


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, server: RedisServer, tmp_path: Path) -> AsyncIterator[Store]:
    async with opened(request.param, server, tmp_path) as (one, _):
        yield one


async def look_at_all(store: Store) -> dict[str, Any]:
    """All that a store tells of all shoppers together, by every rule."""
    allowing = {}
    for rule in ConsentRule:
        permissions = Permissions(store, dict.fromkeys(Purpose, rule))
        for purpose in PURPOSES:
            allowing[rule, purpose] = await permissions.filter_allowing([purpose], SHOPPERS)
            assert allowing[rule, purpose] == {
                each for each in SHOPPERS if purpose in permissions.list_allowed(await store.consents(each))
            }
    return {
        "shoppers": await store.shoppers("", 10),
        "identities": await store.identities(SHOPPERS),
        "memberships": await store.households.memberships(SHOPPERS),
        "allowing": allowing,
        "each": {each: await look_up(store, each) for each in SHOPPERS},
    }


async def test_on_a_full_disk_all_ids_are_forgotten_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise DiskFull("the disk is full", 1.0)

    monkeypatch.setattr("portrait.server.storage.deletion.forget_shopper", fail)
    store = await open_store(tmp_path / "portrait.db")
    await store.record([RecordedEvent(each, viewed(f"e{number}")) for each in SHOPPERS for number in range(100)])
    for anonymous_id in ("web", "app"):
        await store.link("login", linked(anonymous_id))
    assert (await store.forget("app", at(9))).events == 300
    assert await store.forgotten_since(0, SHOPPERS) == {"login", "web", "app"}
    assert await store.shoppers("", 10) == ["tv"]
    assert await store.identities(SHOPPERS) == {}
    await store.close()


@pytest.mark.parametrize("kind", KINDS[:2])
@given(steps=STEPS)
@settings(max_examples=20)
def test_any_steps_leave_what_a_replay_of_the_rest_tells(kind: str, server: RedisServer, steps: list[Step]) -> None:
    async def run(folder: Path) -> None:
        remaining = Remaining()
        async with opened(kind, server, folder) as (store, other):
            for step in steps:
                before = {each: (await look_up(store, each), await other.versions([each])) for each in SHOPPERS}
                await take(store, step, remaining)
                for each, (seen, version) in before.items():
                    now = await look_up(other, each)
                    assert now[0] == remaining.identity(each)
                    assert now[2] == remaining.history(each)
                    if now != seen:
                        assert await other.versions([each]) != version, (step, each)
                assert await other.households.memberships(SHOPPERS) == remaining.memberships
                for household_id in HOUSEHOLDS:
                    assert await other.households.members(household_id) == remaining.members(household_id)
            told = await look_at_all(store)
        (folder / "again").mkdir()
        async with opened(kind, server, folder / "again") as (fresh, _):
            await remaining.replay(fresh)
            assert await look_at_all(fresh) == told

    with TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder)))


async def test_a_link_never_allows_what_one_of_the_ids_does_not(store: Store) -> None:
    permissions = Permissions(
        store,
        dict.fromkeys(Purpose, ConsentRule.GRANTED) | {Purpose.PERSONALISATION: ConsentRule.UNLESS_WITHDRAWN},
    )
    await store.record_consents("login", [decided(Purpose.ADVERTISING, True)])
    assert await permissions.list_allowing_ids("login", Purpose.ADVERTISING) == ("login",)
    await store.link("login", linked("web"))
    assert await permissions.list_allowing_ids("web", Purpose.PERSONALISATION) == ("login", "web")
    assert not await permissions.allows("login", Purpose.ADVERTISING)  # nobody has asked under the other id
    await store.record_consents("web", [decided(Purpose.ADVERTISING, True)])
    assert await permissions.allows("web", Purpose.ADVERTISING)
    await store.record_consents("web", [decided(Purpose.PERSONALISATION, False)])
    assert not await permissions.allows("login", Purpose.PERSONALISATION)
    await store.unlink("login", "web")
    assert await permissions.allows("login", Purpose.PERSONALISATION)


async def test_two_logins_are_not_merged_and_no_chain_is_made(store: Store) -> None:
    for anonymous_id in ("web", "app", "web"):
        assert await store.link("login", linked(anonymous_id)) is LinkOutcome.LINKED
    assert await store.link("other", linked("web")) is LinkOutcome.TAKEN
    assert await store.link("web", linked("tv")) is LinkOutcome.LOGIN_LINKED
    assert await store.link("other", linked("login")) is LinkOutcome.HAS_LINKS
    assert await store.link("web", linked("login")) is LinkOutcome.LOGIN_LINKED
    identity = Identity("login", (linked("app"), linked("web")))
    assert await store.identities(["app", "login", "other", "tv"]) == {"app": identity, "login": identity}
    await store.unlink("other", "web")  # of another login
    assert await store.identities(["app"]) == {"app": identity}


async def test_a_login_has_a_bounded_number_of_links(store: Store) -> None:
    for number in range(MAX_LINKS):
        assert await store.link("login", linked(f"web-{number}")) is LinkOutcome.LINKED
    assert await store.link("login", linked("one more")) is LinkOutcome.FULL
    assert await store.link("login", linked("web-0", 5)) is LinkOutcome.LINKED
    await store.unlink("login", "web-1")
    assert await store.link("login", linked("one more")) is LinkOutcome.LINKED
    assert len((await store.consents("one more")).shopper_ids) == 1 + MAX_LINKS


async def test_forgetting_one_id_forgets_all_and_no_earlier_link_comes_back(store: Store) -> None:
    await store.record([RecordedEvent(each, viewed("e", 2)) for each in ("login", "web", "app", "tv")])
    for anonymous_id in ("web", "app"):
        await store.link("login", linked(anonymous_id))
    forgotten = await store.forget("web", at(1))
    assert (forgotten.events, forgotten.at) == (3, at(2))
    assert await store.identities(["login", "web", "app"]) == {}
    assert await store.forgotten_since(0, SHOPPERS) == {"login", "web", "app"}
    assert await store.shoppers("", 10) == ["tv"]
    for login_id, anonymous_id in (("login", "app"), ("login", "tv"), ("tv", "app")):
        assert await store.link(login_id, linked(anonymous_id, 2)) is LinkOutcome.FORGOTTEN
    assert await store.relinked_since(0, SHOPPERS) == set()
    assert await store.link("login", linked("app", 3)) is LinkOutcome.LINKED  # as of a new shopper


async def test_of_logins_that_claim_one_id_at_once_one_gets_it(store: Store) -> None:
    logins = [f"login-{number}" for number in range(8)]
    outcomes = await asyncio.gather(*(store.link(each, linked("web")) for each in logins))
    assert sorted(each.name for each in outcomes) == ["LINKED"] + ["TAKEN"] * 7
    [login_id] = [each for each, outcome in zip(logins, outcomes, strict=True) if outcome is LinkOutcome.LINKED]
    assert await store.identities([*logins, "web"]) == dict.fromkeys(
        [login_id, "web"], Identity(login_id, (linked("web"),))
    )
    # Nor do two that claim each other make a circle.
    both = await asyncio.gather(store.link("a", linked("b")), store.link("b", linked("a")))
    assert both.count(LinkOutcome.LINKED) <= 1


async def test_a_row_of_a_table_that_describes_other_ids_is_not_used(store: Store) -> None:
    reach = AudienceEligibility(store, Permissions(store, dict.fromkeys(Purpose, ConsentRule.UNLESS_WITHDRAWN)))
    await store.record([RecordedEvent(each, viewed("e")) for each in ("web", "tv")])

    async def permitted(arrived: int) -> set[str]:
        return {*await reach.filter_permitted(0, arrived, SHOPPERS)}

    begun = await store.last_arrival()
    assert await permitted(begun) == {*SHOPPERS}
    await store.link("login", linked("web"))
    assert await permitted(begun) == {"app", "tv"}
    later = await store.last_arrival() + 1
    assert {*await store.shoppers_with_arrivals(begun, later)} >= {"login", "web"}
    assert await store.shoppers("", 10) == ["login", "tv", "web"]  # the row of the login has the events of both
    await store.set_demographics("web", Demographics("", "", "North", NOON))
    assert await reach.filter_by_region({"North"}, SHOPPERS) == {"login", "web"}
    await store.unlink("login", "web")
    assert await reach.filter_by_region({"North"}, SHOPPERS) == {"web"}
    assert await permitted(begun) == {"app", "tv"}
    assert await store.shoppers("", 10) == ["tv", "web"]


async def test_a_backup_brings_back_no_link_of_a_shopper_who_was_forgotten(tmp_path: Path) -> None:
    store = await open_store(tmp_path / "portrait.db")
    for login_id, anonymous_id in (("login", "web"), ("other", "app")):
        await store.link(login_id, linked(anonymous_id))
    back_up(tmp_path / "portrait.db", tmp_path / "backup")
    await store.forget("web", at(9))
    tombstones = await store.tombstones()
    await store.close()
    assert restore(tmp_path / "backup", tmp_path / "restored.db", tombstones).forgotten == 2
    again = await open_store(tmp_path / "restored.db")
    assert set(await again.identities(["login", "web", "other", "app"])) == {"other", "app"}
    await again.close()


async def test_members_stay_separate_people(store: Store) -> None:
    permissions = Permissions(store, dict.fromkeys(Purpose, ConsentRule.UNLESS_WITHDRAWN))
    await store.record([RecordedEvent(each, viewed("e")) for each in ("login", "tv")])
    before = {each: (await look_up(store, each), await store.versions([each])) for each in SHOPPERS}
    arrived = await store.last_arrival()
    for each in ("login", "tv", "login"):
        assert await store.households.join(joined(each)) is JoinOutcome.JOINED
    assert {each: (await look_up(store, each), await store.versions([each])) for each in SHOPPERS} == before
    assert await store.relinked_since(0, SHOPPERS) == set()
    assert await store.shoppers_with_arrivals(arrived, 2**62) == []
    await store.record_consents("tv", [decided(Purpose.PERSONALISATION, False)])
    assert await permissions.filter_allowing([Purpose.PERSONALISATION], SHOPPERS) == {*SHOPPERS} - {"tv"}
    assert (await store.forget("tv", at(9))).events == 1
    assert await store.households.members("home") == [joined("login")]
    assert await store.forgotten_since(0, SHOPPERS) == {"tv"}
    assert await store.households.join(joined("tv", 9)) is JoinOutcome.FORGOTTEN
    assert await store.households.join(joined("tv", 10)) is JoinOutcome.JOINED  # as a new shopper
    await store.households.leave("home", "tv")
    await store.households.leave("elsewhere", "login")
    assert await store.households.memberships(SHOPPERS) == {"login": joined("login")}


async def test_a_member_is_a_login_with_one_household(store: Store) -> None:
    await store.link("login", linked("web"))
    assert await store.households.join(joined("web")) is JoinOutcome.LINKED
    assert await store.households.join(joined("login")) is JoinOutcome.JOINED
    assert await store.households.join(joined("login", 0, "elsewhere")) is JoinOutcome.TAKEN
    assert await store.households.join(joined("tv")) is JoinOutcome.JOINED
    assert await store.link("login", linked("tv")) is LinkOutcome.MEMBER
    assert await store.identities(["tv"]) == {}
    assert await store.link("login", linked("app")) is LinkOutcome.LINKED
    # An id that is forgotten under its login takes the membership of the login with it, and no other.
    await store.forget("web", at(9))
    assert await store.households.members("home") == [joined("tv")]
    await store.households.leave("home", "tv")
    assert await store.link("login", linked("tv", 10)) is LinkOutcome.LINKED


async def test_a_household_has_a_bounded_number_of_members(store: Store) -> None:
    names = sorted(f"member-{number}" for number in range(MAX_MEMBERS + 4))
    outcomes = await asyncio.gather(*(store.households.join(joined(each)) for each in names))
    assert sorted(each.name for each in outcomes) == ["FULL"] * 4 + ["JOINED"] * MAX_MEMBERS
    held = [each for each, outcome in zip(names, outcomes, strict=True) if outcome is JoinOutcome.JOINED]
    assert [each.shopper_id for each in await store.households.members("home")] == held
    assert await store.households.join(joined(held[0], 5)) is JoinOutcome.JOINED
    [refused, *_] = {*names} - {*held}
    await store.households.leave("home", held[0])
    assert await store.households.join(joined(refused)) is JoinOutcome.JOINED


async def test_of_households_that_claim_one_shopper_at_once_one_gets_them(store: Store) -> None:
    claimed = [joined("login", 0, f"home-{number}") for number in range(8)]
    outcomes = await asyncio.gather(*map(store.households.join, claimed))
    assert sorted(each.name for each in outcomes) == ["JOINED"] + ["TAKEN"] * 7
    [got] = [each for each, outcome in zip(claimed, outcomes, strict=True) if outcome is JoinOutcome.JOINED]
    assert [await store.households.members(each.household_id) for each in claimed] == [
        [each] if each == got else [] for each in claimed
    ]
    # Nor is an id linked and a member at once.
    both = await asyncio.gather(store.link("login", linked("web")), store.households.join(joined("web")))
    assert both in ([LinkOutcome.LINKED, JoinOutcome.LINKED], [LinkOutcome.MEMBER, JoinOutcome.JOINED])


async def test_a_backup_brings_back_no_membership_of_a_shopper_who_was_forgotten(tmp_path: Path) -> None:
    store = await open_store(tmp_path / "portrait.db")
    for each in ("login", "tv"):
        await store.households.join(joined(each))
    back_up(tmp_path / "portrait.db", tmp_path / "backup")
    await store.forget("tv", at(9))
    tombstones = await store.tombstones()
    await store.close()
    assert restore(tmp_path / "backup", tmp_path / "restored.db", tombstones).forgotten == 1
    again = await open_store(tmp_path / "restored.db")
    assert await again.households.members("home") == [joined("login")]
    await again.close()
