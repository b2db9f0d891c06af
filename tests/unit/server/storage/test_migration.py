"""A state that moves between a file and Redis says what it said before, wherever the move was cut short."""

import asyncio
import contextlib
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import redis
from hypothesis import given, settings
from support.redis_server import RedisServer, run_redis, run_redis_cluster
from support.store_steps import EVER, HOUSEHOLDS, NOON, SHOPPERS, STEPS, Step, do, everything

from portrait.features.events import Event, EventType
from portrait.server.households import JoinOutcome
from portrait.server.storage.migration import migrate, sqlite_state
from portrait.server.storage.migration.migrate import Migrated, migrate_state
from portrait.server.storage.redis.connection import RedisConnection
from portrait.server.storage.redis.keys import ShopperKeys
from portrait.server.storage.redis.store import open_redis_store
from portrait.server.storage.retention import Retention
from portrait.server.storage.sqlite import open_store
from portrait.server.storage.store import RecordedEvent, Store, StoreError

EXAMPLE = [
    *(Step("record", shopper_id, number, number + 1) for number, shopper_id in enumerate(SHOPPERS)),
    *(Step("consent", shopper_id, number, number + 1) for number, shopper_id in enumerate(("ann", "eve"))),
    Step("consent", "ann", 3, 4),
    Step("declare", "ann", 1, 2),
    Step("forget", "bob", 3, 0),
    Step("forget", "zoë", 1, 0),
    Step("forget", "bob", 4, 0),
    Step("record", "bob", 5, 5),
    *(Step("join", shopper_id, 5, 1) for shopper_id in ("ann", "bob", "newcomer")),
    *(Step("item", "", number, number % 2) for number in range(4)),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with run_redis(tmp_path_factory.mktemp("redis"), "--appendonly", "no") as running:
        yield running


async def migrated(source: str | Path, target: str | Path) -> Migrated:
    return await migrate_state(str(source), str(target), 0, lambda _: None)


@contextlib.asynccontextmanager
async def opened(place: str | Path) -> Any:
    store: Store = await (open_store(place) if isinstance(place, Path) else open_redis_store(place))
    try:
        yield store
    finally:
        await store.close()


async def fill(place: str | Path, steps: list[Step] = EXAMPLE) -> dict[str, Any]:
    """Take steps on the store at a place; returns everything that it tells then."""
    async with opened(place) as store:
        for step in steps:
            await do(store, step)
        return await everything(store)


async def tell(place: str | Path) -> dict[str, Any]:
    async with opened(place) as store:
        return await everything(store)


@given(steps=STEPS)
@settings(max_examples=15)
def test_a_state_comes_back_as_it_went(server: RedisServer, steps: list[Step]) -> None:
    async def run(folder: Path) -> None:
        server.clear()
        first, last = folder / "first.db", folder / "last.db"
        told = await fill(first, steps)
        await migrated(first, server.url)
        assert await tell(server.url) == told
        await migrated(server.url, last)
        assert await tell(last) == told
        again = [step for step in steps if step.deed == "record"]
        async with opened(first) as one, opened(server.url) as other, opened(last) as third:
            identities = {store.identity for store in (one, other, third)}
            assert len(identities) == 3
            for step in [*again, Step("record", "new", 3, 4), Step("consent", "ann", 1, 2), Step("item", "", 5, 1)]:
                outcomes = [await do(store, step) for store in (one, other, third)]
                assert outcomes[0] == outcomes[1] == outcomes[2]
            assert await everything(one) == await everything(other) == await everything(third)

    with TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder)))


async def test_what_arrives_later_counts_as_later(server: RedisServer, tmp_path: Path) -> None:
    server.clear()
    await fill(tmp_path / "first.db")
    await migrated(tmp_path / "first.db", server.url)
    await migrated(server.url, tmp_path / "last.db")
    for place in (server.url, tmp_path / "last.db"):
        async with opened(place) as store:
            arrived, versions = await store.last_arrival(), await store.versions(["ann", "carl"])
            event = Event("late", EventType.VIEW, NOON, "lamp")
            await store.record([RecordedEvent("ann", event), RecordedEvent("carl", event)])
            assert sorted(await store.shoppers_with_arrivals(arrived, await store.last_arrival())) == ["ann", "carl"]
            assert await store.versions(["ann", "carl"]) != versions
            number = await store.last_forgotten()
            await store.forget("carl", NOON)
            assert await store.last_forgotten() == number + 1


async def test_long_histories_and_many_shoppers_move(server: RedisServer, tmp_path: Path) -> None:
    server.clear()
    path = tmp_path / "portrait.db"
    async with opened(path) as store:
        views = [Event(f"e{number}", EventType.VIEW, NOON, "lamp") for number in range(2_500)]
        await store.record([RecordedEvent("ann", view) for view in views])
        await store.record([RecordedEvent(f"shopper-{number}", views[0]) for number in range(700)])
    parts = (await migrated(path, server.url)).parts
    assert (parts["events"].count, parts["arrival_order"].count) == (3_200, 701)
    async with opened(server.url) as other:
        assert await other.history("ann", EVER, 9_999) == views
    assert (await migrated(server.url, tmp_path / "back.db")).parts == parts


class CutShort(Exception):
    """As if the process had ended."""


def cut_at(monkeypatch: pytest.MonkeyPatch, number: int, after: bool) -> Callable[[], int]:
    """Raise at one of all steps that write, before or after it is done; returns what counts them."""
    steps = 0

    def wrap(owner: Any, name: str) -> None:
        original: Callable[..., Awaitable[Any]] = getattr(owner, name)

        async def step(*arguments: Any, **options: Any) -> Any:
            nonlocal steps
            steps += 1
            if steps == number and not after:
                raise CutShort
            result = await original(*arguments, **options)
            if steps == number:
                raise CutShort
            return result

        monkeypatch.setattr(owner, name, step)

    for name in ("write_shoppers", "write_tombstones", "write_items", "complete", "publish"):
        wrap(sqlite_state.SqliteTarget, name)
    for name in ("write_all", "evaluate"):
        wrap(RedisConnection, name)
    return lambda: steps


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("direction", ["to redis", "to a file"])
async def test_a_move_that_is_cut_short_goes_on(
    server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, direction: str, after: bool
) -> None:
    monkeypatch.setattr(migrate, "BATCH", 2)
    monkeypatch.setattr(sqlite_state, "BATCH", 2)
    monkeypatch.setattr("portrait.server.storage.migration.redis_state.BATCH", 2)
    server.clear()
    path = tmp_path / "portrait.db"
    told = await fill(path)
    if direction == "to a file":
        await migrated(path, server.url)
    number = 0
    while True:
        number += 1
        source, target = (path, server.url) if direction == "to redis" else (server.url, tmp_path / f"{number}.db")
        with monkeypatch.context() as patched:
            count = cut_at(patched, number, after)
            with contextlib.suppress(CutShort):
                await migrated(source, target)
            whole = count() < number
        if target == server.url and has_field(server, "migrating"):
            with pytest.raises(StoreError, match="run `portrait migrate-state`"):
                await open_redis_store(target)
        if not (has_field(server, "identity") if target == server.url else Path(target).exists()):
            await migrated(source, target)
        assert await tell(target) == told
        if direction == "to redis":
            server.clear()
        if whole:
            break
    assert number > 8


def has_field(server: RedisServer, field: str) -> bool:
    with redis.Redis.from_url(server.url) as client:
        return bool(client.hexists("portrait:{meta}:state", field))


KILLED = """
import asyncio, os, signal, sys
from portrait.server.storage.migration import sqlite_state
from portrait.server.storage.migration.migrate import migrate_state
from portrait.server.storage.redis.connection import RedisConnection
source, target, number = sys.argv[1], sys.argv[2], int(sys.argv[3])
steps = 0
def wrap(owner, name):
    original = getattr(owner, name)
    def step(*arguments):
        global steps
        steps += 1
        if steps == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments)
    setattr(owner, name, step)
wrap(sqlite_state.SqliteTarget, "_write_shopper")
wrap(RedisConnection, "write_all")
wrap(RedisConnection, "evaluate")
asyncio.run(migrate_state(source, target, 0, lambda _: None))
"""


async def test_a_process_that_is_killed_leaves_a_move_that_goes_on(server: RedisServer, tmp_path: Path) -> None:
    server.clear()
    first, last = tmp_path / "first.db", tmp_path / "last.db"
    told = await fill(first)
    for source, target in ((first, server.url), (server.url, last)):
        killed = subprocess.run([sys.executable, "-c", KILLED, source, target, "4"], capture_output=True, timeout=120)
        assert killed.returncode == -9, killed.stderr
        await migrated(source, target)
        assert await tell(target) == told
    assert [path.name for path in tmp_path.iterdir() if "partial" in path.name] == []


async def test_a_source_that_changed_meanwhile_is_told_and_the_copy_removed(
    server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.clear()
    path = tmp_path / "portrait.db"
    await fill(path)
    with monkeypatch.context() as patched:
        cut_at(patched, 6, False)
        with pytest.raises(CutShort):
            await migrated(path, server.url)
    async with opened(path) as store:
        await store.forget("ann", NOON)
    with pytest.raises(StoreError, match=r"differs from its source in .*events \(\d+ and \d+\).*the copy is removed"):
        await migrated(path, server.url)
    with redis.Redis.from_url(server.url) as client:
        assert client.dbsize() == 0
    await migrated(path, server.url)

    with monkeypatch.context() as patched:
        cut_at(patched, 3, False)
        with pytest.raises(CutShort):
            await migrated(server.url, tmp_path / "back.db")
    with redis.Redis.from_url(server.url) as client:
        [key] = client.scan_iter("portrait:{??}:consents:eve")
        client.rpush(key, client.lrange(key, 0, 0)[0])
    with contextlib.closing(sqlite3.connect(tmp_path / "back.db.partial", isolation_level=None)) as connection:
        connection.execute("INSERT OR IGNORE INTO migrated_shoppers VALUES ('eve')")
    with pytest.raises(StoreError, match="differs from its source in consents"):
        await migrated(server.url, tmp_path / "back.db")
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith("back")] == []

    async def end(_: sqlite_state.SqliteTarget) -> None:
        raise CutShort

    with monkeypatch.context() as patched:
        patched.setattr(sqlite_state.SqliteTarget, "publish", end)
        with pytest.raises(CutShort):
            await migrated(server.url, tmp_path / "back.db")
    await fill(server.url, [Step("record", "late", 1, 2)])
    with pytest.raises(StoreError, match="differs from its source in events"):
        await migrated(server.url, tmp_path / "back.db")


async def test_what_is_written_to_redis_meanwhile_is_told(
    server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.clear()
    await fill(server.url)
    complete = sqlite_state.SqliteTarget.complete

    async def complete_late(target: sqlite_state.SqliteTarget) -> Any:
        await fill(server.url, [Step("record", "late", 1, 2)])
        return await complete(target)

    monkeypatch.setattr(sqlite_state.SqliteTarget, "complete", complete_late)
    with pytest.raises(StoreError, match="in what was written since this run began: the source was changed"):
        await migrated(server.url, tmp_path / "back.db")
    assert [*tmp_path.iterdir()] == []


async def test_what_redis_lets_go_meanwhile_does_not_matter(
    server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.clear()
    told = await fill(server.url)
    complete = sqlite_state.SqliteTarget.complete

    async def complete_late(target: sqlite_state.SqliteTarget) -> Any:
        of_ann = ShopperKeys.of("ann")
        with redis.Redis.from_url(server.url) as client:
            assert client.delete(of_ann.history, of_ann.events) == 2  # as when their time is over
        return await complete(target)

    monkeypatch.setattr(sqlite_state.SqliteTarget, "complete", complete_late)
    await migrated(server.url, tmp_path / "back.db")
    assert await tell(tmp_path / "back.db") == told


async def test_what_is_in_use_or_holds_something_is_refused(server: RedisServer, tmp_path: Path) -> None:
    server.clear()
    path, other = tmp_path / "portrait.db", tmp_path / "other.db"
    await fill(path)
    async with opened(path):
        with pytest.raises(StoreError, match="in use: stop all gateways"):
            await migrated(path, server.url)
    await migrated(path, server.url)
    with pytest.raises(StoreError, match="holds a state of Portrait already"):
        await migrated(path, server.url)
    async with opened(server.url):
        with pytest.raises(StoreError, match="a gateway is connected"):
            await migrated(server.url, other)
    with pytest.raises(StoreError, match=r"portrait\.db exists"):
        await migrated(server.url, path)
    with pytest.raises(StoreError, match="one of the two must be"):
        await migrated(path, other)
    with pytest.raises(StoreError, match="one of the two must be"):
        await migrated(server.url, server.url)
    server.clear()
    with pytest.raises(StoreError, match="no state of Portrait in this Redis"):
        await migrated(server.url, other)
    with pytest.raises(StoreError, match="does not exist"):
        await migrated(tmp_path / "none.db", server.url)
    with redis.Redis.from_url(server.url) as client:
        client.set("portrait:{items}:changes", "of nobody")
        with pytest.raises(StoreError, match="belong to no state"):
            await migrated(path, server.url)
        client.flushall()
        client.hset("portrait:{meta}:state", "migrating", "another")
        with pytest.raises(StoreError, match="unfinished migration of another state"):
            await migrated(path, server.url)


async def test_an_unfinished_file_of_another_state_is_refused(
    server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.clear()
    await fill(server.url, EXAMPLE[:1])
    with monkeypatch.context() as patched:
        cut_at(patched, 1, True)
        with pytest.raises(CutShort):
            await migrated(server.url, tmp_path / "portrait.db")
    server.clear()
    await fill(server.url, EXAMPLE[:1])
    with pytest.raises(StoreError, match=r"portrait\.db\.partial holds the unfinished migration of another state"):
        await migrated(server.url, tmp_path / "portrait.db")


@pytest.mark.slow
async def test_a_state_moves_to_a_cluster_and_back(tmp_path: Path) -> None:
    told = await fill(tmp_path / "first.db")
    with run_redis_cluster(tmp_path / "cluster") as servers:
        async with opened(servers[0].url):
            pass
        for server in servers[:3]:
            server.clear()
        moved = await migrate_state(str(tmp_path / "first.db"), servers[0].url, 1, lambda _: None)
        assert await tell(servers[1].url) == told
        async with opened(servers[2].url):
            with pytest.raises(StoreError, match="a gateway is connected"):
                await migrated(servers[0].url, tmp_path / "last.db")
        assert (await migrated(servers[0].url, tmp_path / "last.db")).parts == moved.parts
        a_day = Retention(Retention.parse("view=1d").periods, lambda: EVER)
        expiring = await open_redis_store(servers[0].url, replicas=1, retention=a_day)
        views = {each: len(history) for each, history in told["histories"].items()}
        assert await expiring.delete_expired() > 0
        members = await expiring.households.members(HOUSEHOLDS[1])
        assert [await do(expiring, Step(deed, "ann", 5, 1)) for deed in ("leave", "join")] == [None, JoinOutcome.JOINED]
        assert await expiring.households.members(HOUSEHOLDS[1]) == members == told["members"][1]
        left = {each: len(await expiring.history(each, EVER, 100)) for each in views}
        assert sum(left.values()) < sum(views.values())
        await expiring.close()
    assert await tell(tmp_path / "last.db") == told
