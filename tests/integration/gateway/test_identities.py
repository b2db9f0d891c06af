"""Links and households over a real gateway: all answers follow a link at once, and are as before once it is undone."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from support.command_line import run_portrait
from support.gateway import RunningGateway

from portrait.client import (
    AsyncClient,
    Client,
    Consent,
    Event,
    EventType,
    FailedPreconditionError,
    Identity,
    InvalidRequestError,
    Link,
    Membership,
    NotFoundError,
    Profile,
    Purpose,
    Ranking,
)

NOW = datetime.now(UTC).replace(microsecond=0)
EVENTS = [
    Event(EventType.PURCHASE, "e1", NOW - timedelta(days=9), "desk-lamp-red", price=9.5),
    Event(EventType.VIEW, "e2", NOW - timedelta(days=8), "wool-rug-blue"),
    Event(EventType.SEARCH, "e3", NOW - timedelta(days=7), query="frying pan"),
    Event(EventType.PURCHASE, "e4", NOW - timedelta(days=6), "frying-pan-black", price=20.0),
    Event(EventType.VIEW, "e5", NOW - timedelta(days=5), "desk-lamp-red"),
    Event(EventType.VIEW, "e6", NOW - timedelta(days=4), "garden-spade-green"),
]


@pytest.fixture
def client(gateway: RunningGateway) -> Iterator[Client]:
    with Client(gateway.address) as client:
        yield client


@pytest.fixture
def ids(client: Client, shopper: str) -> tuple[str, str, str]:
    """A login, two anonymous ids that are not linked yet; each has two of six events, and a fourth id has them all."""
    login, web, app = shopper, f"{shopper}-web", f"{shopper}-app"
    for number, shopper_id in enumerate((login, web, app)):
        client.record_events((shopper_id, event) for event in EVENTS[number::3])
    client.record_events((f"{shopper}-whole", event) for event in EVENTS)
    return login, web, app


def answers(client: Client, shopper_id: str) -> tuple[Profile, Ranking, Ranking, int]:
    """Collect what several methods say of a shopper, without the id that was asked for and the time of the answer."""
    profile = replace(client.get_profile(shopper_id, as_of=NOW), shopper_id="", computed_at=NOW)
    seen = client.recommend(shopper_id, k=9, exclude_seen=True, as_of=NOW)
    ranked = client.rank(shopper_id, ["desk-lamp-red", "wool-rug-blue"], as_of=NOW)
    explained = client.explain_profile(shopper_id, as_of=NOW)
    return profile, seen, ranked, explained.event_count


def test_all_answers_follow_a_link_at_once_and_are_as_before_without_it(
    client: Client, ids: tuple[str, str, str]
) -> None:
    login, web, app = ids
    before = {each: answers(client, each) for each in ids}
    assert {each: found[0].event_count for each, found in before.items()} == dict.fromkeys(ids, 2)
    client.link_shoppers(login, web, source="login on web", confidence=0.9)
    assert answers(client, web) == answers(client, login) != before[login]
    assert answers(client, app) == before[app]
    identity = client.link_shoppers(login, app, source="login in app", confidence=1.0, time=NOW)
    whole = answers(client, f"{login}-whole")
    for each in ids:
        assert answers(client, each) == whole
        assert client.get_identity(each) == identity
    batch = client.batch_get_profiles([*ids, f"{login}-whole"], as_of=NOW)
    assert [each.event_count for each in batch if isinstance(each, Profile)] == [6] * 4
    # Events that arrive under one id count for all, also where the response was cached.
    client.record_events([(app, replace(EVENTS[0], event_id="e7", time=NOW - timedelta(days=1)))])
    assert [client.get_profile(each, as_of=NOW).event_count for each in ids] == [7] * 3
    assert client.unlink_shoppers(login, web).links == identity.links[:1]
    client.unlink_shoppers(login, app)
    assert answers(client, login) == before[login]
    assert answers(client, web) == before[web]
    assert client.get_profile(app, as_of=NOW).event_count == 3
    assert client.get_identity(login) == Identity(login)


def test_the_strictest_consent_counts_for_all(client: Client, ids: tuple[str, str, str]) -> None:
    login, web, _ = ids
    client.set_consents(login, [Consent(Purpose.ADVERTISING, True), Consent(Purpose.DEMOGRAPHICS, True)])
    client.set_demographics(login, age=30, region="US-CA")
    client.link_shoppers(login, web, source="login on web")
    for each in (login, web):
        permissions = client.get_consents(each).permissions
        assert {purpose for purpose, found in permissions.items() if found.allowed} == {Purpose.PERSONALISATION}
        assert client.get_profile(each).demographics is None
    told = client.set_consents(web, [Consent(Purpose.ADVERTISING, True), Consent(Purpose.DEMOGRAPHICS, True)])
    assert (told[Purpose.ADVERTISING].allowed, told[Purpose.ADVERTISING].granted) == (True, True)
    demographics = client.get_profile(web).demographics
    assert demographics is not None
    assert demographics.region == "US-CA"
    client.set_consents(web, [Consent(Purpose.PERSONALISATION, False)])
    assert client.recommend(login).event_count == 0
    assert {each.reason for each in client.get_profile(login, fields=["interests"]).absent} == {"no_consent"}
    with pytest.raises(FailedPreconditionError):
        client.explain_profile(login)
    client.unlink_shoppers(login, web)
    assert client.recommend(login).event_count == 2
    assert client.recommend(web).event_count == 0


def test_forgetting_one_id_forgets_all(client: Client, ids: tuple[str, str, str]) -> None:
    login, web, app = ids
    for each in (web, app):
        client.link_shoppers(login, each, source="login", time=NOW)
    client.get_profile(web)
    assert client.forget_shopper(app).event_count == 6
    for each in ids:
        with pytest.raises(NotFoundError):
            client.get_profile(each)
        assert client.get_identity(each) == Identity(each)
    assert client.get_profile(f"{login}-whole").event_count == 6
    with pytest.raises(FailedPreconditionError) as raised:
        client.link_shoppers(login, app, source="login", time=NOW)
    assert raised.value.reason == "SHOPPER_FORGOTTEN"


def test_a_link_has_its_evidence_and_what_is_wrong_is_named(client: Client, shopper: str) -> None:
    login, web = shopper, f"{shopper}-web"
    ahead = datetime.now(UTC) + timedelta(hours=12)
    identity = client.link_shoppers(login, web, source="login on web", confidence=0.25, time=ahead)
    [link] = identity.links
    assert identity == Identity(login, (Link(web, "login on web", 0.25, link.recorded_at, link.recorded_at),))
    for arguments, field in (
        ((login, login), "anonymous_id"),
        ((login, ""), "anonymous_id"),
        (("", web), "shopper_id"),
    ):
        with pytest.raises(InvalidRequestError) as invalid:
            client.link_shoppers(*arguments, source="x")
        assert [each.field for each in invalid.value.violations] == [field]
    for options, field in (({"source": ""}, "source"), ({"source": "x", "confidence": 0.0}, "confidence")):
        with pytest.raises(InvalidRequestError) as invalid:
            client.link_shoppers(login, web, **options)  # type: ignore[arg-type]
        assert [each.field for each in invalid.value.violations] == [field]
    for arguments, field in (
        ((f"{shopper}-other", web), "anonymous_id"),
        ((web, f"{shopper}-tv"), "shopper_id"),
        ((f"{shopper}-other", login), "anonymous_id"),
    ):
        with pytest.raises(FailedPreconditionError) as refused:
            client.link_shoppers(*arguments, source="x")
        assert refused.value.reason == "IDENTITY_CONFLICT"
        assert [each.field for each in refused.value.violations] == [field]
        assert shopper not in str(refused.value)
    for number in range(15):
        client.link_shoppers(login, f"{shopper}-{number}", source="x")
    with pytest.raises(FailedPreconditionError) as refused:
        client.link_shoppers(login, f"{shopper}-15", source="x")
    assert refused.value.reason == "IDENTITY_FULL"


def test_the_command_links_and_prints(gateway: RunningGateway, shopper: str) -> None:
    def run(*arguments: str) -> list[list[str]]:
        done = run_portrait("identity", *arguments, "--address", gateway.address)
        assert done.code == 0, done
        return [line.split("\t") for line in done.stdout.splitlines()[1:]]

    web, app = f"{shopper}-web", f"{shopper}-app"
    rows = run(shopper, "--link", web, "--link", app, "--source", "login", "--confidence", "0.5")
    assert [row[:4] for row in rows] == [
        [shopper, "the login", "", ""],
        [app, "linked", "login", "50%"],
        [web, "linked", "login", "50%"],
    ]
    assert run(web) == rows
    assert run(shopper, "--unlink", web) == rows[:2]
    assert [row[:2] for row in run(web)] == [[web, "not linked"]]
    taken = run_portrait("identity", "other", "--link", app, "--source", "x", "--address", gateway.address)
    assert (taken.code, "IDENTITY_CONFLICT" in taken.stderr or "another login" in taken.stderr) == (2, True), taken
    assert run_portrait("identity", shopper, "--link", web, "--address", gateway.address).code == 2


async def test_the_asynchronous_client_links_too(gateway: RunningGateway, shopper: str) -> None:
    async with AsyncClient(gateway.address) as client:
        linked = await client.link_shoppers(shopper, f"{shopper}-web", source="login")
        assert await client.get_identity(f"{shopper}-web") == linked
        assert await client.unlink_shoppers(shopper, f"{shopper}-web") == Identity(shopper)


def test_members_of_a_household_stay_separate_people(client: Client, ids: tuple[str, str, str]) -> None:
    one, other, third = ids
    home = f"{one}-home"
    client.link_shoppers(one, third, source="login")
    before = {each: answers(client, each) for each in ids}
    identity = client.join_household(home, one, source="family account", confidence=0.5, time=NOW)
    client.join_household(home, other, source="family account")
    membership = identity.household
    assert membership is not None
    assert membership == Membership(home, one, "family account", 0.5, NOW, membership.recorded_at)
    assert client.get_identity(third) == identity
    assert [each.shopper_id for each in client.get_household(home)] == [one, other]
    assert {each: answers(client, each) for each in ids} == before
    client.set_consents(other, [Consent(Purpose.PERSONALISATION, False)])
    assert client.recommend(other).event_count == 0
    assert answers(client, one) == before[one]
    assert client.leave_household(home, one).household is None
    assert client.join_household(home, one, source="family account", time=NOW).household is not None
    assert client.forget_shopper(third).event_count == 4
    assert [each.shopper_id for each in client.get_household(home)] == [other]
    with pytest.raises(FailedPreconditionError) as raised:
        client.join_household(home, one, source="family account", time=NOW)
    assert raised.value.reason == "SHOPPER_FORGOTTEN"


def test_a_membership_that_is_wrong_is_refused(client: Client, shopper: str) -> None:
    web, home = f"{shopper}-web", f"{shopper}-home"
    client.link_shoppers(shopper, web, source="login")
    for number in range(16):
        client.join_household(home, f"{shopper}-{number}", source="account")
    for arguments, reason, field in (
        ((home, web), "IDENTITY_CONFLICT", "shopper_id"),
        ((f"{home}-2", f"{shopper}-0"), "IDENTITY_CONFLICT", "shopper_id"),
        ((home, shopper), "IDENTITY_FULL", "household_id"),
    ):
        with pytest.raises(FailedPreconditionError) as refused:
            client.join_household(*arguments, source="account")
        assert (refused.value.reason, [each.field for each in refused.value.violations]) == (reason, [field])
        assert shopper not in str(refused.value)
    with pytest.raises(FailedPreconditionError) as refused:
        client.link_shoppers(shopper, f"{shopper}-0", source="login")
    assert (refused.value.reason, refused.value.violations[0].field) == ("IDENTITY_CONFLICT", "anonymous_id")
    for arguments, field in (((home, ""), "shopper_id"), (("", shopper), "household_id")):
        with pytest.raises(InvalidRequestError) as invalid:
            client.leave_household(*arguments)
        assert [each.field for each in invalid.value.violations] == [field]


def test_the_commands_join_and_list(gateway: RunningGateway, shopper: str) -> None:
    def run(*arguments: str) -> list[list[str]]:
        done = run_portrait(*arguments, "--address", gateway.address)
        assert done.code == 0, done
        return [line.split("\t") for line in done.stdout.splitlines()]

    home = f"{shopper}-home"
    rows = run("identity", shopper, "--join", home, "--source", "account", "--confidence", "0.5")[1:]
    assert [row[:4] for row in rows] == [[shopper, "not linked", "", ""], [home, "the household", "account", "50%"]]
    assert [row[:3] for row in run("household", home)[1:]] == [[shopper, "account", "50%"]]
    assert run("identity", shopper, "--leave", home)[1:] == rows[:1]
    assert run("household", home) == [[f"household {home}: nobody is a member"]]
    assert json.loads(run("household", home, "--json")[0][0]) == {"household_id": home, "members": []}
    assert run_portrait("identity", shopper, "--join", home, "--address", gateway.address).code == 2


async def test_the_asynchronous_client_joins_too(gateway: RunningGateway, shopper: str) -> None:
    async with AsyncClient(gateway.address) as client:
        joined = await client.join_household(f"{shopper}-home", shopper, source="account")
        assert await client.get_household(f"{shopper}-home") == (joined.household,)
        assert (await client.leave_household(f"{shopper}-home", shopper)).household is None
