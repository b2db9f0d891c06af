"""Wrong requests: each gets a clear status that names the field, and the gateway goes on serving."""

import math
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from support.gateway import RunningGateway, Stubs

from portrait.features.histories.history_arrays import MAX_REMEMBERED_EVENTS
from portrait.v1 import event_pb2, shopper_pb2
from portrait.v1.catalogue_service_pb2 import DeleteItemsRequest, GetItemRequest, UpsertItemsRequest
from portrait.v1.event_service_pb2 import RecordEventsRequest
from portrait.v1.profile_service_pb2 import BatchGetProfilesRequest, GetProfileRequest
from portrait.v1.recommendation_service_pb2 import RankRequest, RecommendRequest
from portrait.v1.text_service_pb2 import EncodeTextsRequest

NOBODY = shopper_pb2.ShopperRef(shopper_id="nobody")
LAMP = {"item": {"item_id": "desk-lamp-red"}}


@pytest.fixture(autouse=True)
async def _goes_on_serving(stubs: Stubs) -> AsyncIterator[None]:
    yield
    assert len((await stubs.recommendations.Recommend(RecommendRequest(shopper=NOBODY))).items) == 10


async def refused(call: Awaitable[Any], code: grpc.StatusCode) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    assert raised.value.code() is code, raised.value
    return raised.value


def details(error: grpc.aio.AioRpcError, kind: type[Any]) -> Any:
    """The detail of a kind that the status carries."""
    status = rpc_status.from_call(error)
    assert status is not None
    [packed] = [detail for detail in status.details if detail.Is(kind.DESCRIPTOR)]
    message = kind()
    packed.Unpack(message)
    return message


async def fields_refused(call: Awaitable[Any]) -> list[str]:
    error = await refused(call, grpc.StatusCode.INVALID_ARGUMENT)
    assert details(error, error_details_pb2.ErrorInfo).reason == "FIELD_INVALID"
    return [each.field for each in details(error, error_details_pb2.BadRequest).field_violations]


def viewed(**fields: Any) -> event_pb2.Event:
    return event_pb2.Event(**{"type": event_pb2.EVENT_TYPE_VIEW, "item_id": "desk-lamp-red"} | fields)


def with_history(*events: event_pb2.Event) -> shopper_pb2.ShopperRef:
    return shopper_pb2.ShopperRef(history={"events": events})


async def test_an_unknown_shopper_has_no_profile(stubs: Stubs) -> None:
    error = await refused(stubs.profiles.GetProfile(GetProfileRequest(shopper=NOBODY)), grpc.StatusCode.NOT_FOUND)
    assert "shopper.shopper_id" in str(error.details())


async def test_an_empty_history_has_an_empty_profile(stubs: Stubs) -> None:
    request = GetProfileRequest(shopper=with_history(), fields={"paths": ["event_count", "embedding", "interests"]})
    profile = (await stubs.profiles.GetProfile(request)).profile
    assert (profile.event_count, len(profile.interests), profile.HasField("embedding")) == (0, 0, False)


async def test_nobody_named_at_all(stubs: Stubs) -> None:
    assert await fields_refused(stubs.profiles.GetProfile(GetProfileRequest())) == ["shopper"]
    request = RecommendRequest(shopper=shopper_pb2.ShopperRef())
    assert await fields_refused(stubs.recommendations.Recommend(request)) == ["shopper"]


async def test_the_longest_history_is_served_and_one_event_more_is_not(stubs: Stubs) -> None:
    history = with_history(*[viewed()] * 10_000)
    profile = (await stubs.profiles.GetProfile(GetProfileRequest(shopper=history))).profile
    assert profile.event_count == 10_000
    answer = await stubs.recommendations.Recommend(RecommendRequest(shopper=history))
    assert answer.event_count == MAX_REMEMBERED_EVENTS
    history.history.events.add()
    request = GetProfileRequest(shopper=history)
    assert await fields_refused(stubs.profiles.GetProfile(request)) == ["shopper.history.events"]


async def test_numbers_that_are_none(stubs: Stubs) -> None:
    request = GetProfileRequest(shopper=with_history(viewed(), viewed(price=math.nan, rating=math.inf)))
    assert await fields_refused(stubs.profiles.GetProfile(request)) == [
        "shopper.history.events[1].price",
        "shopper.history.events[1].rating",
    ]


async def test_a_great_many_violations_still_fit_into_the_answer(stubs: Stubs) -> None:
    request = GetProfileRequest(shopper=with_history(*[viewed(price=math.nan)] * 5_000))
    assert len(await fields_refused(stubs.profiles.GetProfile(request))) == 20


@pytest.mark.parametrize("k", [-1, 1001, 10**6])
async def test_more_or_fewer_than_can_be_asked_for(stubs: Stubs, k: int) -> None:
    call = stubs.recommendations.Recommend(RecommendRequest(shopper=NOBODY, k=k))
    error = await refused(call, grpc.StatusCode.INVALID_ARGUMENT)
    assert error.details() == f"k: sent {k}; the limit is 0 to 1000"


async def test_k_of_0_means_10_and_1000_gets_what_there_is(stubs: Stubs) -> None:
    assert len((await stubs.recommendations.Recommend(RecommendRequest(shopper=NOBODY, k=0))).items) == 10
    assert len((await stubs.recommendations.Recommend(RecommendRequest(shopper=NOBODY, k=1000))).items) == 50


async def test_an_unknown_catalogue(stubs: Stubs) -> None:
    calls: list[Awaitable[Any]] = [
        stubs.recommendations.Recommend(RecommendRequest(shopper=NOBODY, catalogue="none")),
        stubs.recommendations.Rank(RankRequest(shopper=NOBODY, catalogue="none", candidates=[LAMP])),
        stubs.catalogue.GetItem(GetItemRequest(catalogue="none", item_id="x")),
        stubs.catalogue.DeleteItems(DeleteItemsRequest(catalogue="none", item_ids=["x"])),
    ]
    for call in calls:
        error = await refused(call, grpc.StatusCode.NOT_FOUND)
        assert str(error.details()).startswith("catalogue: ")


async def test_empty_batches(stubs: Stubs) -> None:
    assert await fields_refused(stubs.events.RecordEvents(RecordEventsRequest())) == ["events"]
    assert await fields_refused(stubs.catalogue.UpsertItems(UpsertItemsRequest())) == ["items"]
    assert await fields_refused(stubs.catalogue.DeleteItems(DeleteItemsRequest())) == ["item_ids"]
    assert await fields_refused(stubs.profiles.BatchGetProfiles(BatchGetProfilesRequest())) == ["shoppers"]
    request = RankRequest(shopper=NOBODY)
    assert await fields_refused(stubs.recommendations.Rank(request)) == ["candidates"]


async def test_a_field_mask_of_unknown_fields(stubs: Stubs) -> None:
    request = GetProfileRequest(shopper=NOBODY, fields={"paths": ["interests", "shoe_size"]})
    assert await fields_refused(stubs.profiles.GetProfile(request)) == ["fields.paths[1]"]


async def test_queries_of_every_script_and_none(stubs: Stubs) -> None:
    for query in ("红色台灯", "🛋💡", "a\x00b", "   ", "\u202eevil", "x" * 1000):
        request = RecommendRequest(shopper=with_history(viewed()), query=query)
        assert len((await stubs.recommendations.Recommend(request)).items) == 10
    request = RecommendRequest(shopper=NOBODY, query="x" * 1001)
    assert await fields_refused(stubs.recommendations.Recommend(request)) == ["query"]


@pytest.mark.parametrize(
    "sent", [b"\x0a\x04\x0a\x02\xff\xfe", b"\x0a\xff", b"GET / HTTP/1.1"], ids=["bad UTF-8", "cut short", "not proto"]
)
async def test_bytes_that_are_no_request(stubs: Stubs, sent: bytes) -> None:
    call = stubs.channel.unary_unary("/portrait.v1.ProfileService/GetProfile")(sent)
    error = await refused(call, grpc.StatusCode.INVALID_ARGUMENT)
    assert "no message of this method" in str(error.details())


async def test_a_request_that_is_too_long(gateway: RunningGateway) -> None:
    async with grpc.aio.insecure_channel(gateway.address) as channel:
        call = channel.unary_unary("/portrait.v1.ProfileService/GetProfile")(b"\x00" * (8 * 1024 * 1024 + 1))
        await refused(call, grpc.StatusCode.RESOURCE_EXHAUSTED)


async def test_a_method_that_there_is_not(stubs: Stubs) -> None:
    call = stubs.channel.unary_unary("/portrait.v1.ProfileService/Nothing")(b"")
    await refused(call, grpc.StatusCode.UNIMPLEMENTED)


async def test_texts_that_are_none_too_long_or_too_many(stubs: Stubs) -> None:
    async def fields(*texts: str) -> list[str]:
        return await fields_refused(stubs.texts.EncodeTexts(EncodeTextsRequest(texts=texts)))

    assert await fields() == ["texts"]
    assert await fields(*["rug"] * 257) == ["texts"]
    assert await fields("rug", "", "a" * 1001) == ["texts[1]", "texts[2]"]


async def test_texts_of_nothing_that_can_be_read(stubs: Stubs) -> None:
    answer = await stubs.texts.EncodeTexts(EncodeTextsRequest(texts=[" ", "\u200b", "🛋" * 1000]))
    assert len(answer.values) == 3 * answer.dimension
