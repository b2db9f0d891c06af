"""Answers that are given again: the right ones, within a bound of memory."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from portrait.features.events import Event, EventType
from portrait.server.response_cache import ResponseCache
from portrait.server.rpc.context import Context, Handler, Method, Request
from portrait.server.rpc.interceptors.request_parser import parse_request
from portrait.server.rpc.interceptors.response_cache import cache_responses
from portrait.server.storage.sqlite import SqliteStore, open_store
from portrait.server.storage.store import RecordedEvent
from portrait.v1.profile_service_pb2 import GetProfileRequest, GetProfileResponse
from portrait.v1.recommendation_service_pb2 import RecommendRequest, RecommendResponse

NOBODY = cast("Context", None)
PROFILE = Method("portrait.v1.ProfileService/GetProfile", GetProfileRequest.FromString)
RECOMMEND = Method("portrait.v1.RecommendationService/Recommend", RecommendRequest.FromString)
AS_OF = datetime(2026, 1, 2, tzinfo=UTC)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3), st.integers(0, 5_000))), st.integers(0, 20_000))
def test_memory_is_bounded_and_what_is_given_is_what_was_kept(steps: list[tuple[int, int, int]], limit: int) -> None:
    cache, kept = ResponseCache(limit), dict[tuple[bytes, int], bytes]()
    for place, state, size in steps:
        key = cache.key("method", bytes([place]))
        known = cache.get(key, state, 0.0)
        assert known is None or known == kept[key, state]
        kept[key, state] = bytes(size)
        cache.put(key, kept[key, state], state, 1.0)
        assert cache.bytes <= limit
        assert (cache.bytes == 0) == (len(cache) == 0)


def test_an_answer_is_given_until_it_is_too_old() -> None:
    cache = ResponseCache(10_000)
    key = cache.key("method", b"request")
    cache.put(key, b"answer", None, 5.0)
    assert cache.get(key, None, 5.0) == b"answer"
    assert cache.get(key, None, 5.1) is None
    assert (cache.hits, cache.misses, cache.bytes) == (1, 1, 0)


def test_what_was_not_used_for_longest_makes_room() -> None:
    cache = ResponseCache(3_000)
    keys = [cache.key("method", bytes([place])) for place in range(3)]
    for key in keys[:2]:
        cache.put(key, bytes(500), None, 1.0)
    cache.get(keys[0], None, 0.0)
    cache.put(keys[2], bytes(500), None, 1.0)
    assert [cache.get(key, None, 0.0) is not None for key in keys] == [True, False, True]


def test_methods_do_not_share_answers() -> None:
    cache = ResponseCache(1_000)
    assert cache.key("a", b"request") != cache.key("b", b"request")


class Shop:
    """Services that answer with all that they know: how often they were asked, and what is stored."""

    def __init__(self, store: SqliteStore) -> None:
        self.store, self.asked, self.items, self.degraded = store, 0, 0, False
        cache = ResponseCache(1_000_000)
        intercept = cache_responses(cache, 1000.0, store, lambda: self.items)
        self.profile = intercept(PROFILE, self._profile)
        self.recommend = intercept(RECOMMEND, self._recommend)

    async def _profile(self, request: Request, _: Context) -> Message:
        self.asked += 1
        sent = GetProfileRequest.FromString(request.wire)
        response = GetProfileResponse()
        response.profile.event_count = await self.count(sent.shopper.shopper_id) + len(sent.shopper.history.events)
        response.profile.release = self.items
        response.profile.degraded = self.degraded
        return response

    async def _recommend(self, request: Request, _: Context) -> Message:
        self.asked += 1
        sent = RecommendRequest.FromString(request.wire)
        return RecommendResponse(event_count=await self.count(sent.shopper.shopper_id), release=self.items)

    async def count(self, shopper_id: str) -> int:
        return len(await self.store.history(shopper_id, AS_OF, 1000))


def _event(event_id: str) -> Event:
    return Event(event_id, EventType.VIEW, AS_OF, item_id="i")


def _run(folder: Path, scenario: Callable[[Shop], Any]) -> None:
    async def run() -> None:
        store = await open_store(folder / "portrait.db")
        try:
            await scenario(Shop(store))
        finally:
            await store.close()

    asyncio.run(run())


async def _said(handler: Handler, request: Message, answer: type[Message]) -> Any:
    said = await handler(Request(request.SerializeToString(), type(request).FromString), NOBODY)
    return answer.FromString(said) if isinstance(said, bytes) else said


STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(["record", "record elsewhere", "forget", "forget elsewhere", "profile", "recommend"]),
            st.integers(0, 3),
        ),
        st.tuples(st.just("change items"), st.just(0)),
    ),
    max_size=20,
)


@pytest.mark.slow
@settings(max_examples=50, deadline=None)
@given(STEPS)
def test_an_answer_given_again_is_what_would_be_answered_now(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    folder = tmp_path_factory.mktemp("answers")

    async def scenario(shop: Shop) -> None:
        other = await open_store(folder / "portrait.db")
        for place, (step, shopper) in enumerate(steps):
            name = f"shopper {shopper}"
            recorded = [RecordedEvent(name, _event(str(place)))]
            match step:
                case "record":
                    await shop.store.record(recorded)
                case "record elsewhere":
                    await other.record(recorded)
                case "forget" | "forget elsewhere":
                    store = shop.store if step == "forget" else other
                    await store.forget(name, AS_OF - timedelta(days=1))  # the events that come later are of later
                case "change items":
                    shop.items += 1
                case "profile":
                    profile_request = GetProfileRequest(shopper={"shopper_id": name})
                    said = (await _said(shop.profile, profile_request, GetProfileResponse)).profile
                    assert (said.event_count, said.release) == (await shop.count(name), shop.items)
                case "recommend":
                    request = RecommendRequest(shopper={"shopper_id": name})
                    said = await _said(shop.recommend, request, RecommendResponse)
                    assert (said.event_count, said.release) == (await shop.count(name), shop.items)
        await other.close()

    _run(folder, scenario)


def test_what_is_unchanged_is_not_made_again(tmp_path: Path) -> None:
    async def scenario(shop: Shop) -> None:
        for request in (
            GetProfileRequest(shopper={"shopper_id": "a"}),
            GetProfileRequest(shopper={"shopper_id": "a"}, fields={"paths": ["interests"]}),
            GetProfileRequest(shopper={"history": {"events": [{"item_id": "i"}]}}),
        ):
            asked = shop.asked
            first = await _said(shop.profile, request, GetProfileResponse)
            assert await _said(shop.profile, request, GetProfileResponse) == first
            assert shop.asked == asked + 1

    _run(tmp_path, scenario)


@pytest.mark.parametrize(("events_expire", "asked"), [(False, 1), (True, 2)])
def test_an_answer_of_the_past_is_given_for_ever_unless_events_expire(
    tmp_path: Path, events_expire: bool, asked: int
) -> None:
    async def scenario(shop: Shop) -> None:
        cache = cache_responses(
            ResponseCache(10_000), 0.0, shop.store, lambda: 0, events_expire=events_expire
        )  # whatever has a time to live has none left
        request = RecommendRequest(shopper={"shopper_id": "a"})
        request.as_of.FromDatetime(AS_OF)
        handler = cache(RECOMMEND, shop._recommend)
        for _ in range(2):
            await _said(handler, request, RecommendResponse)
        assert shop.asked == asked

    _run(tmp_path, scenario)


def test_a_degraded_answer_is_not_given_again(tmp_path: Path) -> None:
    async def scenario(shop: Shop) -> None:
        shop.degraded = True
        request = GetProfileRequest(shopper={"shopper_id": "a"}, allow_degraded=True)
        await _said(shop.profile, request, GetProfileResponse)
        shop.degraded = False
        assert not (await _said(shop.profile, request, GetProfileResponse)).profile.degraded
        assert shop.asked == 2

    _run(tmp_path, scenario)


def test_what_changes_while_an_answer_is_made_is_in_the_next_one(tmp_path: Path) -> None:
    async def scenario(shop: Shop) -> None:
        async def slow(request: Request, context: Context) -> Message:
            made = RecommendResponse(event_count=await shop.count("a"))
            await shop.store.record([RecordedEvent("a", _event(str(shop.asked)))])
            shop.asked += 1
            return made

        handler = cache_responses(ResponseCache(10_000), 1000.0, shop.store, lambda: 0)(RECOMMEND, slow)
        request = RecommendRequest(shopper={"shopper_id": "a"})
        assert [(await _said(handler, request, RecommendResponse)).event_count for _ in range(3)] == [0, 1, 2]

    _run(tmp_path, scenario)


def test_many_new_events_count_for_everybody(tmp_path: Path) -> None:
    async def scenario(shop: Shop) -> None:
        before = await shop.store.versions(["a"])
        assert await shop.store.versions(["a"]) == before
        for first in range(0, 3000, 1000):
            await shop.store.record([RecordedEvent("b", _event(str(first + place))) for place in range(1000)])
        after = await shop.store.versions(["a"])
        assert after != before
        assert await shop.store.versions(["a"]) == after

    _run(tmp_path, scenario)


async def test_a_request_that_the_cache_does_not_know_is_parsed_once(tmp_path: Path) -> None:
    parsed: list[bytes] = []

    def parse(wire: bytes) -> Message:
        parsed.append(wire)
        return RecommendRequest.FromString(wire)

    async def respond(message: Message, context: Context) -> Message:
        return RecommendResponse(event_count=cast("RecommendRequest", message).k)

    store = await open_store(tmp_path / "portrait.db")
    try:
        cache = cache_responses(ResponseCache(10_000), 1000.0, store, lambda: 0)
        handler = cache(RECOMMEND, parse_request(RECOMMEND, respond))
        wire = RecommendRequest(shopper={"shopper_id": "a"}, k=3).SerializeToString()
        said = await handler(Request(wire, parse), NOBODY)
    finally:
        await store.close()
    assert isinstance(said, bytes)
    assert RecommendResponse.FromString(said).event_count == 3
    assert parsed == [wire]
