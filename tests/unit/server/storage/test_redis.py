"""The store in Redis says what the store in SQLite says, and a cluster that loses a master loses nothing."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import redis
from hypothesis import given, settings
from support.redis_server import RedisServer, run_redis, run_redis_cluster
from support.store_steps import STEPS, Step, do, everything, link_changes

from portrait.features.events import Event, EventType, Item
from portrait.features.logs.pseudonym_keys import PseudonymKey
from portrait.features.logs.shopper_hashes import ShopperHasher
from portrait.server.errors import DiskFull, PortraitError, Unavailable
from portrait.server.storage.redis.store import RedisStore, open_redis_store
from portrait.server.storage.retention import KEEP_ALL, Retention
from portrait.server.storage.sqlite import open_store
from portrait.server.storage.store import ItemChange, Recorded, RecordedEvent, Store, StoreError

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
EVER = NOON + timedelta(days=999)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with run_redis(tmp_path_factory.mktemp("redis")) as running:
        yield running


@given(steps=STEPS)
@settings(max_examples=40)
def test_it_says_what_the_store_of_sqlite_says(server: RedisServer, steps: list[Step]) -> None:
    async def run(folder: Path) -> None:
        server.clear()
        one, other = await open_store(folder / "portrait.db"), await open_redis_store(server.url)
        for step in steps:
            assert await do(one, step) == await do(other, step), step
        assert await everything(one) == await everything(other)
        assert await link_changes(one) == await link_changes(other)
        await one.close()
        await other.close()

    with TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder)))


async def test_many_shoppers_are_listed_in_order_page_by_page(server: RedisServer) -> None:
    server.clear()
    store = await open_redis_store(server.url)
    ids = [f"shopper-{number:05}" for number in range(5_000)]
    for begin in range(0, len(ids), 1_000):
        event = Event("e", EventType.VIEW, NOON, "lamp")
        await store.record([RecordedEvent(each, event) for each in ids[begin : begin + 1_000]])
    listed: list[str] = []
    while page := await store.shoppers(listed[-1] if listed else "", 1_500):
        listed += page
    assert listed == ids
    assert (await store.shoppers_with_arrivals(0, await store.last_arrival())) != []
    await store.close()


async def test_two_stores_see_each_others_writes(server: RedisServer) -> None:
    server.clear()
    one, other = await open_redis_store(server.url), await open_redis_store(server.url)
    before = await other.versions(["ann"])
    await one.record([RecordedEvent("ann", Event("e", EventType.VIEW, NOON, "lamp"))])
    assert await other.versions(["ann"]) != before
    assert len(await other.history("ann", EVER, 10)) == 1
    await one.change_items([ItemChange("ads", "lamp", Item("lamp", "Desk lamp"))])
    last, changes = await other.remote_item_changes(0)
    assert (last, [change.item_id for change in changes]) == (1, ["lamp"])
    assert await one.remote_item_changes(0) == (1, [])
    assert one.identity == other.identity
    await one.close()
    await other.close()


async def test_a_write_wants_its_replicas(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.clear()
    monkeypatch.setattr("portrait.server.storage.redis.connection.MAX_WAIT_SECONDS", 0.0)
    plain = await open_redis_store(server.url)
    strict = RedisStore(type(plain._redis)(plain._redis._client, replicas=1), plain.identity)
    event = RecordedEvent("ann", Event("e", EventType.VIEW, NOON, "lamp"))
    with pytest.raises(Unavailable):
        await strict.record([event])
    assert await strict.history("ann", EVER, 10)  # reading wants none
    assert await strict.last_arrival() > 0
    assert await plain.record([event]) == [Recorded.KNOWN]
    await plain.close()


async def test_a_full_memory_is_told(tmp_path: Path) -> None:
    with run_redis(tmp_path / "redis", "--maxmemory", "3mb") as small:
        hasher = ShopperHasher([PseudonymKey("key", bytes(32))])  # is noted when the first shopper is forgotten
        store = await open_redis_store(small.url, hasher=hasher)
        event = Event("e", EventType.SEARCH, NOON, query="x" * 900)

        async def fill() -> None:
            for number in range(100):
                await store.record([RecordedEvent(f"s{number}-{each}", event) for each in range(100)])

        with pytest.raises(DiskFull):
            await fill()
        assert len(await store.history("s0-0", EVER, 10)) == 1
        assert (await store.forget("s0-0", NOON)).events == 1
        await store.close()


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("redis://127.0.0.1:1", "no Redis answers at redis://127.0.0.1:1"),
        ("redis://user:secret@127.0.0.1:1", "no Redis answers at redis://127.0.0.1:1"),
        ("nonsense://x", "no Redis answers at nonsense://x"),
    ],
)
async def test_a_redis_that_is_not_there_is_told_without_its_password(url: str, told: str) -> None:
    with pytest.raises(StoreError) as raised:
        await open_redis_store(url)
    assert str(raised.value).startswith(told)
    assert "secret" not in str(raised.value)


async def test_a_password_that_is_wrong_and_a_later_version_are_told(tmp_path: Path, server: RedisServer) -> None:
    with run_redis(tmp_path / "redis", "--requirepass", "secret") as locked:
        with pytest.raises(StoreError, match="refuses the user or password"):
            await open_redis_store(locked.url)
        await (await open_redis_store(f"{locked.url}?password=secret")).close()
    server.clear()
    with redis.Redis.from_url(server.url) as client:
        client.hset("portrait:{meta}:state", mapping={"schema": 99, "identity": "x"})
    with pytest.raises(StoreError, match="later version of Portrait"):
        await open_redis_store(server.url)
    with redis.Redis.from_url(server.url) as client:
        client.hset("portrait:{meta}:state", "schema", 1)
    with pytest.raises(StoreError, match="a preview of Portrait"):
        await open_redis_store(server.url)


async def test_a_state_whose_events_expire_is_of_a_later_version(server: RedisServer) -> None:
    server.clear()
    for retention, version in ((KEEP_ALL, b"2"), (Retention.parse("view=9d"), b"3"), (KEEP_ALL, b"3")):
        await (await open_redis_store(server.url, retention=retention)).close()
        with redis.Redis.from_url(server.url) as client:
            assert client.hget("portrait:{meta}:state", "schema") == version


class Writer:
    """Records one event after the other, and notes those that were acknowledged."""

    def __init__(self, store: Store, shopper_id: str) -> None:
        self._store, self._shopper_id = store, shopper_id
        self.acknowledged: list[str] = []
        self.failed = 0
        self.slowest = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        loop, number = asyncio.get_running_loop(), 0
        while not stop.is_set():
            number += 1
            event = Event(f"e{number}", EventType.VIEW, NOON + timedelta(seconds=number), "lamp")
            began = loop.time()
            try:
                await self._store.record([RecordedEvent(self._shopper_id, event)])
                self.acknowledged.append(event.event_id)
            except PortraitError:
                self.failed += 1
            self.slowest = max(self.slowest, loop.time() - began)


@pytest.mark.slow
async def test_a_cluster_that_loses_a_master_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    with run_redis_cluster(tmp_path) as servers:
        store = await open_redis_store(servers[0].url, replicas=1)
        other = await open_redis_store(servers[2].url)
        writers, stop = [Writer(store, f"shopper-{number}") for number in range(24)], asyncio.Event()
        running = asyncio.gather(*(writer.run(stop) for writer in writers))

        async def go_on(of: Callable[[Iterable[bool]], bool]) -> None:
            before = {id(writer): len(writer.acknowledged) for writer in writers}
            async with asyncio.timeout(60):
                while not of(len(writer.acknowledged) > before[id(writer)] + 5 for writer in writers):
                    await asyncio.sleep(0.05)

        await go_on(all)
        servers[1].kill()
        await go_on(any)
        # The replica has taken its place and has no replica of its own: its writes are refused until there is one.
        servers[1].start()
        await go_on(all)
        stop.set()
        await running
        for writer in writers:
            held = {event.event_id for event in await other.history(writer._shopper_id, EVER, 1_000_000)}
            assert set(writer.acknowledged) <= held
            assert writer.slowest < 60.0, "no call hangs"
        assert await store.shoppers("", 100) == sorted(writer._shopper_id for writer in writers)
        await store.close()
        await other.close()
