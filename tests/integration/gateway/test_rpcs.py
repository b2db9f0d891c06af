"""Every RPC of the contract, as its comments promise it."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import numpy as np
import pytest
from support import tiny_release
from support.gateway import Stubs

from portrait.v1 import event_pb2, item_pb2, shelf_pb2, shopper_pb2
from portrait.v1.catalogue_service_pb2 import DeleteItemsRequest, GetItemRequest, UpsertItemsRequest
from portrait.v1.event_service_pb2 import (
    RECORD_STATUS_ACCEPTED,
    RECORD_STATUS_DUPLICATE,
    RECORD_STATUS_REJECTED,
    RecordEventsRequest,
    RecordEventsResponse,
)
from portrait.v1.profile_pb2 import SESSION_STAGE_SEARCHING
from portrait.v1.profile_service_pb2 import BatchGetProfilesRequest, GetProfileRequest
from portrait.v1.recommendation_service_pb2 import GetShelfRequest, RankRequest, RecommendRequest

LAMPS = ("desk-lamp-red", "floor-lamp-red", "desk-lamp-blue")


def viewed(event_id: str, item_id: str, hours_ago: float = 1, **fields: Any) -> event_pb2.Event:
    time = datetime.now(UTC) - timedelta(hours=hours_ago)
    return event_pb2.Event(
        **{"event_id": event_id, "type": event_pb2.EVENT_TYPE_VIEW, "item_id": item_id, "time": time} | fields
    )


async def record(stubs: Stubs, shopper: str, *events: event_pb2.Event) -> RecordEventsResponse:
    sent = [{"shopper_id": shopper, "event": event} for event in events]
    return await stubs.events.RecordEvents(RecordEventsRequest(events=sent))


async def record_lamps(stubs: Stubs, shopper: str) -> None:
    events = [viewed(f"{shopper}-{n}", lamp, 10 - n, price=30.0 + n) for n, lamp in enumerate(LAMPS)]
    assert (await record(stubs, shopper, *events)).accepted == len(LAMPS)


def ref(shopper: str) -> shopper_pb2.ShopperRef:
    return shopper_pb2.ShopperRef(shopper_id=shopper)


async def test_each_event_is_accepted_known_or_rejected_by_itself(stubs: Stubs, shopper: str) -> None:
    first = viewed(f"{shopper}-1", "desk-lamp-red")
    bad = viewed(f"{shopper}-2", "desk-lamp-red", price=math.nan)
    answer = await record(stubs, shopper, first, first, bad, viewed(f"{shopper}-3", "wool-rug-red"))
    accepted, known, rejected = RECORD_STATUS_ACCEPTED, RECORD_STATUS_DUPLICATE, RECORD_STATUS_REJECTED
    assert [result.status for result in answer.results] == [accepted, known, rejected, accepted]
    assert (answer.accepted, answer.duplicates, answer.rejected) == (2, 1, 1)
    error = answer.results[2].error
    assert (error.code, error.field) == (3, "events[2].event.price")
    assert "sent NaN; the limit is 0 to 1e9, finite" in error.message
    again = await record(stubs, shopper, first)
    assert again.results[0].status == RECORD_STATUS_DUPLICATE


async def test_an_event_id_is_of_its_shopper_and_of_one_event(stubs: Stubs, shopper: str) -> None:
    seen, other_shopper = viewed("same-id", "desk-lamp-red", price=30.0), f"{shopper}-other"
    assert (await record(stubs, shopper, seen)).accepted == 1
    assert (await record(stubs, other_shopper, seen)).accepted == 1
    assert (await record(stubs, shopper, seen)).duplicates == 1
    cheaper = event_pb2.Event()
    cheaper.CopyFrom(seen)
    cheaper.price = 25.0
    answer = await record(stubs, shopper, viewed("another", "wool-rug-red"), cheaper)
    assert [result.status for result in answer.results] == [RECORD_STATUS_ACCEPTED, RECORD_STATUS_REJECTED]
    assert (answer.accepted, answer.duplicates, answer.rejected) == (1, 0, 1)
    error = answer.results[1].error
    assert (error.code, error.field) == (grpc.StatusCode.ALREADY_EXISTS.value[0], "events[1].event.event_id")
    assert "this shopper has another event of the same id" in error.message
    for name in (shopper, other_shopper):
        profile = (await stubs.profiles.GetProfile(GetProfileRequest(shopper=ref(name)))).profile
        assert profile.event_count == (2 if name == shopper else 1)


async def test_a_profile_says_what_the_events_say(stubs: Stubs, shopper: str) -> None:
    await record_lamps(stubs, shopper)
    profile = (await stubs.profiles.GetProfile(GetProfileRequest(shopper=ref(shopper)))).profile
    assert profile.shopper_id == shopper
    assert profile.event_count == len(LAMPS)
    assert profile.release == 1
    deepest = [interest for interest in profile.interests if list(interest.category_path) == ["Home", "Lamps"]]
    assert set(deepest[0].evidence_event_ids) == {f"{shopper}-{n}" for n in range(3)}
    assert "lamp" in {keyword.word.lower() for keyword in profile.keywords}
    assert profile.first_event_time.seconds < profile.last_event_time.seconds <= profile.computed_at.seconds
    assert not profile.HasField("embedding")


async def test_a_field_mask_picks_fields(stubs: Stubs, shopper: str) -> None:
    await record_lamps(stubs, shopper)
    request = GetProfileRequest(shopper=ref(shopper), fields={"paths": ["embedding", "event_count"]})
    profile = (await stubs.profiles.GetProfile(request)).profile
    assert {field.name for field, _ in profile.ListFields()} == {"embedding", "event_count"}
    vector = np.array(profile.embedding.values)
    assert len(vector) == tiny_release.DIMENSION
    assert float(np.linalg.norm(vector)) == pytest.approx(1.0, abs=1e-4)


async def test_every_part_of_a_profile_is_there_or_says_why_not(stubs: Stubs, shopper: str) -> None:
    bought = [
        viewed(f"{shopper}-{n}", LAMPS[n % 3], 24 * (60 - 6 * n), type=event_pb2.EVENT_TYPE_PURCHASE, price=13.0)
        for n in range(10)
    ]
    search = viewed(f"{shopper}-s", "", 0.2, type=event_pb2.EVENT_TYPE_SEARCH, query="green lamp")
    await record(stubs, shopper, *bought, search, viewed(f"{shopper}-v", "bedside-lamp-green", 0.1))
    profile = (await stubs.profiles.GetProfile(GetProfileRequest(shopper=ref(shopper)))).profile
    said = {field.name for field, _ in profile.ListFields()}
    assert {each.field for each in profile.absent} == {"aversions", "demographics"}
    assert said >= {
        *("interests", "keywords", "price_bands", "brands", "discount_sensitivity", "session", "recent_queries"),
        *("purchase_cycles", "customer_value", "activity_pattern", "summary", "absent"),
    }
    assert (profile.session.stage, profile.session.active) == (SESSION_STAGE_SEARCHING, True)
    assert [query.query for query in profile.recent_queries] == ["green lamp"]
    assert list(profile.purchase_cycles[0].category_path) == ["Home", "Lamps"]
    assert 0.5 < profile.purchase_cycles[0].due_probability < 1.0
    assert all(sentence.english and sentence.chinese for sentence in profile.summary)


async def test_a_refund_speaks_against_an_item_and_the_models_do_not_see_it(stubs: Stubs, shopper: str) -> None:
    bought = viewed(f"{shopper}-1", "wool-rug-red", 3, type=event_pb2.EVENT_TYPE_PURCHASE, price=30.0)
    await record(stubs, shopper, bought)
    request = GetProfileRequest(shopper=ref(shopper), fields={"paths": ["embedding", "interests", "aversions"]})
    before = (await stubs.profiles.GetProfile(request)).profile
    await record(
        stubs, shopper, viewed(f"{shopper}-2", "wool-rug-red", 1, type=event_pb2.EVENT_TYPE_REFUND, price=30.0)
    )
    after = (await stubs.profiles.GetProfile(request)).profile
    observed = [[each for each in profile.interests if not each.inferred] for profile in (before, after)]
    assert [bool(each) for each in observed] == [True, False]
    assert list(after.aversions[0].evidence_event_ids) == [f"{shopper}-2"]
    vectors = [np.array(profile.embedding.values) for profile in (before, after)]
    assert float(vectors[0] @ vectors[1]) == pytest.approx(1.0, abs=1e-3)


async def test_interests_by_words_and_by_example(stubs: Stubs, shopper: str) -> None:
    await record_lamps(stubs, shopper)
    likes = [viewed("", f"garden-spade-{colour}") for colour in ("red", "blue")]
    request = GetProfileRequest(
        shopper=ref(shopper),
        fields={"paths": ["label_interests"]},
        labels=["desk lamp", "garden spade"],
        label_examples=[
            {"label": "gardeners", "shoppers": [{"history": {"events": likes}}]},
            {"label": "the same", "shoppers": [ref(shopper)]},
        ],
    )
    profile = (await stubs.profiles.GetProfile(request)).profile
    assert {field.name for field, _ in profile.ListFields()} == {"label_interests"}
    lamp, spade, gardeners, same = profile.label_interests
    assert [each.label for each in profile.label_interests] == ["desk lamp", "garden spade", "gardeners", "the same"]
    assert [each.from_examples for each in profile.label_interests] == [False, False, True, True]
    assert lamp.score > 1.0 > spade.score
    assert same.score > gardeners.score
    assert same.percentile > 0.9
    assert set(lamp.evidence_event_ids) <= {f"{shopper}-{n}" for n in range(3)}
    assert lamp.evidence_event_ids


async def test_an_example_that_nothing_is_known_of_is_named(stubs: Stubs, shopper: str) -> None:
    await record_lamps(stubs, shopper)
    examples = [{"label": "gardeners", "shoppers": [ref(shopper), ref("nobody")]}]
    request = GetProfileRequest(shopper=ref(shopper), label_examples=examples)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await stubs.profiles.GetProfile(request)
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND
    assert "label_examples[0].shoppers[1].shopper_id" in str(raised.value.details())


async def test_as_of_hides_later_events(stubs: Stubs, shopper: str) -> None:
    await record_lamps(stubs, shopper)
    moment = datetime.now(UTC) - timedelta(hours=8.5)
    request = GetProfileRequest(shopper=ref(shopper), as_of=moment)
    profile = (await stubs.profiles.GetProfile(request)).profile
    assert profile.event_count == 2
    assert profile.as_of.ToDatetime(UTC) == moment


async def test_an_event_of_a_clock_that_runs_ahead_counts_at_once(stubs: Stubs, shopper: str) -> None:
    await record(stubs, shopper, viewed(f"{shopper}-1", "wool-rug-red", hours_ago=-0.1))
    profile = (await stubs.profiles.GetProfile(GetProfileRequest(shopper=ref(shopper)))).profile
    assert profile.event_count == 1


async def test_an_inline_history_is_ordered_by_time_and_stored_nowhere(stubs: Stubs) -> None:
    events = [
        viewed("", "wool-rug-red", 1),
        event_pb2.Event(type=event_pb2.EVENT_TYPE_SEARCH, query="台灯 🛋"),
        viewed("", "desk-lamp-red", 2),
    ]
    request = GetProfileRequest(shopper={"history": {"events": events}})
    profile = (await stubs.profiles.GetProfile(request)).profile
    assert (profile.shopper_id, profile.event_count) == ("", 3)
    cited = {each for interest in profile.interests for each in interest.evidence_event_ids}
    assert cited == {"events[0]", "events[2]"}


async def test_a_batch_serves_each_shopper_or_says_why_not(stubs: Stubs, shopper: str) -> None:
    await record_lamps(stubs, shopper)
    request = BatchGetProfilesRequest(shoppers=[ref(shopper), ref("nobody"), shopper_pb2.ShopperRef(), ref(shopper)])
    results = (await stubs.profiles.BatchGetProfiles(request)).results
    assert [result.WhichOneof("result") for result in results] == ["profile", "error", "error", "profile"]
    assert results[0].profile.event_count == len(LAMPS)
    assert (results[1].error.code, results[1].error.field) == (5, "shoppers[1].shopper_id")
    assert (results[2].error.code, results[2].error.field) == (3, "shoppers[2]")


async def test_recommendations_are_personal(stubs: Stubs, shopper: str) -> None:
    await record_lamps(stubs, shopper)
    request = RecommendRequest(shopper=ref(shopper), catalogue="products", exclude_seen=True)
    answer = await stubs.recommendations.Recommend(request)
    assert (answer.release, answer.event_count, len(answer.items)) == (1, 3, 10)
    assert not {ranked.item.item_id for ranked in answer.items} & set(LAMPS)
    scores = [ranked.score for ranked in answer.items]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= ranked.click_probability <= 1 for ranked in answer.items)
    popular = await stubs.recommendations.Recommend(RecommendRequest(shopper=ref("nobody")))
    assert [ranked.item.item_id for ranked in popular.items] != [ranked.item.item_id for ranked in answer.items]


async def test_a_shelf_tells_why_each_item_is_there(stubs: Stubs, shopper: str) -> None:
    await record_lamps(stubs, shopper)
    request = GetShelfRequest(shopper=ref(shopper), kind=shelf_pb2.SHELF_KIND_RECENTLY_VIEWED, k=2)
    answer = await stubs.recommendations.GetShelf(request)
    assert (answer.release, answer.event_count, len(answer.items)) == (1, len(LAMPS), 2)
    for shown in answer.items:
        assert [field.name for field, _ in shown.evidence.ListFields()] == ["views"]
        assert shown.evidence.views.view_count == 1
        assert shown.item.item_id in LAMPS
    cart = GetShelfRequest(
        shopper=ref("nobody"), kind=shelf_pb2.SHELF_KIND_FREQUENTLY_BOUGHT_TOGETHER, item_ids=["desk-lamp-red"]
    )
    together = await stubs.recommendations.GetShelf(cart)
    assert [(each.evidence.pair.together, each.evidence.pair.confidence) for each in together.items] == [
        (20, 0.5), (10, 0.25)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({}, "INVALID_ARGUMENT", "kind"),
        ({"kind": shelf_pb2.SHELF_KIND_SIMILAR_ITEMS}, "INVALID_ARGUMENT", "item_ids"),
        ({"kind": shelf_pb2.SHELF_KIND_TRENDING, "item_ids": ["desk-lamp-red"]}, "INVALID_ARGUMENT", "item_ids"),
        ({"kind": shelf_pb2.SHELF_KIND_BUY_AGAIN, "exclude_seen": True}, "INVALID_ARGUMENT", "exclude_seen"),
        ({"kind": shelf_pb2.SHELF_KIND_SIMILAR_ITEMS, "item_ids": ["unheard-of"]}, "NOT_FOUND", "item_ids"),
        ({"kind": shelf_pb2.SHELF_KIND_TRENDING, "catalogue": "none"}, "NOT_FOUND", "catalogue"),
    ],
    ids=str,
)
async def test_a_shelf_that_can_not_be_names_the_field(
    stubs: Stubs, fields: dict[str, Any], code: str, field: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError, match=field) as caught:
        await stubs.recommendations.GetShelf(GetShelfRequest(shopper=ref("nobody"), **fields))
    assert caught.value.code().name == code


async def test_nobody_in_particular_gets_what_is_popular_or_fits_the_query(stubs: Stubs) -> None:
    for unknown in (ref("nobody"), shopper_pb2.ShopperRef(history=shopper_pb2.History())):
        popular = await stubs.recommendations.Recommend(RecommendRequest(shopper=unknown, k=5))
        assert (len(popular.items), popular.event_count) == (5, 0)
        assert popular.items[0].item.item_id == tiny_release.ITEMS[0].item_id
        asked = await stubs.recommendations.Recommend(RecommendRequest(shopper=unknown, query="watering can", k=3))
        assert asked.event_count == 0
        assert "watering-can" in asked.items[0].item.item_id


async def test_filters_hold(stubs: Stubs) -> None:
    request = RecommendRequest(
        shopper=ref("nobody"),
        k=1000,
        filter={
            "categories": [{"names": ["Home"]}],
            "max_price": 40,
            "exclude_item_ids": ["desk-lamp-red"],
            "brands": ["acme"],
        },
    )
    items = [ranked.item for ranked in (await stubs.recommendations.Recommend(request)).items]
    wanted = {
        item.item_id
        for item in tiny_release.ITEMS
        if item.category_path[:1] == ("Home",) and item.price and item.price <= 40 and item.brand == "Acme"
    } - {"desk-lamp-red"}
    assert {item.item_id for item in items} == wanted


async def test_candidates_come_back_in_order_and_all_of_them(stubs: Stubs, shopper: str) -> None:
    await record_lamps(stubs, shopper)
    sent = [
        {"item": {"item_id": "unheard-of"}},
        {"item": {"item_id": "grill-pan-green"}},
        {"item": {"item_id": "new", "title": "Red desk lamp"}},
        {"item": {"item_id": "desk-lamp-red"}},
    ]
    answer = await stubs.recommendations.Rank(RankRequest(shopper=ref(shopper), candidates=sent))
    order = [ranked.item.item_id for ranked in answer.items]
    assert sorted(order) == sorted(each["item"]["item_id"] for each in sent)
    assert order[-1] == "unheard-of"
    assert (answer.items[-1].score, answer.items[-1].click_probability) == (0.0, 0.0)
    assert order.index("desk-lamp-red") < order.index("grill-pan-green")
    asked = RankRequest(shopper=ref(shopper), candidates=sent, query="grill pan green")
    assert (await stubs.recommendations.Rank(asked)).items[0].item.item_id == "grill-pan-green"


async def test_items_come_are_replaced_and_go(stubs: Stubs) -> None:
    item = item_pb2.Item(item_id="h1", title="How do I return a lamp?", attributes={"语言": "English"}, price=0)
    bad = item_pb2.Item(item_id="h2", title="x" * 50_000)
    answer = await stubs.catalogue.UpsertItems(UpsertItemsRequest(catalogue="help", items=[item, bad]))
    assert answer.stored == 1
    [error] = answer.errors
    assert (error.index, error.error.code, error.error.field) == (1, 3, "items[1].title")
    assert "sent 50000 characters; the limit is 1 to 1000 characters" in error.error.message
    got = await stubs.catalogue.GetItem(GetItemRequest(catalogue="help", item_id="h1"))
    assert got.item == item
    found = await stubs.recommendations.Recommend(
        RecommendRequest(shopper=ref("nobody"), catalogue="help", query="return")
    )
    assert [ranked.item.item_id for ranked in found.items] == ["h1"]

    item.title = "Returns"
    await stubs.catalogue.UpsertItems(UpsertItemsRequest(catalogue="help", items=[item, item]))
    assert (await stubs.catalogue.GetItem(GetItemRequest(catalogue="help", item_id="h1"))).item.title == "Returns"

    request = DeleteItemsRequest(catalogue="help", item_ids=["h1", "h1", "unheard-of"])
    assert (await stubs.catalogue.DeleteItems(request)).deleted == 1
    assert (await stubs.catalogue.DeleteItems(request)).deleted == 0
    with pytest.raises(grpc.aio.AioRpcError) as error_info:
        await stubs.catalogue.GetItem(GetItemRequest(catalogue="help", item_id="h1"))
    assert error_info.value.code() is grpc.StatusCode.NOT_FOUND


async def test_traits_are_served_to_who_asks_for_them(stubs: Stubs, shopper: str) -> None:
    await record_lamps(stubs, shopper)
    plain = (await stubs.profiles.GetProfile(GetProfileRequest(shopper=ref(shopper)))).profile
    assert not plain.traits
    asked = GetProfileRequest(shopper=ref(shopper), fields={"paths": ["traits"]})
    lapses, rare, buys = (await stubs.profiles.GetProfile(asked)).profile.traits
    assert lapses.probability + buys.probability == pytest.approx(1.0)
    assert (lapses.name, lapses.horizon.ToTimedelta(), lapses.auc) == ("lapses", timedelta(days=30), 0.75)
    assert (rare.HasField("probability"), rare.HasField("auc"), rare.absent_reason) == (False, False, "too few")
