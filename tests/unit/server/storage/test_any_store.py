"""Every kind of store behaves alike, and lacks no part. A new store is one more line of STORES."""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from support.memory_store import MemoryStore
from support.redis_server import RedisServer, run_redis

from portrait.features.events import Event, EventType, Item
from portrait.features.logs.shopper_hashes import sha256_of
from portrait.server.consent.consents import Consent, Purpose
from portrait.server.demographics import Demographics
from portrait.server.reviews.review import (
    MAX_SHOPPER_REVIEWS,
    SHARED,
    Review,
    ReviewAction,
    ReviewTarget,
    Segment,
    Subject,
    SubjectKind,
)
from portrait.server.storage.event_lists import END, EventPlace, read_latest_events
from portrait.server.storage.redis.store import open_redis_store
from portrait.server.storage.sqlite import open_store
from portrait.server.storage.store import EventSelection, Households, ItemChange, Recorded, RecordedEvent, Store
from portrait.server.timestamps import to_microseconds

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
ANN = Demographics("25-34", "", "North", NOON)


async def open_memory_store(path: Path) -> MemoryStore:
    return MemoryStore()


STORES: dict[str, Callable[[Path], Awaitable[Store]]] = {"sqlite": open_store, "memory": open_memory_store}
"""Functions that open an empty store, by its kind; they get a path that does not exist."""


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with run_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(params=[*STORES, "redis"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    if request.param == "redis":
        server = request.getfixturevalue("redis_server")
        server.clear()
        opened: Store = await open_redis_store(server.url)
    else:
        opened = await STORES[request.param](tmp_path / "state")
    yield opened
    await opened.close()


def viewed(event_id: str, hours: int = 0, item_id: str = "lamp") -> Event:
    return Event(event_id, EventType.VIEW, NOON + hours * HOUR, item_id=item_id)


def decided(granted: bool, time: datetime, purpose: Purpose = Purpose.ADVERTISING) -> Consent:
    return Consent(purpose, granted, time, NOON + 24 * HOUR)


async def record(store: Store, shopper_id: str, *events: Event) -> list[Recorded]:
    return await store.record([RecordedEvent(shopper_id, event) for event in events])


def list_missing_parts(kind: type, protocol: type = Store) -> list[str]:
    """List the members of a protocol that a class lacks, or has with other parameters."""
    missing = []
    for name, member in vars(protocol).items():
        if name.startswith("_"):
            continue
        if not hasattr(kind, name):
            missing.append(f"{kind.__name__} has no `{name}`")
        elif inspect.isfunction(member):
            wanted, has = (list(inspect.signature(each).parameters) for each in (member, getattr(kind, name)))
            if wanted != has:
                missing.append(f"{kind.__name__}.{name} takes {has}, not {wanted}")
    return missing


async def test_no_store_lacks_a_part(store: Store) -> None:
    assert list_missing_parts(type(store)) == []
    assert list_missing_parts(type(store.households), Households) == []


def test_a_part_that_is_forgotten_is_named() -> None:
    class Half:
        fault = None

        async def check(self) -> None: ...

        async def history(self, shopper_id: str, limit: int) -> list[Event]: ...  # type: ignore[empty-body]

    missing = list_missing_parts(Half)
    assert "Half has no `record`" in missing
    assert "Half.history takes ['self', 'shopper_id', 'limit'], not ['self', 'shopper_id', 'as_of', 'limit']" in missing
    assert not any("check" in each for each in missing)


async def test_an_event_is_stored_once(store: Store) -> None:
    assert await record(store, "ann", viewed("e1"), viewed("e1"), viewed("e1", item_id="rug")) == [
        Recorded.NEW,
        Recorded.KNOWN,
        Recorded.CONFLICT,
    ]
    assert await record(store, "bob", viewed("e1", item_id="rug")) == [Recorded.NEW]
    assert await store.history("ann", NOON, 10) == [viewed("e1")]


async def test_a_history_is_of_the_latest_events_up_to_a_moment(store: Store) -> None:
    await record(store, "ann", viewed("late", 3), viewed("first", 1), viewed("second", 1), viewed("early"))
    read = await store.history("ann", NOON + 2 * HOUR, 2)
    assert [event.event_id for event in read] == ["first", "second"]
    assert await store.count_events(["ann", "bob"], NOON + 2 * HOUR, 2) == {"ann": 2, "bob": 0}
    assert await store.history("bob", NOON, 2) == []


async def test_all_events_are_listed_page_by_page(store: Store) -> None:
    sent = [viewed(f"e{number}", hours=number // 3) for number in range(10)]  # some have one time
    await record(store, "ann", *reversed(sent))
    await record(store, "bob", viewed("e1"))
    for size in (1, 2, 3, 100):
        listed: list[Event] = []
        position = None
        while page := await store.list_events("ann", position, size):
            assert len(page) <= size
            listed += [event for _, event in page]
            position = page[-1][0]
        assert listed == await store.history("ann", NOON + 99 * HOUR, 100)
        assert len(listed) == len(sent)
    assert await store.list_events("nobody", None, 10) == []


async def test_the_newest_events_of_all_ids_are_listed_page_by_page(store: Store) -> None:
    sent = {
        each: [viewed(f"{each}-{number}", hours=number // 3) for number in range(count)]  # some have one time
        for each, count in {"ann": 8, "web": 7, "app": 1}.items()
    }
    for each, events in sent.items():
        await record(store, each, *events)
    await record(store, "web", Event("q", EventType.SEARCH, NOON + HOUR, query="lamp"))
    await record(store, "bob", viewed("b1", hours=2))
    since = to_microseconds(NOON + HOUR)
    views = EventSelection(frozenset({EventType.VIEW, EventType.RATE}), since)
    for selection, wanted in (
        (EventSelection(), [event for events in sent.values() for event in events]),
        (views, [event for events in sent.values() for event in events[3:]]),
    ):
        for size in (1, 2, 5, 100):
            listed, place = [], END
            while page := await read_latest_events(store, ["ann", "web", "app"], selection, place, size):
                assert len(page) <= size
                listed += [each.event for _, each in page]
                place = page[-1][0]
            times = [event.time for event in listed]
            assert times == sorted(times, key=lambda time: time or NOON, reverse=True)
            assert sorted(event.event_id for event in listed if event.query is None) == sorted(
                event.event_id for event in wanted
            )
            assert sum(event.query is not None for event in listed) == (selection is not views)
            of_ann = [event for event in listed if event.event_id.startswith("ann")]
            assert of_ann == [event for event in reversed(sent["ann"]) if event in wanted]
    until = EventPlace(to_microseconds(NOON + HOUR), b"", 0)
    early = await read_latest_events(store, ["ann", "app"], EventSelection(), until, 100)
    assert {each.event.time for _, each in early} == {NOON}
    assert len(early) == 4
    assert await read_latest_events(store, ["nobody"], EventSelection(), END, 10) == []


async def test_arrivals_have_rising_numbers(store: Store) -> None:
    assert await store.last_arrival() == 0
    await record(store, "ann", viewed("e1"))
    first = await store.last_arrival()
    await record(store, "zoë", viewed("e1"))
    await record(store, "bob", viewed("e1"))
    last = await store.last_arrival()
    assert 0 < first < last
    assert sorted(await store.shoppers_with_arrivals(first, last)) == ["bob", "zoë"]
    assert await store.shoppers("ann", 1) == ["bob"]
    assert await store.shoppers("bob", 5) == ["zoë"]


async def test_a_shopper_who_is_forgotten_stays_forgotten(store: Store) -> None:
    await record(store, "ann", viewed("e1"), viewed("ahead", 2))
    await store.record_consents("ann", [decided(True, NOON)])
    await store.set_demographics("ann", ANN)
    forgotten = await store.forget("ann", NOON + HOUR)
    assert (forgotten.events, forgotten.at) == (2, NOON + 2 * HOUR)
    assert await store.history("ann", NOON + 9 * HOUR, 10) == []
    assert (await store.consents("ann")).by_purpose == {}
    assert await store.demographics("ann") is None
    assert await record(store, "ann", viewed("ahead", 2), viewed("new", 3)) == [Recorded.FORGOTTEN, Recorded.NEW]
    number = await store.last_forgotten()
    assert await store.forgotten_since(number - 1, ["ann", "bob"]) == {"ann"}
    assert await store.forgotten_since(number, ["ann", "bob"]) == set()
    [tombstone] = await store.tombstones()
    assert (tombstone.shopper_sha256, tombstone.forgotten_at) == (sha256_of("ann"), NOON + 2 * HOUR)


async def test_a_version_changes_with_what_is_known(store: Store) -> None:
    versions = [await store.versions(["ann"])]
    await record(store, "ann", viewed("e1"))
    versions.append(await store.versions(["ann"]))
    await store.record_consents("ann", [decided(True, NOON)])
    versions.append(await store.versions(["ann"]))
    await store.set_demographics("ann", ANN)
    versions.append(await store.versions(["ann"]))
    await store.forget("ann", NOON)
    versions.append(await store.versions(["ann"]))
    assert all(before != after for before, after in pairwise(versions))
    assert len(set(versions[:-1])) == len(versions) - 1  # at the end, nothing is known again


async def test_an_earlier_grant_does_not_undo_a_withdrawal(store: Store) -> None:
    await store.record_consents("ann", [decided(True, NOON)])
    assert (await store.consents("ann")).by_purpose == {Purpose.ADVERTISING: True}
    await store.record_consents("ann", [decided(False, NOON + 2 * HOUR)])
    await store.record_consents("ann", [decided(True, NOON + HOUR)])
    assert (await store.consents("ann")).by_purpose == {Purpose.ADVERTISING: False}
    assert await store.shoppers_with_decision(Purpose.ADVERTISING, False, ["ann", "bob"]) == {"ann"}
    await store.record_consents("ann", [decided(True, NOON + 3 * HOUR)])
    assert await store.shoppers_with_decision(Purpose.ADVERTISING, True, ["ann", "bob"]) == {"ann"}
    assert [each.granted for each in await store.consent_records("ann", 3)] == [False, True, True]


async def test_demographics_go_with_their_consent(store: Store) -> None:
    assert await store.set_demographics("ann", ANN)
    assert await store.set_demographics("bob", Demographics("", "", "", NOON))
    assert await store.demographics("ann") == ANN
    assert await store.regions(["ann", "bob", "eve"]) == {"ann": "North"}
    await store.record_consents("ann", [decided(False, NOON, Purpose.DEMOGRAPHICS)])
    assert await store.demographics("ann") is None
    assert not await store.set_demographics("ann", ANN)


async def test_the_last_change_of_each_item_is_kept(store: Store) -> None:
    assert await store.last_item_change() == 0
    lamp, rug = Item("lamp", "Red lamp"), Item("rug", "Wool rug")
    changes = [ItemChange("shop", "lamp", lamp), ItemChange("shop", "rug", rug), ItemChange("shop", "lamp", None)]
    await store.change_items(changes)
    kept = {change.item_id: change.item async for change in store.item_changes()}
    assert kept == {"lamp": None, "rug": rug}
    last = await store.last_item_change()
    assert last > 0
    assert await store.remote_item_changes(last) == (last, [])


def decide(shopper_id: str, name: str = "buyer", value: float | None = None, segment: Segment | None = None) -> Review:
    action = ReviewAction.BLOCK if value is None else ReviewAction.CORRECT
    target = ReviewTarget(Subject(SubjectKind.TRAIT, (name,)), shopper_id, segment)
    return Review(target, action, value, "eve", "a note", NOON)


async def test_a_review_replaces_that_of_its_target(store: Store) -> None:
    first, second, other = decide("ann"), decide("ann", value=0.5), decide("ann", "visitor")
    of_segment, of_all = decide(SHARED, segment=Segment(("Home", "灯"), "Ikea")), decide(SHARED)
    for each in (first, second, other, of_segment, of_all):
        assert await store.set_review(each)
    assert await store.reviews("ann") == [second, other]
    assert await store.reviews("bob") == []
    assert {each.target: each for each in await store.reviews(SHARED)} == {
        of_segment.target: of_segment,
        of_all.target: of_all,
    }
    assert await store.remove_review(of_all.target)
    assert not await store.remove_review(of_all.target)
    assert await store.reviews(SHARED) == [of_segment]


async def test_reviewed_shoppers_are_listed_until_their_reviews_are_gone(store: Store) -> None:
    for each in ("zoë", "ann", SHARED, "bob", "cleo"):
        await store.set_review(decide(each))
    assert await store.reviewed_shoppers("", 2) == ["ann", "bob"]
    assert await store.reviewed_shoppers("bob", 9) == ["cleo", "zoë"]
    await store.remove_review(decide("cleo").target)
    await store.forget("bob", NOON)
    assert await store.reviewed_shoppers("", 9) == ["ann", "zoë"]
    assert await store.reviews("bob") == []


async def test_there_are_so_many_reviews_of_an_id_and_no_more(store: Store) -> None:
    for number in range(MAX_SHOPPER_REVIEWS):
        assert await store.set_review(decide("ann", f"trait-{number}"))
    assert not await store.set_review(decide("ann", "another"))
    assert await store.set_review(decide("ann", "trait-7", value=0.25))  # replaces one
    assert await store.set_review(decide("bob", "another"))
    assert len(await store.reviews("ann")) == MAX_SHOPPER_REVIEWS


async def test_reviews_that_apply_are_those_of_all_ids_and_of_all_shoppers(store: Store) -> None:
    assert not await store.applied_reviews(["ann"])
    await store.set_review(decide("ann", "one"))
    await store.set_review(decide("cookie", "two"))
    await store.set_review(decide("bob", "other"))
    names = (await (await store.applied_reviews(["ann", "cookie"])).apply([], lambda _: None)).reviews
    assert [each.target.subject.names for each in names.list_of(SubjectKind.TRAIT)] == [("one",), ("two",)]
    assert not await store.applied_reviews([])
    await store.set_review(decide(SHARED, "three"))
    assert await store.applied_reviews([])
    await store.remove_review(decide(SHARED, "three").target)
    assert not await store.applied_reviews([])


async def test_a_version_changes_with_reviews_of_the_shopper_and_of_all(store: Store) -> None:
    versions = [await store.versions(["ann"])]
    unnamed = [await store.versions([])]
    await store.set_review(decide("ann"))
    versions.append(await store.versions(["ann"]))
    await store.remove_review(decide("ann").target)
    versions.append(await store.versions(["ann"]))
    assert await store.versions([]) == unnamed[0]
    await store.set_review(decide(SHARED))
    versions.append(await store.versions(["ann"]))
    unnamed.append(await store.versions([]))
    await store.remove_review(decide(SHARED).target)
    versions.append(await store.versions(["ann"]))
    unnamed.append(await store.versions([]))
    assert len(set(versions)) == 5
    assert len(set(unnamed)) == 3
