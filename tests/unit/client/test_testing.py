"""The fakes for callers' tests: the surface of the clients, typed errors, and answers that a test can rely on."""

import inspect
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest

from portrait.client import (
    AsyncClient,
    AudiencePage,
    Client,
    Consent,
    Event,
    EventType,
    FailedPreconditionError,
    Filter,
    InvalidRequestError,
    Item,
    NotFoundError,
    Purpose,
    RankedItem,
    Ranking,
    TraitCriterion,
    UnavailableError,
)
from portrait.client.testing import FakeAsyncClient, FakeClient

DAY = datetime(2025, 12, 1, tzinfo=UTC)
ITEMS = [
    Item("rug", "Wool rug", ("Home", "Rugs"), "Acme", price=90.0),
    Item("lamp", "Desk lamp", ("Home", "Lamps"), price=20.0),
    Item("chair", "Oak chair", ("Home", "Chairs"), "Oak", price=50.0),
]


@pytest.fixture
def fake() -> FakeClient:
    fake = FakeClient()
    fake.upsert_items(ITEMS)
    fake.record_events(
        [("ann", Event(EventType.VIEW, "1", DAY, "lamp")), ("ann", Event(EventType.VIEW, "2", DAY, "rug"))]
    )
    return fake


@pytest.mark.parametrize(("fake", "real"), [(FakeClient, Client), (FakeAsyncClient, AsyncClient)])
def test_a_fake_has_the_surface_of_its_client(fake: type, real: type) -> None:
    """A signature that is overridden, or a method that the gateway of the fakes can't answer, fails here."""

    def surface(client: type) -> dict[str, inspect.Signature]:
        members = {name: getattr(client, name) for name in dir(client) if name == "__init__" or name[0] != "_"}
        return {name: inspect.signature(member) for name, member in members.items() if callable(member)}

    assert surface(fake) == surface(real)
    assert issubclass(fake, real)


def test_what_is_told_is_known(fake: FakeClient) -> None:
    again = fake.record_events([("ann", Event(EventType.VIEW, "1", DAY, "lamp"))])
    assert (again.accepted, again.duplicates) == (0, 1)
    profile = fake.get_profile("ann")
    assert (profile.event_count, profile.interests[0].category_path, profile.embedding) == (2, ("Home",), None)
    assert len(fake.get_profile("ann", fields=["embedding"]).embedding or ()) == 8
    known, unknown = fake.batch_get_profiles(["ann", "bob"])
    assert known == profile
    assert getattr(unknown, "code", None) == 5
    assert fake.get_item("rug") == ITEMS[0]
    assert (fake.delete_items(["rug", "nothing"]), fake.delete_items(["rug"])) == (1, 0)
    assert fake.forget_shopper("ann").event_count == 2
    with pytest.raises(NotFoundError):
        fake.get_profile("ann")


def test_recommendations_follow_query_filter_and_history(fake: FakeClient) -> None:
    def ids(*asked: Any, **options: Any) -> list[str]:
        return [each.item.item_id for each in fake.recommend(*asked, **options).items]

    assert ids("nobody") == ["rug", "lamp", "chair"]
    assert ids("nobody", query="oak chair", k=1) == ["chair"]
    assert ids("ann", exclude_seen=True) == ["chair"]
    assert ids("nobody", filter=Filter(brands=["Acme", "Oak"], max_price=60)) == ["chair"]
    assert ids("nobody", filter=Filter([["Home", "Lamps"]])) == ["lamp"]
    assert ids("nobody", filter=Filter(exclude_item_ids=["rug"])) == ["lamp", "chair"]
    assert [
        each.item.item_id for each in fake.rank("nobody", ["chair", Item("new", "A lamp")], query="lamp").items
    ] == [
        "new",
        "chair",
    ]


def test_every_other_method_answers(fake: FakeClient) -> None:
    assert fake.encode_texts(["a", "b"]).vectors[0] == fake.encode_texts(["a"]).vectors[0]
    assert next(fake.encode_text_stream(iter(["a"]))).vectors == fake.encode_texts(["a"]).vectors
    with pytest.raises(TypeError, match=r"texts\[1\] takes a str; an int was given"):
        list(fake.encode_text_stream(["a", 5]))  # type: ignore[list-item]
    assert fake.explain_recommendation("ann", "lamp", query="lamp").words[1].effect == 1.0
    assert fake.explain_profile("ann", interest=["Home"]).weight == 1.0
    fake.record_events([("bob", Event(EventType.VIEW, "1", DAY, "rug"))])
    pages = list(fake.find_audience([TraitCriterion("buys")], page_size=1))
    assert [member.shopper_id for page in pages for member in page.members] == ["ann", "bob"]
    assert [page.next_page_token for page in pages] == ["ann", ""]
    assert fake.estimate_audience([TraitCriterion("buys")]).estimated_size == 2
    with pytest.raises(FailedPreconditionError):
        fake.set_demographics("ann", age=30)
    assert fake.set_consents("ann", [Consent(Purpose.DEMOGRAPHICS, True)])[Purpose.DEMOGRAPHICS].allowed
    assert fake.set_demographics("ann", age=30).age_band == "25-34"
    assert fake.get_profile("ann").demographics == fake.set_demographics("ann", age=34)
    assert len(fake.get_consents("ann").records) == 1
    [part] = fake.export_shopper("ann")
    assert (len(part.consents), part.demographics) == (1, fake.set_demographics("ann", age=30))
    assert [event.item_id for event in part.events] == ["lamp", "rug"]
    fake.link_shoppers("ann", "web", source="login")
    joined = fake.join_household("home", "ann", source="account")
    assert (fake.get_household("home"), fake.get_identity("web").household) == ((joined.household,), joined.household)
    assert fake.leave_household("home", "ann").household is None
    page = fake.list_events("web", types=[part.events[0].type], page_size=1)
    assert [(shopper_id, event.item_id) for shopper_id, event in page.events] == [("ann", "lamp")]


def test_calls_are_written_down_with_their_arguments(fake: FakeClient) -> None:
    fake.recommend("ann", query="lamp", k=3, request_id="checkout-17", metadata={"x-tenant": "shop"}, timeout=1.5)
    call = fake.gateway.calls[-1]
    assert (call.method, call.arguments["shopper"], call.arguments["query"], call.arguments["k"]) == (
        "recommend", "ann", "lamp", 3,
    )  # fmt: skip
    assert (call.options.timeout, call.options.request_id) == (1.5, "checkout-17")
    assert ("x-tenant", "shop") in call.options.metadata


def test_a_test_says_what_is_answered(fake: FakeClient) -> None:
    canned = Ranking((RankedItem(ITEMS[1], 1.0, 0.5, 0.1),), 7, 3)
    fake.gateway.set_answer("recommend", canned)
    assert fake.recommend("ann") is canned

    def by_query(arguments: Mapping[str, Any]) -> Ranking:
        return Ranking((), 8, len(arguments["query"]))

    fake.gateway.set_answer("recommend", by_query)
    assert fake.recommend("ann", query="lamp").event_count == 4
    fake.gateway.set_answer("recommend", UnavailableError(grpc.StatusCode.UNAVAILABLE, "down", retry_after=2.0))
    with pytest.raises(UnavailableError, match="down") as caught:
        fake.recommend("ann", request_id="checkout-17")
    assert (caught.value.retry_after, caught.value.request_id) == (2.0, "checkout-17")
    pages: list[AudiencePage] = []
    fake.gateway.set_answer("find_audience", pages)
    assert list(fake.find_audience([TraitCriterion("buys")])) == []
    with pytest.raises(ValueError, match="no method 'recomend'"):
        fake.gateway.set_answer("recomend", canned)
    with pytest.raises(TypeError, match="an answer of get_profile is a Profile; a Ranking was given"):
        fake.gateway.set_answer("get_profile", canned)


def test_what_the_client_refuses_the_fake_refuses(fake: FakeClient) -> None:
    with pytest.raises(TypeError, match="candidates takes a list of Item or str"):
        fake.rank("ann", "lamp")
    with pytest.raises(TypeError, match="there is no argument 'qurey'"):
        fake.recommend("ann", qurey="lamp")  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="address takes host:port"):
        FakeClient("http://localhost:50051")
    with pytest.raises(InvalidRequestError) as caught:
        fake.recommend("ann", k=-1)
    assert caught.value.violations[0].field == "k"
    for catalogue in ("", "nothing"):
        with pytest.raises(NotFoundError):
            fake.get_item("no such item", catalogue=catalogue)


async def test_the_asynchronous_fake_shares_a_gateway(fake: FakeClient) -> None:
    async with FakeAsyncClient() as other:
        other.gateway = fake.gateway
        assert (await other.get_profile("ann")).event_count == 2
        assert [page.members[0].shopper_id async for page in other.find_audience([TraitCriterion("buys")])] == ["ann"]
        with pytest.raises(NotFoundError):
            await other.get_profile("bob")
