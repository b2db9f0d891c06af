"""Requests of more entries than may be parsed, refused by their bytes."""

from typing import Any, cast

import pytest
from google.protobuf.message import Message

from portrait.server.errors import InvalidRequest
from portrait.server.rpc.context import Context, Method, Request
from portrait.server.rpc.contract.limits import MAX_REQUEST_ENTRIES
from portrait.server.rpc.interceptors.request_parser import parse_request
from portrait.v1.event_pb2 import EVENT_TYPE_VIEW, Event
from portrait.v1.profile_service_pb2 import BatchGetProfilesRequest
from portrait.v1.shopper_pb2 import History, ShopperRef

NOBODY = cast("Context", None)


class Parser:
    """Counts how often a request is parsed."""

    def __init__(self) -> None:
        self.parsed = 0

    def __call__(self, request: bytes) -> Message:
        self.parsed += bool(request)
        return BatchGetProfilesRequest.FromString(request)


def batch(events: int, event: Event) -> bytes:
    """As many events, by thousands a shopper."""
    shopper = ShopperRef(history=History(events=[event] * 1_000))
    return BatchGetProfilesRequest(shoppers=[shopper] * (events // 1_000)).SerializeToString()


async def answered(request: bytes) -> Parser:
    async def proceed(message: Any, context: Context) -> Message:
        return cast("Message", message)

    parser = Parser()
    await parse_request(Method("portrait.v1.ProfileService/BatchGetProfiles", parser), proceed)(
        Request(request, parser), NOBODY
    )
    return parser


async def test_more_entries_than_may_be_are_not_parsed() -> None:
    crowded = batch(MAX_REQUEST_ENTRIES + 1_000, Event(type=EVENT_TYPE_VIEW, item_id="a"))
    with pytest.raises(InvalidRequest, match=f"the limit is {MAX_REQUEST_ENTRIES} entries"):
        await answered(crowded)


async def test_a_history_as_long_as_may_be_is_parsed_whatever_its_events_say() -> None:
    event = Event(type=EVENT_TYPE_VIEW, item_id="item " * 20, query="words\n" * 5, price=10.0, quantity=2, position=10)
    event.time.FromJsonString("2026-05-01T10:10:10Z")
    assert (await answered(batch(10_000, event))).parsed == 1
