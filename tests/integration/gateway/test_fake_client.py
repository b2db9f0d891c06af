"""The fakes for callers' tests answer as a real gateway does: the same types, errors and counts to the same calls."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from support.gateway import RunningGateway

from portrait.client import (
    Client,
    Consent,
    Event,
    EventType,
    Filter,
    Item,
    PortraitError,
    Purpose,
)
from portrait.client.testing import FakeClient

NOW = datetime.now(UTC)
ITEMS = [Item("lamp", "Desk lamp", ("Home", "Lamps"), "Acme", {"colour": "red"}, 20.0), Item("rug", "Wool rug")]

SCENARIO: list[Callable[[Client, str], Any]] = [
    lambda c, who: c.upsert_items(ITEMS, catalogue=who).stored,
    lambda c, who: c.record_events([(who, Event(EventType.VIEW, f"{who}-1", NOW, "lamp")) for _ in range(2)]),
    lambda c, who: c.get_item("lamp", catalogue=who),
    lambda c, who: c.get_item("lamp", catalogue=f"{who}-2"),
    lambda c, who: c.get_item("nothing", catalogue=who),
    lambda c, who: c.delete_items(["rug", "nothing"], catalogue=who),
    lambda c, who: c.get_profile(who).event_count,
    lambda c, who: c.get_profile(who).last_event_time,
    lambda c, who: c.get_profile(who, fields=["event_count"]).interests,
    lambda c, who: c.get_profile(who).embedding,
    lambda c, who: c.get_profile(f"{who}-2"),
    lambda c, who: c.get_profile([Event(EventType.VIEW, "1", NOW, "lamp")]).shopper_id,
    lambda c, who: [type(each) for each in c.batch_get_profiles([who, f"{who}-2"])],
    lambda c, who: c.recommend(who, k=-1),
    lambda c, who: c.recommend(who, k=2_000),
    lambda c, who: c.recommend(who, k=1).event_count,
    lambda c, who: c.recommend(f"{who}-2", k=1).event_count,
    lambda c, who: c.recommend(who, catalogue=f"{who}-2"),
    lambda c, who: c.recommend(who, catalogue=who, query="desk lamp", filter=Filter(brands=["Acme"])).items[0].item,
    lambda c, who: c.rank(who, ["a", Item("b", "B")]).event_count,
    lambda c, who: sorted(each.item.item_id for each in c.rank(who, ["a", Item("b", "B")]).items),
    lambda c, who: len(c.encode_texts(["a", "b"]).vectors),
    lambda c, who: [len(part.vectors) for part in c.encode_text_stream(map(str, range(130)))],
    lambda c, who: list(c.encode_text_stream([])),
    lambda c, who: c.explain_recommendation(who, "nothing"),
    lambda c, who: c.explain_profile(who, trait="no such trait"),
    lambda c, who: c.explain_profile(f"{who}-2"),
    lambda c, who: c.set_demographics(who, age=30),
    lambda c, who: c.set_consents(who, [Consent(Purpose.DEMOGRAPHICS, True)]),
    lambda c, who: c.set_demographics(who, age=30, region="US-CA").age_band,
    lambda c, who: c.get_profile(who).demographics is not None,
    lambda c, who: [(each.consent.purpose, each.consent.granted) for each in c.get_consents(who).records],
    lambda c, who: c.get_consents(f"{who}-2").permissions,
    lambda c, who: c.forget_shopper(who).event_count,
    lambda c, who: c.forget_shopper(who).event_count,
    lambda c, who: c.get_profile(who),
]


def outcome(step: Callable[[Client, str], Any], client: Client, shopper: str) -> object:
    """The answer of a call; or its error, the fields at fault, and the field that the message begins with."""
    try:
        return step(client, shopper)
    except PortraitError as error:
        return type(error), [each.field for each in error.violations], error.message.partition(":")[0]


def test_a_fake_answers_as_a_gateway_does(gateway: RunningGateway) -> None:
    shopper = f"shopper-{uuid4().hex}"
    with Client(gateway.address) as real, FakeClient() as fake:
        for place, step in enumerate(SCENARIO):
            assert outcome(step, fake, shopper) == outcome(step, real, shopper), f"step {place}"


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("get_profile", {"shopper": [Event(EventType.VIEW, "1", NOW, "desk-lamp-red")], "fields": ["embedding"]}),
        ("recommend", {"shopper": "nobody", "k": 3}),
        ("batch_get_profiles", {"shoppers": ["nobody"]}),
        ("get_consents", {"shopper_id": "nobody"}),
    ],
)
def test_what_a_gateway_answers_can_be_given_to_a_fake(
    gateway: RunningGateway, method: str, arguments: dict[str, Any]
) -> None:
    with Client(gateway.address) as real, FakeClient() as fake:
        answer = getattr(real, method)(**arguments)
        fake.gateway.set_answer(method, answer)
        assert getattr(fake, method)(**arguments) is answer
