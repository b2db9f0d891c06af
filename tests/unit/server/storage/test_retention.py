"""Events are kept as long as the retention of their type says, in every store, and no longer."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs
from support.redis_server import RedisServer, run_redis

from portrait.features.events import Event, EventType
from portrait.server.consent.consents import Consent, Purpose
from portrait.server.demographics import Demographics
from portrait.server.storage.redis.keys import ShopperKeys
from portrait.server.storage.redis.store import open_redis_store
from portrait.server.storage.retention import KEEP_ALL, Retention, delete_expired
from portrait.server.storage.sqlite import open_store
from portrait.server.storage.store import Recorded, RecordedEvent, Store

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
EVER = BEGIN + 9_999 * DAY


@dataclass
class Clock:
    """A clock that is set by hand."""

    now: datetime = BEGIN

    def __call__(self) -> datetime:
        return self.now


def retention(clock: Clock, text: str = "view=30d,purchase=300d") -> Retention:
    return Retention(Retention.parse(text).periods, clock)


Opener = Callable[[Retention], Awaitable[Store]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with run_redis(tmp_path_factory.mktemp("redis"), "--appendonly", "no") as running:
        yield running


@pytest.fixture(params=["sqlite", "redis"])
async def open_it(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Opener]:
    """Opens one store, empty at first, again and again."""
    opened: list[Store] = []
    if request.param == "redis":
        server: RedisServer = request.getfixturevalue("server")
        server.clear()

    async def open_one(of: Retention) -> Store:
        if request.param == "redis":
            opened.append(await open_redis_store(server.url, retention=of))
        else:
            opened.append(await open_store(tmp_path / "portrait.db", of))
        return opened[-1]

    yield open_one
    for store in opened:
        await store.close()


def event(event_id: str, kind: EventType, time: datetime) -> Event:
    if kind is EventType.SEARCH:
        return Event(event_id, kind, time, query="a lamp")
    return Event(event_id, kind, time, "lamp")


async def record(store: Store, shopper_id: str, *events: Event) -> list[Recorded]:
    return await store.record([RecordedEvent(shopper_id, each) for each in events])


async def read(store: Store, shopper_id: str) -> set[str]:
    """The ids of all events of a shopper; every way to read must agree on them."""
    history = [each.event_id for each in await store.history(shopper_id, EVER, 1_000)]
    listed: list[str] = []
    position = None
    while page := await store.list_events(shopper_id, position, 3):
        listed += [each.event_id for _, each in page]
        position = page[-1][0]
    assert listed == history
    assert [each.event_id for each in await store.history(shopper_id, EVER, 2)] == history[-2:]
    assert await store.count_events([shopper_id], EVER, 1_000) == {shopper_id: len(history)}
    assert await store.count_events([shopper_id, "nobody"], EVER, 2) == {shopper_id: min(2, len(history)), "nobody": 0}
    return set(history)


@pytest.mark.parametrize(
    ("text", "periods"),
    [
        ("view=90d,purchase=3y", {EventType.VIEW: 90 * DAY, EventType.PURCHASE: 3 * 365 * DAY}),
        (" add_to_cart = 1d ", {EventType.ADD_TO_CART: DAY}),
        ("view=100y", {EventType.VIEW: 36_500 * DAY}),
    ],
)
def test_periods_are_read(text: str, periods: dict[EventType, timedelta]) -> None:
    assert Retention.parse(text).periods == periods


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("view=0d", "the period of view, '0d', is none of 1d to 36500d (days) or 1y to 100y (years)"),
        ("view=101y", "the period of view, '101y', is none of"),
        ("view=9w", "the period of view, '9w', is none of"),
        ("view=-1d", "the period of view, '-1d', is none of"),
        ("view=1.5d", "the period of view, '1.5d', is none of"),
        ("view=\u0661d", "the period of view, '\u0661d', is none of"),
        ("view", "the period of view, '', is none of"),
        ("viewing=9d", "'viewing' is no type of an event: search, view, click,"),
        ("", "'' is no type of an event"),
        ("view=1d,", "'' is no type of an event"),
        ("view=1d,view=2d", "view is there twice"),
    ],
)
def test_what_is_no_period_is_told(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=r"view|type") as raised:
        Retention.parse(text)
    assert str(raised.value).startswith(told)


KINDS = st.sampled_from([EventType.VIEW, EventType.PURCHASE, EventType.SEARCH])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("record"), st.sampled_from(["ann", "bob"]), KINDS, st.integers(-400, 1)),
        st.tuples(st.just("wait"), st.integers(1, 200)),
        st.tuples(st.just("delete")),
    ),
    max_size=20,
)


async def follow(store: Store, clock: Clock, steps: list[tuple[object, ...]], periods: dict[EventType, int]) -> None:
    """Take steps, and hold what the store says against plain arithmetic."""
    sent: dict[str, list[Event]] = {"ann": [], "bob": []}

    def is_kept(each: Event) -> bool:
        assert each.time is not None
        return each.type not in periods or each.time >= clock.now - periods[each.type] * DAY

    for number, step in enumerate(steps):
        match step:
            case ("record", str(shopper_id), EventType() as kind, int(days)):
                # Never just at the limit: Redis would count the last millisecond by its own clock.
                new = event(f"e{number}", kind, clock.now + days * DAY + timedelta(hours=1))
                sent[shopper_id].append(new)
                outcome = Recorded.NEW if is_kept(new) else Recorded.EXPIRED
                assert await record(store, shopper_id, new) == [outcome]
            case ("wait", int(days)):
                clock.now += days * DAY
            case _:
                await store.delete_expired()
        for shopper_id, events in sent.items():
            assert await read(store, shopper_id) == {each.event_id for each in events if is_kept(each)}
    for shopper_id, events in sent.items():
        became = await record(store, shopper_id, *events)
        assert became == [Recorded.KNOWN if is_kept(each) else Recorded.EXPIRED for each in events]


@given(steps=STEPS, all_types=st.booleans())
@settings(max_examples=20)
def test_every_read_leaves_out_what_has_expired(
    server: RedisServer, steps: list[tuple[object, ...]], all_types: bool
) -> None:
    periods = {EventType.VIEW: 30, EventType.PURCHASE: 300} | (dict.fromkeys(EventType, 100) if all_types else {})
    text = ",".join(f"{kind}={days}d" for kind, days in periods.items())

    async def run(folder: Path) -> None:
        server.clear()
        for open_one in (
            lambda of: open_store(folder / "portrait.db", of),
            lambda of: open_redis_store(server.url, retention=of),
        ):
            clock = Clock()
            store: Store = await open_one(retention(clock, text))
            await follow(store, clock, steps, periods)
            await store.close()

    with TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder)))


async def test_what_has_expired_is_deleted_and_nothing_else(open_it: Opener) -> None:
    clock = Clock()
    store = await open_it(retention(clock))
    kinds = {"v": EventType.VIEW, "p": EventType.PURCHASE, "s": EventType.SEARCH}
    await record(store, "ann", *(event(each, kind, BEGIN) for each, kind in kinds.items()))
    await record(store, "idle", event("v", EventType.VIEW, BEGIN))
    said = [Consent(Purpose.ADVERTISING, True, BEGIN, BEGIN), Consent(Purpose.DEMOGRAPHICS, True, BEGIN, BEGIN)]
    await store.record_consents("idle", said)
    await store.set_demographics("idle", Demographics("25-34", "", "North", BEGIN))
    await store.forget("bob", BEGIN)
    arrived = await store.last_arrival()

    clock.now += 29 * DAY
    assert await store.delete_expired() == 0
    clock.now += DAY + DAY / 24
    assert await read(store, "ann") == {"p", "s"}
    clock.now += DAY
    assert await store.delete_expired() == 2
    assert await store.delete_expired() == 0
    assert await store.shoppers("", 10) == ["ann"]
    assert await store.shoppers_with_arrivals(0, await store.last_arrival()) == ["ann"]
    assert await store.last_arrival() >= arrived
    assert await store.consent_records("idle", 9) == said
    assert (await store.consents("idle")).by_purpose == {Purpose.ADVERTISING: True, Purpose.DEMOGRAPHICS: True}
    assert await store.demographics("idle") is not None
    assert len(await store.tombstones()) == 1

    clock.now += 400 * DAY
    assert await store.delete_expired() == 1
    assert await read(store, "ann") == {"s"}


async def test_no_number_of_arrival_is_given_twice(open_it: Opener) -> None:
    clock = Clock()
    store = await open_it(retention(clock))
    await record(store, "ann", event("s", EventType.SEARCH, BEGIN), event("v", EventType.VIEW, BEGIN))
    arrived = await store.last_arrival()
    clock.now += 31 * DAY
    assert await store.delete_expired() == 1
    assert await record(store, "bob", event("v", EventType.VIEW, clock.now)) == [Recorded.NEW]
    assert await store.shoppers_with_arrivals(arrived, await store.last_arrival()) == ["bob"]


async def test_a_shopper_whose_events_expire_comes_back_as_a_new_one(open_it: Opener) -> None:
    clock = Clock()
    store = await open_it(retention(clock))
    await record(store, "ann", event("v", EventType.VIEW, BEGIN))
    versions = await store.versions(["ann"])
    clock.now += 31 * DAY
    await store.delete_expired()
    assert await record(store, "ann", event("v", EventType.VIEW, BEGIN)) == [Recorded.EXPIRED]
    assert await record(store, "ann", event("v", EventType.VIEW, clock.now)) == [Recorded.NEW]
    assert await store.versions(["ann"]) != versions
    assert await read(store, "ann") == {"v"}


async def test_many_events_of_one_shopper_expire_in_steps(open_it: Opener) -> None:
    clock = Clock()
    store = await open_it(retention(clock))
    purchases = [event(f"p{number}", EventType.PURCHASE, BEGIN) for number in range(700)]
    views = [event(f"v{number}", EventType.VIEW, BEGIN) for number in range(1_300)]
    await record(store, "ann", *purchases[:350], *views[:650])
    await record(store, "ann", *purchases[350:], *views[650:])
    clock.now += 31 * DAY
    assert len(await store.history("ann", EVER, 10)) == 10
    assert await store.delete_expired() == len(views)
    assert await read(store, "ann") == {each.event_id for each in purchases}


async def test_a_retention_may_be_changed_and_taken_back(open_it: Opener) -> None:
    clock = Clock()
    store = await open_it(KEEP_ALL)
    await record(store, "ann", event("v", EventType.VIEW, BEGIN), event("p", EventType.PURCHASE, BEGIN))
    clock.now += 31 * DAY
    limited = await open_it(retention(clock))
    assert await read(limited, "ann") == {"p"}
    assert await read(await open_it(retention(clock, "view=40d")), "ann") == {"v", "p"}
    assert await limited.delete_expired() == 1
    assert await read(await open_it(KEEP_ALL), "ann") == {"p"}


def measure_redis(server: RedisServer) -> tuple[int, int]:
    """Number of keys, and the memory that they take; without the counters of the buckets, 256 at most."""
    with redis.Redis.from_url(server.url) as client:
        keys = [key for key in client.scan_iter(count=10_000) if not key.endswith(b":counter")]
        return len(keys), sum(client.memory_usage(key, samples=0) for key in keys)


def measure_sqlite(path: Path) -> tuple[int, int]:
    """Number of rows of events, and bytes of the file."""
    with sqlite3.connect(path) as connection:
        [[rows]] = connection.execute("SELECT count(*) FROM events").fetchall()
    return rows, path.stat().st_size


async def test_a_store_does_not_grow_for_ever(open_it: Opener, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Two years, with other shoppers every month, leave what the first months leave."""
    clock, sizes = Clock(), []
    store = await open_it(retention(clock, "view=20d,purchase=60d"))
    for day in range(0, 2 * 360, 15):
        clock.now = BEGIN + day * DAY
        kinds = [EventType.VIEW] * 5 + [EventType.PURCHASE]
        events = [event(f"{day}-{place}", kind, clock.now) for place, kind in enumerate(kinds)]
        await store.record(
            [RecordedEvent(f"shopper-{day // 30}-{number}", each) for number in range(20) for each in events]
        )
        await store.delete_expired()
        if day % 30 == 15:
            is_redis = "redis" in request.node.name
            size = (
                measure_redis(request.getfixturevalue("server"))
                if is_redis
                else measure_sqlite(tmp_path / "portrait.db")
            )
            sizes.append((*size, len(await store.shoppers("", 1_000))))
    begin, end = sizes[4:12], sizes[-8:]  # the first months fill the store
    for before, after in zip(zip(*begin, strict=True), zip(*end, strict=True), strict=True):
        assert max(after) <= 1.05 * max(before)


def lifetime(server: RedisServer, shopper_id: str) -> tuple[float, float]:
    """Days that the history and the ids of a shopper's events have left; -1 for ever, -2 without any."""
    with redis.Redis.from_url(server.url) as client:
        left = [client.pttl(key) for key in (ShopperKeys.of(shopper_id).history, ShopperKeys.of(shopper_id).events)]
    return left[0] / 86_400_000 if left[0] > 0 else left[0], left[1] / 86_400_000 if left[1] > 0 else left[1]


async def test_redis_lets_the_keys_of_an_idle_shopper_go_by_itself(server: RedisServer) -> None:
    server.clear()
    clock = Clock()
    store = await open_redis_store(server.url, retention=retention(clock))
    await record(store, "ann", event("v1", EventType.VIEW, BEGIN))
    assert lifetime(server, "ann") == pytest.approx((30, 30), abs=0.01)
    await record(store, "ann", event("p1", EventType.PURCHASE, BEGIN - 100 * DAY))
    assert lifetime(server, "ann") == pytest.approx((200, 200), abs=0.01)
    await record(store, "ann", event("v2", EventType.VIEW, BEGIN + DAY))
    assert lifetime(server, "ann") == pytest.approx((200, 200), abs=0.01)
    await record(store, "bob", event("s", EventType.SEARCH, BEGIN), event("v", EventType.VIEW, BEGIN))
    await record(store, "bob", event("v2", EventType.VIEW, BEGIN))
    assert lifetime(server, "bob") == (-1, -1)  # a search is kept for ever

    for text, days in (("view=30d,purchase=800d", 700), ("view=2d,purchase=101d", 3), ("view=1y", -1)):
        clock.now += DAY / 2
        other = await open_redis_store(server.url, retention=retention(clock, text))
        await other.delete_expired()
        assert lifetime(server, "ann") == pytest.approx((days, days), abs=1.6)
        await other.close()
    await store.close()
    await record(
        await open_redis_store(server.url, retention=retention(clock)), "eve", event("v", EventType.VIEW, clock.now)
    )
    clock.now += DAY / 2
    unlimited = await open_redis_store(server.url)
    with redis.Redis.from_url(server.url) as client:
        client.delete("portrait:{meta}:sweeps")  # its clock is not ours
    await unlimited.delete_expired()
    assert lifetime(server, "eve") == (-1, -1)
    await unlimited.close()


async def test_a_deletion_is_logged_and_a_failure_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portrait.server.storage.redis.connection.MAX_WAIT_SECONDS", 0.0)
    clock = Clock()
    with run_redis(tmp_path / "redis") as own:
        store = await open_redis_store(own.url, retention=retention(clock))
        await record(store, "ann", event("v", EventType.VIEW, BEGIN))
        clock.now += 31 * DAY
        with capture_logs() as logged:
            await delete_expired(store)
            await delete_expired(store)
        assert [(line["event"], line["events"]) for line in logged] == [("expired_events_deleted", 1)]
    with capture_logs() as logged:
        await delete_expired(store)
    assert ("expiry_failed", "Unavailable") in {(line["event"], line.get("exception")) for line in logged}
    await store.close()


async def test_what_redis_let_go_leaves_nothing_behind(server: RedisServer) -> None:
    server.clear()
    clock = Clock()
    store = await open_redis_store(server.url, retention=retention(clock))
    before = measure_redis(server)[0]
    await record(store, "ann", event("v1", EventType.VIEW, BEGIN))
    with redis.Redis.from_url(server.url) as client:
        client.delete(ShopperKeys.of("ann").history, ShopperKeys.of("ann").events)  # as when their time is over
    assert await read(store, "ann") == set()
    await store.delete_expired()
    assert await store.shoppers("", 10) == []
    assert measure_redis(server)[0] == before + 1  # the times of sweeps
    await store.close()
