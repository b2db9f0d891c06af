"""Answers that are given again are those that would be made anew: two gateways, one of which forgets everything."""

import random
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from support.gateway import RunningGateway, Stubs, run_gateway
from support.scrape import read_metrics

from portrait.v1 import event_pb2, shopper_pb2
from portrait.v1.catalogue_service_pb2 import DeleteItemsRequest, UpsertItemsRequest
from portrait.v1.event_service_pb2 import RecordEventsRequest
from portrait.v1.profile_service_pb2 import GetProfileRequest
from portrait.v1.recommendation_service_pb2 import GetShelfRequest, RankRequest, RecommendRequest
from portrait.v1.shelf_pb2 import SHELF_KIND_RECENTLY_VIEWED, SHELF_KIND_SIMILAR_ITEMS

AS_OF = datetime.now(UTC)
ITEMS = ("desk-lamp-red", "floor-lamp-red", "desk-lamp-blue", "wool-rug-red", "new-1", "new-2")
STEPS = 150


@pytest.fixture(scope="module")
def gateways(
    repository: Path, shared_triton: tuple[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[RunningGateway]]:
    with ExitStack() as closing:
        yield [
            closing.enter_context(
                run_gateway(repository, tmp_path_factory.mktemp("answers"), *shared_triton, *arguments)
            )
            for arguments in ((), ("--response-cache-mib", "0"))
        ]


def shopper(chance: random.Random) -> shopper_pb2.ShopperRef:
    if chance.random() < 0.5:
        return shopper_pb2.ShopperRef(shopper_id=f"shopper-{chance.randrange(3)}")
    events = [{"type": event_pb2.EVENT_TYPE_VIEW, "item_id": item} for item in ITEMS[: chance.choice((1, 5))]]
    return shopper_pb2.ShopperRef(history={"events": events})


def question(chance: random.Random) -> tuple[str, Message]:
    """A question, of few so that they come again."""
    ref, as_of = shopper(chance), AS_OF
    match chance.randrange(4):
        case 0:
            paths = ["embedding", "event_count"] if chance.random() < 0.5 else []
            return "profile", GetProfileRequest(shopper=ref, as_of=as_of, fields={"paths": paths})
        case 1:
            seen = chance.random() < 0.5
            limit = chance.randrange(2)
            return "recommend", RecommendRequest(
                shopper=ref, as_of=as_of, k=3, exclude_seen=seen, max_per_category=limit
            )
        case 2:
            kind = chance.choice((SHELF_KIND_RECENTLY_VIEWED, SHELF_KIND_SIMILAR_ITEMS))
            named = ITEMS[:2] if kind == SHELF_KIND_SIMILAR_ITEMS else ()
            return "shelf", GetShelfRequest(shopper=ref, as_of=as_of, k=3, kind=kind, item_ids=named)
    return "rank", RankRequest(shopper=ref, as_of=as_of, candidates=[{"item": {"item_id": item}} for item in ITEMS])


def change(chance: random.Random, place: int) -> tuple[str, Message]:
    item = chance.choice(ITEMS)
    match chance.randrange(4):
        case 0:
            sent = {"item_id": item, "title": f"Lamp {place}", "category_path": ["Light"]}
            return "upsert", UpsertItemsRequest(items=[sent])
        case 1:
            return "delete", DeleteItemsRequest(item_ids=[item])
    event = event_pb2.Event(event_id=f"e{place}", type=event_pb2.EVENT_TYPE_VIEW, item_id=item)
    event.time.FromDatetime(AS_OF - timedelta(hours=chance.uniform(1, 100)))
    return "record", RecordEventsRequest(events=[{"shopper_id": f"shopper-{chance.randrange(3)}", "event": event}])


async def ask(stubs: Stubs, name: str, request: Message) -> Any:
    calls: dict[str, Any] = {
        "profile": stubs.profiles.GetProfile,
        "recommend": stubs.recommendations.Recommend,
        "rank": stubs.recommendations.Rank,
        "shelf": stubs.recommendations.GetShelf,
        "upsert": stubs.catalogue.UpsertItems,
        "delete": stubs.catalogue.DeleteItems,
        "record": stubs.events.RecordEvents,
    }
    try:
        answer = await calls[name](request, timeout=60)
    except grpc.aio.AioRpcError as error:
        return error.code()
    if name == "profile":
        answer.profile.ClearField("computed_at")
    return answer


async def test_both_say_the_same_whatever_happens(gateways: list[RunningGateway]) -> None:
    chance = random.Random(1)
    channels = [grpc.aio.insecure_channel(gateway.address) for gateway in gateways]
    both = [Stubs.over(channel) for channel in channels]
    for place in range(STEPS):
        name, request = change(chance, place) if chance.random() < 0.15 else question(chance)
        answers = [await ask(stubs, name, request) for stubs in both]
        assert answers[0] == answers[1], f"{name}, step {place}"
    for channel in channels:
        await channel.close()
    given_again = [read_metrics(gateway)["portrait_response_cache_hits_total"] for gateway in gateways]
    assert given_again[0] > STEPS / 10
    assert given_again[1] == 0
