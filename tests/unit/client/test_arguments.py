"""Arguments of a wrong type or value are refused before anything is sent, by their names."""

import asyncio
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from portrait.client import (
    AsyncClient,
    Client,
    Consent,
    CustomerValueCriterion,
    Event,
    EventType,
    Filter,
    InterestCriterion,
    Item,
    LookAlike,
    Purpose,
    RegionCriterion,
    TraitCriterion,
    calls,
)

NOBODY = "127.0.0.1:1"
VIEW = Event(EventType.VIEW, item_id="a")
NAIVE = datetime(2026, 1, 1)

WRONG: list[tuple[Callable[[Any], Any], str]] = [
    (lambda c: c.get_profile(b"x"), "shopper takes a str or list of Event; a bytes was given"),
    (lambda c: c.get_profile(5), "shopper takes a str or list of Event; an int was given"),
    (lambda c: c.get_profile(None), "shopper takes a str or list of Event; a NoneType was given"),
    (lambda c: c.get_profile(VIEW), "shopper takes a str or list of Event; an Event was given"),
    (lambda c: c.get_profile({"a": 1}), "shopper takes a str or list of Event; a dict was given"),
    (lambda c: c.get_profile(["a", "b"]), "shopper[0] takes an Event; a str was given"),
    (lambda c: c.get_profile([VIEW, {"type": "view"}]), "shopper[1] takes an Event; a dict was given"),
    (lambda c: c.get_profile("x", as_of=NAIVE), "as_of takes a datetime with a time zone, as datetime.now(UTC)"),
    (lambda c: c.get_profile("x", as_of=date(2026, 1, 1)), "as_of takes a datetime; a date was given"),
    (lambda c: c.get_profile("x", as_of="2026-01-01"), "as_of takes a datetime; a str was given"),
    (lambda c: c.get_profile("x", fields="traits"), "fields takes a list of str; a str was given; put it in a list"),
    (lambda c: c.get_profile("x", labels="gifts"), "labels takes a list of str; a str was given; put it in a list"),
    (lambda c: c.get_profile("x", label_examples={"a": "b"}), "label_examples[a value] takes a list of"),
    (lambda c: c.get_profile("x", allow_degraded="no"), "allow_degraded takes a bool; a str was given"),
    (lambda c: c.get_profile("x", timeout="5"), "timeout takes a number; a str was given"),
    (lambda c: c.get_profile("x", request_id=7), "request_id takes a str; an int was given"),
    (lambda c: c.get_profile("x", metadata="a"), "metadata takes a dict of str to str or bytes or list of pair of"),
    (lambda c: c.get_profile("x", metadata=[("a-bin", "b")]), "metadata: a-bin takes bytes"),
    (lambda c: c.get_profile("x", qurey="lamp"), "there is no argument 'qurey'"),
    (lambda c: c.batch_get_profiles("abc"), "shoppers takes a list of str or list of Event; a str was given; put it"),
    (lambda c: c.batch_get_profiles(["a", 5]), "shoppers[1] takes a str or list of Event; an int was given"),
    (lambda c: c.recommend("x", k="5"), "k takes an int; a str was given"),
    (lambda c: c.recommend("x", k=5.0), "k takes an int; a float was given"),
    (lambda c: c.recommend("x", k=True), "k takes an int; a bool was given"),
    (lambda c: c.recommend("x", k=np.array([5])), "k takes an int; a ndarray was given"),
    (lambda c: c.recommend("x", query=b"lamp"), "query takes a str; a bytes was given"),
    (lambda c: c.recommend("x", filter={"brands": []}), "filter takes a Filter; a dict was given"),
    (
        lambda c: c.recommend("x", filter=Filter(brands="Acme")),
        "filter.brands takes a list of str; a str was given; pu",
    ),
    (lambda c: c.recommend("x", filter=Filter(categories=["Home"])), "filter.categories[0] takes a list of str; a str"),
    (lambda c: c.recommend("x", filter=Filter(max_price="9")), "filter.max_price takes a number; a str was given"),
    (lambda c: c.recommend("x", filter=Filter(exclude_item_ids=[7])), "filter.exclude_item_ids[0] takes a str; an int"),
    (lambda c: c.rank("x", "id"), "candidates takes a list of Item or str; a str was given; put it in a list"),
    (lambda c: c.rank("x", Item("id")), "candidates takes a list of Item or str; an Item was given"),
    (lambda c: c.rank("x", [b"id"]), "candidates[0] takes an Item or str; a bytes was given"),
    (lambda c: c.rank("x", np.array([1, 2])), "candidates[0] takes an Item or str; an int64 was given"),
    (
        lambda c: c.rank("x", [Item("a", category_path="Home")]),
        "candidates[0].category_path takes a list of str; a str",
    ),
    (lambda c: c.encode_texts("lamp"), "texts takes a list of str; a str was given; put it in a list"),
    (lambda c: c.encode_text_stream("lamp"), "texts takes a list of value; a str was given; put it in a list"),
    (lambda c: c.encode_texts([None]), "texts[0] takes a str; a NoneType was given"),
    (lambda c: c.explain_profile("x", interest="Home"), "interest takes a list of str; a str was given; put it"),
    (lambda c: c.explain_recommendation("x", Item("a")), "item_id takes a str; an Item was given"),
    (lambda c: c.upsert_items(["a"]), "items[0] takes an Item; a str was given"),
    (lambda c: c.upsert_items([Item("a", attributes={"size": 4})]), "items[0].attributes[a value] takes a str; an int"),
    (lambda c: c.delete_items("a"), "item_ids takes a list of str; a str was given; put it in a list"),
    (lambda c: c.get_item(["a"]), "item_id takes a str; a list was given"),
    (lambda c: c.estimate_audience(TraitCriterion("a")), "criteria takes a list of"),
    (lambda c: c.estimate_audience(["a"]), "criteria[0] takes an InterestCriterion or TraitCriterion or"),
    (
        lambda c: c.estimate_audience([InterestCriterion(categories=["Home"])]),
        "criteria[0].categories[0] takes a list of str; a",
    ),
    (
        lambda c: c.estimate_audience([CustomerValueCriterion(tiers="top")]),
        "criteria[0].tiers takes a list of str; a str was",
    ),
    (lambda c: c.estimate_audience([], look_alike=LookAlike("abc")), "look_alike.seed takes a list of str or list of"),
    (lambda c: c.estimate_audience([], look_alike=LookAlike(["a", RegionCriterion(["b"])])), "look_alike.seed["),
    (lambda c: c.set_consents("x", Consent(Purpose.RISK, True)), "consents takes a list of Consent; a Consent was"),
    (lambda c: c.set_consents("x", [Consent(Purpose.RISK, "no")]), "consents[0].granted takes a bool; a str was"),
    (lambda c: c.set_consents("x", [Consent(Purpose.RISK, True, NAIVE)]), "consents[0].time takes a datetime with a"),
    (lambda c: c.set_demographics("x", age="30"), "age takes an int; a str was given"),
    (lambda c: c.record_events("x"), "events takes a list of"),
    (lambda c: c.record_events(("x", VIEW)), "events[0] takes a pair of str and Event; a str was given"),
    (lambda c: c.record_events([VIEW]), "events[0] takes a pair of str and Event; an Event was given"),
    (lambda c: c.record_events([("x", VIEW), (VIEW, "x")]), "events[1][0] takes a str; an Event was given"),
    (lambda c: c.record_events([("x", Event(EventType.VIEW, time=NAIVE))]), "events[0][1].time takes a datetime with"),
    (lambda c: c.record_events([("x", Event(EventType.VIEW, price="9"))]), "events[0][1].price takes a number; a str"),
]
IMPOSSIBLE: list[tuple[Callable[[Any], Any], str]] = [
    (lambda c: c.record_events([("x", Event("look"))]), "events[0][1].type takes one of search, view, click"),  # type: ignore[arg-type]
    (lambda c: c.recommend("x", k=2**31), "k takes a whole number of at most 32 bits"),
    (lambda c: c.recommend("x", query="\udcff"), "query holds half a surrogate pair"),
    (lambda c: c.rank("x", ["a", "\ud800"]), "candidates[1] holds half a surrogate pair"),
    (lambda c: c.estimate_audience([CustomerValueCriterion(tiers=["best"])]), "tiers takes low, middle, high or top"),
    (
        lambda c: c.estimate_audience([CustomerValueCriterion(segments=["best"])]),
        "segments takes loyal, occasional, new, at_ri",
    ),
    (lambda c: c.get_profile("x", timeout=0), "timeout takes seconds, more than 0 and at most 31,536,000"),
    (lambda c: c.get_profile("x", timeout=float("nan")), "timeout takes seconds"),
    (lambda c: c.get_profile("x", timeout=-1), "timeout takes seconds"),
    (lambda c: c.get_profile("x", timeout=1e300), "timeout takes seconds"),
    (lambda c: c.get_profile("x", request_id="a b"), "request_id is 1 to 128 letters, digits, `._:-`"),
    (lambda c: c.get_profile("x", metadata={"X-Tenant": "a"}), "metadata: 'X-Tenant' is not a valid name"),
    (lambda c: c.get_profile("x", metadata={"grpc-timeout": "1S"}), "metadata: 'grpc-timeout' is not a valid name"),
    (lambda c: c.get_profile("x", metadata={"a": "ü"}), "metadata: a takes printable ASCII"),
    (lambda c: c.get_profile("x", metadata={"x-caller": "a"}), "metadata: x-caller is set by the argument caller"),
]


def call_sync(call: Callable[[Any], Any]) -> None:
    with Client(NOBODY, timeout=0.5) as client:
        call(client)


def call_async(call: Callable[[Any], Any]) -> None:
    async def run() -> None:
        async with AsyncClient(NOBODY, timeout=0.5) as client:
            await call(client)

    asyncio.run(run())


@pytest.mark.parametrize("run", [call_sync, call_async])
@pytest.mark.parametrize(("call", "told"), WRONG)
def test_a_wrong_type_is_told_by_the_argument(
    run: Callable[[Any], None], call: Callable[[Any], Any], told: str
) -> None:
    with pytest.raises(TypeError) as caught:
        run(call)
    assert str(caught.value).startswith(told)


@pytest.mark.parametrize("run", [call_sync, call_async])
@pytest.mark.parametrize(("call", "told"), IMPOSSIBLE)
def test_a_value_that_no_message_holds_is_told_by_the_argument(
    run: Callable[[Any], None], call: Callable[[Any], Any], told: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(told)):
        run(call)


def test_what_stands_for_a_list_or_a_number_is_taken() -> None:
    assert [
        each.item.item_id for each in calls.rank("x", ["a", Item("b")], "", "", None, False).request.candidates
    ] == [
        "a",
        "b",
    ]
    assert len(calls.rank("x", np.array(["a", "b"]), "", "", None, False).request.candidates) == 2  # type: ignore[arg-type]
    assert calls.recommend("x", "", "", np.int64(7), None, False, None, False, 0).request.k == 7  # type: ignore[arg-type]
    assert calls.delete_items((each for each in "ab"), "").request.item_ids == ["a", "b"]  # type: ignore[arg-type]
    assert set(calls.delete_items({"a", "b"}, "").request.item_ids) == {"a", "b"}  # type: ignore[arg-type]
    explained = calls.explain_profile("x", np.array(["Home", "Lamps"]), "", None)  # type: ignore[arg-type]
    assert explained.request.interest.names == ["Home", "Lamps"]
    priced = [Item("a", price=Decimal("9.5")), Item("b", price=np.float32(9.5)), Item("c", price=9)]  # type: ignore[arg-type]
    assert [each.price for each in calls.upsert_items(priced, "").request.items] == [9.5, 9.5, 9.0]
    [recorded] = calls.record_events([["x", Event("view", time=datetime.now(UTC))]])  # type: ignore[list-item, arg-type]
    assert recorded.request.events[0].shopper_id == "x"


@pytest.mark.parametrize(
    ("address", "kind", "told"),
    [
        ("http://localhost:50051", ValueError, "address takes host:port without http://: give localhost:50051"),
        ("HTTPS://gateway:443/", ValueError, "give gateway:443 and TLS (tls=Tls(), --tls)"),
        ("grpc://gateway:443", ValueError, "give gateway:443"),
        ("grpcs://gateway", ValueError, "give gateway and TLS (tls=Tls(), --tls)"),
        ("localhost:50051/", ValueError, "without a path: give localhost:50051"),
        ("localhost:99999", ValueError, "a port from 1 to 65535"),
        ("localhost:0", ValueError, "a port from 1 to 65535"),
        ("[::1]:port", ValueError, "a port from 1 to 65535"),
        ("localhost:", ValueError, "a port from 1 to 65535"),
        ("", ValueError, "it is empty or holds a space"),
        (" localhost:50051", ValueError, "it is empty or holds a space"),
        (50051, TypeError, "address takes a str; an int was given"),
        (("localhost", 50051), TypeError, "address takes a str; a tuple was given"),
    ],
)
def test_an_address_that_gRPC_would_misread_is_refused(address: Any, kind: type[Exception], told: str) -> None:  # noqa: N802
    for client in (Client, AsyncClient):
        with pytest.raises(kind) as caught:
            client(address)
        assert told in str(caught.value)


@pytest.mark.parametrize(
    "address",
    ["localhost:50051", "gateway", "127.0.0.1:1", "[::1]:50051", "::1", "unix:/run/portrait", "unix-abstract:portrait",
     "dns:localhost:1", "dns:///gateway:1", "dns://8.8.8.8/gateway:1", "ipv4:127.0.0.1:1,127.0.0.1:2", "ipv6:[::1]:1",
     "ipv6:%5B::1%5D:1", "unix:///run/portrait/", "xds:///gateway", "gateway.example:65535"],
)  # fmt: skip
def test_an_address_of_any_form_of_gRPC_is_taken(address: str) -> None:  # noqa: N802
    Client(address).close()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"tls": True}, "tls takes a Tls; a bool was given"),
        ({"caller": None}, "caller takes a str; a NoneType was given"),
        ({"timeout": "5"}, "timeout takes a number; a str was given"),
        ({"metadata": ["a"]}, "metadata[0] takes a pair of str and str or bytes; a str was given"),
        ({"channel_options": ["grpc.x"]}, "channel_options[0] takes a pair of str and str or int; a str was given"),
        ({"interceptors": [Path()]}, "interceptors[0] takes"),
        ({"interceptors": Path()}, "interceptors takes"),
    ],
)
def test_a_wrong_argument_of_a_client_is_told(arguments: dict[str, Any], told: str) -> None:
    for client in (Client, AsyncClient):
        with pytest.raises(TypeError) as caught:
            client(NOBODY, **arguments)
        assert str(caught.value).startswith(told)
