"""Purposes that callers state, against a real gateway: a read needs the shopper's consent to each of them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from support.gateway import RunningGateway

from portrait.client import (
    Client,
    Consent,
    Event,
    EventType,
    FailedPreconditionError,
    InvalidRequestError,
    Profile,
    Purpose,
    ShelfKind,
)

LAMP = "desk-lamp-red"
ADVERTISING = {"x-purpose": "advertising"}
RISK = {"x-purpose": "risk"}
NOTHING: dict[str, str] = {}
BOTH = [("x-purpose", "risk"), ("x-purpose", "personalisation")]


@pytest.fixture
def client(gateway: RunningGateway) -> Iterator[Client]:
    with Client(gateway.address) as client:
        yield client


@pytest.fixture
def viewer(client: Client, shopper: str) -> str:
    """A shopper who looked at a lamp, and grants `risk` but not `advertising`."""
    client.record_events([(shopper, Event(EventType.VIEW, "v", datetime.now(UTC) - timedelta(hours=1), LAMP))])
    client.set_consents(shopper, [Consent(Purpose.RISK, granted=True), Consent(Purpose.DEMOGRAPHICS, granted=True)])
    client.set_demographics(shopper, age=30)
    return shopper


def test_a_profile_says_which_purpose_is_not_allowed(client: Client, viewer: str) -> None:
    for _ in range(2):  # the second time from the cache
        for metadata in (NOTHING, RISK, BOTH):
            profile = client.get_profile(viewer, metadata=metadata)
            assert (profile.event_count, profile.demographics is None) == (1, False)
        denied = client.get_profile(viewer, metadata=ADVERTISING)
        assert (denied.event_count, denied.demographics, denied.interests) == (0, None, ())
        assert {each.reason for each in denied.absent} == {"no_consent"}
        assert all("`advertising`" in each.explanation for each in denied.absent)
    [entry] = client.batch_get_profiles([viewer], metadata=ADVERTISING)
    assert isinstance(entry, Profile)
    assert {each.reason for each in entry.absent} == {"no_consent"}
    client.set_consents(viewer, [Consent(Purpose.ADVERTISING, granted=True)])
    assert client.get_profile(viewer, metadata=ADVERTISING).event_count == 1


def test_a_recommendation_uses_no_event(client: Client, viewer: str) -> None:
    for metadata, events in ((NOTHING, 1), (RISK, 1), (ADVERTISING, 0), (BOTH, 1)):
        assert client.recommend(viewer, metadata=metadata).event_count == events
        assert client.rank(viewer, [LAMP], metadata=metadata).event_count == events
        assert client.explain_recommendation(viewer, LAMP, metadata=metadata).event_count == events
        assert client.get_shelf(viewer, ShelfKind.RECENTLY_VIEWED, metadata=metadata).event_count == events
    assert client.recommend([Event(EventType.VIEW, item_id=LAMP)], metadata=ADVERTISING).event_count == 1


def test_what_is_refused_today_is_refused(client: Client, viewer: str) -> None:
    interest = ("Home", "Lamps")
    assert client.explain_profile(viewer, interest=interest, metadata=RISK).event_count == 1
    with pytest.raises(FailedPreconditionError, match="does not allow the purpose `advertising`"):
        client.explain_profile(viewer, interest=interest, metadata=ADVERTISING)
    with pytest.raises(FailedPreconditionError, match="does not allow the purpose `advertising`"):
        client.get_profile([], label_examples={"lamps": [viewer]}, metadata=ADVERTISING)


def test_a_stated_purpose_allows_nothing_by_itself(client: Client, viewer: str) -> None:
    client.set_consents(viewer, [Consent(Purpose.PERSONALISATION, granted=False)])
    for metadata in (NOTHING, RISK, BOTH):
        profile = client.get_profile(viewer, metadata=metadata)
        assert profile.event_count == 0
        assert any("`personalisation`" in each.explanation for each in profile.absent)


def test_rights_and_consents_are_answered_for_any_purpose(client: Client, viewer: str) -> None:
    assert client.get_consents(viewer, metadata=ADVERTISING).permissions[Purpose.RISK].allowed
    assert not client.get_consents(viewer, metadata=ADVERTISING).permissions[Purpose.ADVERTISING].allowed
    assert client.set_demographics(viewer, age=31, metadata=ADVERTISING).age_band == "25-34"
    assert client.forget_shopper(viewer, metadata=ADVERTISING).event_count == 1


def test_the_log_has_the_purposes(gateway: RunningGateway, client: Client, viewer: str) -> None:
    client.get_profile(viewer, metadata=BOTH, request_id=f"purposes-{viewer}")
    assert gateway.line("rpc", request_id=f"purposes-{viewer}")["purposes"] == ["personalisation", "risk"]


def test_an_unknown_purpose_is_told_with_the_limit(client: Client) -> None:
    with pytest.raises(InvalidRequestError, match="x-purpose: metadata; the limit is personalisation, advertising"):
        client.get_item(LAMP, metadata={"x-purpose": "Advertising"})
