"""Links and households in Redis lie in several slots: what is cut short does not count, and the next call mends it."""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import pytest
import redis
from support.identity_steps import EVER, NOON, SHOPPERS, decided, joined, linked, viewed
from support.redis_server import RedisServer, run_redis

from portrait.features.events import Event, EventType
from portrait.server.consent.consents import Purpose
from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import Unavailable
from portrait.server.households import JoinOutcome
from portrait.server.identities import LinkOutcome
from portrait.server.storage.histories import read_history
from portrait.server.storage.redis.connection import RedisConnection
from portrait.server.storage.redis.households import RedisHouseholds
from portrait.server.storage.redis.keys import ShopperKeys
from portrait.server.storage.redis.links import Links
from portrait.server.storage.redis.scripts import FORGET, Script
from portrait.server.storage.redis.store import RedisStore, open_redis_store
from portrait.server.storage.retention import Retention
from portrait.server.storage.store import RecordedEvent


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with run_redis(tmp_path_factory.mktemp("redis"), "--appendonly", "no") as running:
        yield running


@pytest.fixture
async def in_redis(server: RedisServer) -> AsyncIterator[RedisStore]:
    server.clear()
    store = await open_redis_store(server.url)
    yield store
    await store.close()


def commands(server: RedisServer) -> dict[str, int]:
    with redis.Redis.from_url(server.url) as client:
        statistics: dict[str, Any] = client.info("commandstats")  # type: ignore[assignment]
        return {name.removeprefix("cmdstat_"): counted["calls"] for name, counted in statistics.items()}


async def test_an_unlinked_shopper_is_read_by_one_command(server: RedisServer, in_redis: RedisStore) -> None:
    await in_redis.record([RecordedEvent(each, viewed("e")) for each in SHOPPERS])
    for anonymous_id in ("web", "app"):
        await in_redis.link("login", linked(anonymous_id))
    for shopper_id, reads in (("tv", 1), ("login", 3), ("web", 3)):
        before = commands(server)
        decisions = await in_redis.consents(shopper_id)
        await in_redis.versions([shopper_id])
        await read_history(in_redis, decisions.shopper_ids, EVER)
        after = commands(server)
        assert {name: after[name] - before.get(name, 0) for name in ("hmget", "zrevrangebyscore")} == {
            "hmget": 2 * reads,
            "zrevrangebyscore": reads,
        }


async def test_what_was_cut_short_is_no_link_and_is_mended(
    in_redis: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise Unavailable("Redis does not answer", 1.0, ErrorReason.STATE_UNUSABLE)

    with monkeypatch.context() as patched:
        patched.setattr(Links, "_set_login", fail)
        with pytest.raises(Unavailable):
            await in_redis.link("login", linked("web"))
    assert await in_redis.identities(["login", "web"]) == {}
    assert (await in_redis.consents("login")).shopper_ids == ("login",)
    assert await in_redis.link("other", linked("web")) is LinkOutcome.LINKED
    assert await in_redis.link("login", linked("app")) is LinkOutcome.LINKED
    with monkeypatch.context() as patched:
        patched.setattr(Links, "_remove_link", fail)
        with pytest.raises(Unavailable):
            await in_redis.unlink("login", "app")
    assert await in_redis.identities(["login", "app"]) == {}
    await in_redis.unlink("login", "app")
    assert await in_redis.link("other", linked("login")) is LinkOutcome.LINKED


@pytest.mark.parametrize("named", ["login", "web"])
@pytest.mark.parametrize("done", range(3))
async def test_a_deletion_that_was_cut_short_goes_on(
    in_redis: RedisStore, monkeypatch: pytest.MonkeyPatch, named: str, done: int
) -> None:
    await in_redis.record([RecordedEvent(each, viewed("e")) for each in SHOPPERS])
    for anonymous_id in ("web", "app"):
        await in_redis.link("login", linked(anonymous_id))
    forget_id, calls = RedisStore._forget_id, 0

    async def forget_some(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > done:
            raise Unavailable("Redis does not answer", 1.0, ErrorReason.STATE_UNUSABLE)
        return await forget_id(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(RedisStore, "_forget_id", forget_some)
        with pytest.raises(Unavailable):
            await in_redis.forget(named, NOON)
    assert (await in_redis.forget(named, NOON)).events == 3 - done
    assert await in_redis.shoppers("", 10) == ["tv"]
    assert await in_redis.forgotten_since(0, SHOPPERS) == {"login", "web", "app"}


async def test_no_two_calls_change_the_links_of_a_login(
    server: RedisServer, in_redis: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portrait.server.storage.redis.links.MAX_WAIT_SECONDS", 0.05)
    async with in_redis._links.locked("login"):
        with pytest.raises(Unavailable):
            await in_redis.link("login", linked("web"))
        assert await in_redis.link("other", linked("web")) is LinkOutcome.LINKED
    assert await in_redis.link("login", linked("app")) is LinkOutcome.LINKED
    with redis.Redis.from_url(server.url) as client:
        assert not client.exists(ShopperKeys.of("login").lock)
        assert client.hget("portrait:{meta}:state", "schema") == b"4"


async def test_a_login_is_listed_while_only_linked_ids_have_events(server: RedisServer) -> None:
    server.clear()
    now = NOON
    store = await open_redis_store(server.url, retention=Retention(Retention.parse("view=1d").periods, lambda: now))
    await store.record([RecordedEvent("login", viewed("e"))])
    await store.record([RecordedEvent("web", Event("f", EventType.SEARCH, NOON, query="lamp"))])
    await store.link("login", linked("web"))
    now = NOON + timedelta(days=2)
    assert await store.delete_expired() == 1
    assert await store.shoppers("", 10) == ["login", "web"]
    await store.unlink("login", "web")
    assert await store.shoppers("", 10) == ["web"]
    await store.close()


def contents(server: RedisServer) -> str:
    """All keys and values."""
    with redis.Redis.from_url(server.url) as client:
        read: dict[bytes, Any] = {
            b"string": client.get,
            b"hash": client.hgetall,
            b"list": lambda key: client.lrange(key, 0, -1),
            b"set": client.smembers,
            b"zset": lambda key: client.zrange(key, 0, -1, withscores=True),
        }
        return str({key: read[client.type(key)](key) for key in client.scan_iter("*")})  # type: ignore[index]


async def test_nothing_is_left_of_a_forgotten_shopper_under_any_id(server: RedisServer, in_redis: RedisStore) -> None:
    ids = ("login-of-ann", "web-of-ann", "app-of-ann")
    await in_redis.record([RecordedEvent(each, viewed("e")) for each in (*ids[:2], "tv")])
    for anonymous_id in ids[1:]:
        await in_redis.link(ids[0], linked(anonymous_id))
        await in_redis.unlink(ids[0], anonymous_id)
        await in_redis.link(ids[0], linked(anonymous_id))
    for _ in range(2):
        await in_redis.households.leave("home", ids[0])
        await in_redis.households.join(joined(ids[0]))
    await in_redis.households.join(joined("tv"))
    await in_redis.record_consents("app-of-ann", [decided(Purpose.RISK, granted=False)])
    assert all(each in contents(server) for each in ids)
    assert (await in_redis.forget("web-of-ann", NOON)).events == 2
    assert "of-ann" not in contents(server)
    assert "tv" in contents(server)


@pytest.mark.parametrize("step", ["_add_member", "_clear_household", "forget"])
async def test_a_membership_that_was_cut_short_is_none_and_is_mended(
    server: RedisServer, in_redis: RedisStore, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    async def fail(*_: object) -> None:
        raise Unavailable("Redis does not answer", 1.0, ErrorReason.STATE_UNUSABLE)

    evaluate_one = RedisConnection.evaluate_one

    async def fail_to_forget(connection: RedisConnection, script: Script, *given: Any) -> Any:
        return await (fail() if script is FORGET else evaluate_one(connection, script, *given))

    households, member = in_redis.households, joined("login")
    if step != "_add_member":
        assert await households.join(member) is JoinOutcome.JOINED
    with monkeypatch.context() as patched:
        if step == "forget":
            patched.setattr(RedisConnection, "evaluate_one", fail_to_forget)
        else:
            patched.setattr(RedisHouseholds, step, fail)
        with pytest.raises(Unavailable):
            await {
                "_add_member": lambda: households.join(member),
                "_clear_household": lambda: households.leave("home", "login"),
                "forget": lambda: in_redis.forget("login", NOON),
            }[step]()
    assert await households.memberships(["login"]) == {}
    assert await households.members("home") == []
    if step == "forget":
        await in_redis.forget("login", NOON)
        assert "login" not in contents(server)
    elif step == "_add_member":
        assert await in_redis.link("tv", linked("login")) is LinkOutcome.MEMBER
        await households.leave("another", "login")
        assert await in_redis.link("tv", linked("login")) is LinkOutcome.LINKED
    else:
        assert await households.join(joined("login", 0, "another")) is JoinOutcome.JOINED
        assert await households.members("another") == [joined("login", 0, "another")]
    with redis.Redis.from_url(server.url) as client:
        assert client.hget("portrait:{meta}:state", "schema") == b"6"
