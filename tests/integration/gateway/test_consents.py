"""Consent against a real gateway: every answer follows it at once; those of several processes: test_forgetting.py."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from support import tiny_release
from support.gateway import RunningGateway, run_gateway
from support.scrape import scrape

from docs.examples.applications import financial_risk
from portrait.client import (
    Client,
    Consent,
    Event,
    EventType,
    FailedPreconditionError,
    InvalidRequestError,
    Item,
    Permission,
    Profile,
    Purpose,
)
from portrait.v1.consent_service_pb2 import SetConsentsRequest
from portrait.v1.consent_service_pb2_grpc import ConsentServiceStub

NOW = datetime.now(UTC)
LAMPS = ("desk-lamp-red", "floor-lamp-red", "desk-lamp-blue")


@pytest.fixture
def client(gateway: RunningGateway) -> Iterator[Client]:
    with Client(gateway.address) as client:
        yield client


def record_lamps(client: Client, shopper: str) -> None:
    views = [
        Event(EventType.VIEW, f"{shopper}-{n}", NOW - timedelta(hours=9 - n), lamp) for n, lamp in enumerate(LAMPS)
    ]
    assert client.record_events((shopper, view) for view in views).accepted == len(LAMPS)


def say(client: Client, shopper: str, purpose: Purpose, granted: bool) -> None:
    client.set_consents(shopper, [Consent(purpose, granted)])


def reasons(profile: Profile) -> dict[str, str]:
    return {each.field: each.reason for each in profile.absent}


def test_of_whom_nothing_was_said_the_rules_say_what_is_allowed(client: Client, shopper: str) -> None:
    consents = client.get_consents(shopper)
    assert consents.permissions == {
        Purpose.PERSONALISATION: Permission(True, None),
        Purpose.ADVERTISING: Permission(False, None),
        Purpose.RISK: Permission(False, None),
        Purpose.DEMOGRAPHICS: Permission(False, None),
    }
    assert consents.records == ()


def test_all_that_was_said_is_kept(client: Client, shopper: str) -> None:
    said = [
        Consent(Purpose.ADVERTISING, True, NOW - timedelta(days=2), "privacy-3", "cookie banner"),
        Consent(Purpose.RISK, True, NOW - timedelta(days=2)),
        Consent(Purpose.ADVERTISING, False, NOW - timedelta(days=1), "", "account page"),
    ]
    client.set_consents(shopper, said[:2])
    allowed = client.set_consents(shopper, said[2:])
    assert allowed[Purpose.ADVERTISING] == Permission(False, False)
    assert allowed[Purpose.RISK] == Permission(True, True)
    consents = client.get_consents(shopper)
    assert consents.permissions == allowed
    assert [each.consent for each in consents.records] == said
    assert all(each.recorded_at >= NOW for each in consents.records)


def test_a_time_to_come_does_not_hold_up_a_withdrawal(client: Client, shopper: str) -> None:
    client.set_consents(shopper, [Consent(Purpose.RISK, True, datetime.now(UTC) + timedelta(hours=20))])
    say(client, shopper, Purpose.RISK, False)
    assert not client.get_consents(shopper).permissions[Purpose.RISK].allowed


def test_demographics_are_shown_only_while_they_are_allowed(client: Client, shopper: str) -> None:
    record_lamps(client, shopper)
    assert reasons(client.get_profile(shopper))["demographics"] == "no_consent"
    with pytest.raises(FailedPreconditionError, match="demographics"):
        client.set_demographics(shopper, age=30)

    say(client, shopper, Purpose.DEMOGRAPHICS, True)
    assert reasons(client.get_profile(shopper))["demographics"] == "not_recorded"
    declared = client.set_demographics(shopper, age=30, gender="female", region="US-CA", source="account form")
    assert (declared.age_band, declared.gender, declared.region) == ("25-34", "female", "US-CA")
    profile = client.get_profile(shopper)
    assert profile.demographics == declared
    assert declared.source == "account form"
    assert declared.declared_at is not None
    assert declared.expires_at == declared.declared_at + timedelta(days=5 * 365.25)
    assert "demographics" not in reasons(profile)
    earlier = client.get_profile(shopper, as_of=declared.declared_at - timedelta(seconds=1))
    assert reasons(earlier)["demographics"] == "not_recorded"

    say(client, shopper, Purpose.DEMOGRAPHICS, False)
    profile = client.get_profile(shopper)
    assert (profile.demographics, reasons(profile)["demographics"]) == (None, "no_consent")
    say(client, shopper, Purpose.DEMOGRAPHICS, True)
    assert reasons(client.get_profile(shopper))["demographics"] == "not_recorded"  # erased


def test_risk_is_decided_on_only_where_it_is_allowed(client: Client, shopper: str) -> None:
    assert not financial_risk.is_risk_allowed(client, shopper)
    for granted in (True, False):
        say(client, shopper, Purpose.RISK, granted)
        assert financial_risk.is_risk_allowed(client, shopper) is granted


def test_what_is_declared_changes_nothing_but_itself(client: Client, shopper: str) -> None:
    record_lamps(client, shopper)
    fields = [name for name in Profile.__slots__ if name not in {"computed_at", "demographics", "absent"}]
    ask = {"as_of": datetime.now(UTC) + timedelta(hours=1)}

    def answers() -> list[object]:
        profile = client.get_profile(shopper, fields=[*fields, "demographics"], labels=["desk lamp"], **ask)
        return [
            [getattr(profile, name) for name in fields],
            client.recommend(shopper, **ask),
            client.recommend(shopper, query="lamp", **ask),
            client.rank(shopper, [Item("wool-rug-red")], **ask),
            client.explain_recommendation(shopper, "wool-rug-red", **ask),
            client.explain_profile(shopper, **ask),
        ]

    before = answers()
    say(client, shopper, Purpose.DEMOGRAPHICS, True)
    declared: list[dict[str, Any]] = [
        {"age": 20, "gender": "female", "region": "US-CA"},
        {"age": 70, "gender": "female", "region": "US-CA"},
        {"age": 70, "gender": "male", "region": "US-CA"},
        {"age": 70, "gender": "male", "region": "US-NY"},
    ]
    for each in declared:
        stored = client.set_demographics(shopper, **each)
        assert (stored.gender, stored.region) == (each["gender"], each["region"])
        for was, became in zip(before, answers(), strict=True):
            assert was == became, each


def test_without_personalisation_nothing_is_made_of_what_the_shopper_did(client: Client, shopper: str) -> None:
    record_lamps(client, shopper)
    query = {"query": "watering can", "k": 3}
    nobody = client.recommend([], k=5), client.recommend([], **query)
    assert client.recommend(shopper, k=5).event_count == len(LAMPS)
    say(client, shopper, Purpose.PERSONALISATION, False)
    popular, found = client.recommend(shopper, k=5), client.recommend(shopper, **query)
    assert popular.items[0].item.item_id == tiny_release.ITEMS[0].item_id
    for answer, unpersonal in zip((popular, found), nobody, strict=True):
        assert answer.event_count == 0
        assert [each.item.item_id for each in answer.items] == [each.item.item_id for each in unpersonal.items]
    assert client.rank(shopper, [Item("wool-rug-red")]).event_count == 0

    profile = client.get_profile(shopper, fields=[*Profile.__slots__], labels=["lamp"])
    told = {"shopper_id", "release", "as_of", "computed_at", "absent", "degraded", "event_count"}
    assert not any(getattr(profile, name) for name in Profile.__slots__ if name not in told)
    assert profile.event_count == 0
    assert set(reasons(profile).values()) == {"no_consent"}
    assert reasons(profile).keys() >= {"interests", "traits", "embedding", "label_interests", "summary", "demographics"}
    [batched] = client.batch_get_profiles([shopper])
    assert isinstance(batched, Profile)
    assert batched.interests == ()

    with pytest.raises(FailedPreconditionError, match=r"shopper\.shopper_id"):
        client.explain_profile(shopper)
    assert client.explain_recommendation(shopper, "desk-lamp-red").events == ()
    with pytest.raises(FailedPreconditionError, match=r"label_examples\[0\].shoppers\[0\].shopper_id"):
        client.get_profile([Event(EventType.VIEW, item_id="wool-rug-red")], label_examples={"alike": [shopper]})

    say(client, shopper, Purpose.PERSONALISATION, True)
    assert client.get_profile(shopper).event_count == len(LAMPS)


def test_what_is_declared_is_shown_without_personalisation(client: Client, shopper: str) -> None:
    said = [Consent(Purpose.PERSONALISATION, False), Consent(Purpose.DEMOGRAPHICS, True)]
    client.set_consents(shopper, said)
    declared = client.set_demographics(shopper, region="US-CA")
    assert client.get_profile(shopper).demographics == declared


def test_an_answer_about_others_forgets_who_withdraws(client: Client, shopper: str) -> None:
    record_lamps(client, shopper)
    visit, as_of = [Event(EventType.VIEW, item_id="wool-rug-red")], datetime.now(UTC)
    examples = {"alike": [shopper]}
    assert client.get_profile(visit, label_examples=examples, as_of=as_of).label_interests
    say(client, shopper, Purpose.PERSONALISATION, False)
    with pytest.raises(FailedPreconditionError):
        client.get_profile(visit, label_examples=examples, as_of=as_of)


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        ({"consents": [{"purpose": 99, "decision": 1}]}, "consents[0].purpose"),
        ({"consents": [{"decision": 1}]}, "consents[0].purpose"),
        ({"consents": [{"purpose": 1}]}, "consents[0].decision"),
        ({"consents": []}, "consents"),
        ({"consents": [{"purpose": 1, "decision": 1, "time": {"seconds": 2**33}}]}, "consents[0].time"),
        ({"consents": [{"purpose": 1, "decision": 1, "notice": "x" * 201}]}, "consents[0].notice"),
    ],
)
def test_what_is_no_consent_is_refused(gateway: RunningGateway, request_: dict[str, object], field: str) -> None:
    with grpc.insecure_channel(gateway.address) as channel, pytest.raises(grpc.RpcError) as raised:
        ConsentServiceStub(channel).SetConsents(SetConsentsRequest(shopper_id="ann", **request_))
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert raised.value.details().startswith(f"{field}: ")


@pytest.mark.parametrize("age", [-1, 131, 1990])
def test_an_age_that_nobody_has_is_refused(client: Client, shopper: str, age: int) -> None:
    with pytest.raises(InvalidRequestError) as raised:
        client.set_demographics(shopper, age=age)
    assert [each.field for each in raised.value.violations] == ["age"]


def test_refusals_are_counted_and_nothing_is_logged(gateway: RunningGateway, client: Client, shopper: str) -> None:
    record_lamps(client, shopper)
    said = [Consent(Purpose.PERSONALISATION, False, notice="a-notice"), Consent(Purpose.DEMOGRAPHICS, True)]
    client.set_consents(shopper, said)
    client.set_demographics(shopper, age=41, gender="a-gender", region="a-region", source="a-source")
    client.recommend(shopper)
    text = scrape(gateway)
    [count] = [line for line in text.splitlines() if line.startswith('portrait_consent_denied_total{purpose="pers')]
    assert float(count.split()[-1]) >= 1
    assert not [word for word in (shopper, "a-notice", "a-gender", "a-region", "a-source") if word in gateway.log_text]


def test_rules_can_be_set(repository: Path, tmp_path: Path, shopper: str) -> None:
    rules = ("--consent-personalisation", "granted", "--consent-demographics", "unless-withdrawn")
    with run_gateway(repository, tmp_path, *rules) as served, Client(served.address) as client:
        record_lamps(client, shopper)
        client.set_demographics(shopper, age=30)
        profile = client.get_profile(shopper)
        assert (profile.event_count, profile.demographics is not None) == (0, True)
        assert client.get_profile([Event(EventType.VIEW, item_id="wool-rug-red")]).event_count == 1
        say(client, shopper, Purpose.PERSONALISATION, True)
        assert client.get_profile(shopper).event_count == len(LAMPS)
