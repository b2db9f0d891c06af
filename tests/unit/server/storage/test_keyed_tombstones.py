"""Tombstones by keys, in every store: without the keys nobody can tell whose they are, and no older one is lost."""

import asyncio
import contextlib
import csv
import io
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import redis
from hypothesis import given, settings
from support.redis_server import RedisServer, run_redis
from support.store_steps import STEPS, Step, do, everything

from portrait.features.events import Event, EventType
from portrait.features.logs.pseudonym_keys import PseudonymKey
from portrait.features.logs.shopper_hashes import PLAIN, ShopperHasher, bucket_digits_of, fingerprint_of, sha256_of
from portrait.server.identities import Link, LinkOutcome
from portrait.server.storage.backup import back_up, read_tombstones_of, restore
from portrait.server.storage.migration.migrate import migrate_state
from portrait.server.storage.open import open_state
from portrait.server.storage.redis.store import open_redis_store
from portrait.server.storage.sqlite import open_store
from portrait.server.storage.store import Recorded, RecordedEvent, Store, StoreError
from portrait.server.storage.tombstones import read_tombstones, write_tombstones

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
OLD, NEW = (PseudonymKey(name, bytes([number]) * 32) for name, number in (("old", 1), ("new", 2)))
BY_OLD, BY_NEW, ROTATED = ShopperHasher([OLD]), ShopperHasher([NEW]), ShopperHasher([NEW, OLD])
ANN = "ann@shop.example"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with run_redis(tmp_path_factory.mktemp("redis"), "--appendonly", "no") as running:
        yield running


@pytest.fixture(params=["sqlite", "redis"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """A state file, or the URL of a Redis, without a state."""
    if request.param == "sqlite":
        return tmp_path / "portrait.db"
    server = request.getfixturevalue("server")
    server.clear()
    return str(server.url)


@contextlib.asynccontextmanager
async def opened(place: Path | str, hasher: ShopperHasher) -> AsyncIterator[Store]:
    store: Store
    if isinstance(place, Path):
        store = await open_store(place, hasher=hasher)
    else:
        store = await open_redis_store(place, hasher=hasher)
    try:
        yield store
    finally:
        await store.close()


def viewed(shopper_id: str, hours: int = 0) -> RecordedEvent:
    return RecordedEvent(shopper_id, Event(f"e{hours}", EventType.VIEW, NOON + hours * HOUR, "lamp"))


async def forget(place: Path | str, hasher: ShopperHasher, shopper_id: str) -> None:
    async with opened(place, hasher) as store:
        await store.record([viewed(shopper_id)])
        await store.forget(shopper_id, NOON)


def test_hashes_by_hand() -> None:
    digest = sha256_of(ANN)
    assert PLAIN.list_hashes(ANN) == (digest,)
    keyed = f"{NEW.fingerprint}:{digest[:2]}{NEW.make_pseudonym(ANN, 'known shopper')}"
    assert NEW.make_pseudonym(ANN) not in keyed  # what a data set by the same key has
    assert ROTATED.list_hashes(ANN) == (keyed, BY_OLD.hash(ANN), digest)
    assert (fingerprint_of(keyed), bucket_digits_of(keyed)) == (NEW.fingerprint, digest[:2])
    assert (fingerprint_of(digest), bucket_digits_of(digest)) == (None, digest[:2])
    assert digest[2:] not in "".join(BY_NEW.list_hashes(ANN)[:1])
    assert NEW.fingerprint != OLD.fingerprint


async def test_no_older_tombstone_is_lost(place: Path | str) -> None:
    for shopper_id, hasher in (("plain", PLAIN), ("by-old", BY_OLD), ("by-new", ROTATED)):
        await forget(place, hasher, shopper_id)
    everybody = ["plain", "by-old", "by-new"]
    async with opened(place, ROTATED) as store:
        assert await store.record([viewed(each) for each in everybody]) == [Recorded.FORGOTTEN] * 3
        assert await store.forgotten_since(0, [*everybody, "other"]) == set(everybody)
        for each in everybody:
            outcomes = [
                await store.link(login, Link(anonymous, NOON, NOON, "login", 1.0))
                for login, anonymous in ((each, "web"), ("login", each))
            ]
            assert outcomes == [LinkOutcome.FORGOTTEN] * 2
        assert [fingerprint_of(each.shopper_sha256) for each in await store.tombstones()] == [
            None, OLD.fingerprint, NEW.fingerprint
        ]  # fmt: skip
        last = await store.last_forgotten()
        # Who is forgotten again is known by the current key alone from then on, and until the later moment.
        assert await store.record([viewed("plain", 2)]) == [Recorded.NEW]
        await store.forget("plain", NOON + HOUR)
        assert await store.record([viewed("plain", 2), viewed("plain", 3)]) == [Recorded.FORGOTTEN, Recorded.NEW]
        assert await store.forgotten_since(last, everybody) == {"plain"}
        hashes = [each.shopper_sha256 for each in await store.tombstones()]
        assert hashes == [BY_OLD.hash("by-old"), BY_NEW.hash("by-new"), BY_NEW.hash("plain")]


async def test_a_state_does_not_open_without_its_keys(place: Path | str) -> None:
    await forget(place, BY_OLD, ANN)
    changed = ShopperHasher([PseudonymKey("old", bytes([3]) * 32)])
    for hasher in (PLAIN, BY_NEW, changed):
        with pytest.raises(StoreError, match=f"fingerprints {OLD.fingerprint}: give the file"):
            async with opened(place, hasher):
                pass
    async with opened(place, ROTATED) as store:
        assert await store.record([viewed(ANN)]) == [Recorded.FORGOTTEN]


async def test_keys_that_made_no_tombstone_are_not_needed(place: Path | str) -> None:
    """Whoever only reads, such as `portrait export-deletions`, binds nobody to its keys."""
    for hasher in (BY_OLD, BY_NEW, PLAIN):
        async with opened(place, hasher) as store:
            assert await store.record([viewed(hasher.hash(ANN))]) == [Recorded.NEW]


async def test_a_state_in_redis_says_that_earlier_versions_cant_read_it(server: RedisServer) -> None:
    server.clear()

    def head() -> list[str | None]:
        with redis.Redis.from_url(server.url, decode_responses=True) as client:
            return [client.hget("portrait:{meta}:state", name) for name in ("schema", "linked")]

    async with opened(server.url, BY_NEW) as store:
        assert head() == ["2", None]
        await store.forget(ANN, NOON)
        assert head() == ["5", None]
        assert await store.link("login", Link("web", NOON, NOON, "login", 1.0)) is LinkOutcome.LINKED
        assert head() == ["5", "1"]
        assert set(await store.identities(["login", "web", "other"])) == {"login", "web"}
    server.clear()
    async with opened(server.url, BY_NEW) as store:
        await store.link("login", Link("web", NOON, NOON, "login", 1.0))
        await store.forget(ANN, NOON)
        assert head() == ["5", "1"]
        assert set(await store.identities(["login", "web", "other"])) == {"login", "web"}


async def test_nothing_that_is_kept_can_be_compared_with_a_guess(place: Path | str) -> None:
    await forget(place, BY_NEW, ANN)
    if isinstance(place, Path):
        kept = b"".join(file.read_bytes() for file in place.parent.glob("portrait.db*"))
    else:
        with redis.Redis.from_url(place) as client:
            kept = b"".join(key + (client.dump(key) or b"") for key in client.scan_iter())
    digest = sha256_of(ANN)
    assert BY_NEW.hash(ANN)[-20:].encode() in kept
    for known in (ANN, digest, digest[2:], bytes.fromhex(digest)):
        assert (known.encode() if isinstance(known, str) else known) not in kept


async def test_keyed_tombstones_move_between_stores(server: RedisServer, tmp_path: Path) -> None:
    server.clear()
    for shopper_id, hasher in (("plain", PLAIN), (ANN, BY_NEW)):
        await forget(tmp_path / "one.db", hasher, shopper_id)
    for source, target in ((tmp_path / "one.db", server.url), (server.url, tmp_path / "two.db")):
        await migrate_state(str(source), str(target), 0, lambda _: None)
        with pytest.raises(StoreError, match=NEW.fingerprint):
            async with opened(target, PLAIN):
                pass
        async with opened(target, BY_NEW) as store:
            assert await store.record([viewed(ANN), viewed("plain")]) == [Recorded.FORGOTTEN] * 2
            assert await store.identities([ANN, "plain"]) == {}


async def test_a_backup_is_restored_without_whom_keyed_tombstones_name(tmp_path: Path) -> None:
    path, target, listed = (tmp_path / name for name in ("portrait.db", "backup.db", "deletions.csv"))
    async with opened(path, BY_OLD) as store:
        await store.record([viewed(each) for each in (ANN, "by-new", "bob")])
    back_up(path, target)
    await forget(path, BY_OLD, ANN)
    await forget(path, ROTATED, "by-new")
    async with opened(path, ROTATED) as store:
        file = io.StringIO(newline="")
        write_tombstones(await store.tombstones(), file)
        listed.write_text(file.getvalue(), encoding="utf-8")
    assert len(list(csv.reader(io.StringIO(file.getvalue())))) == 3
    assert read_tombstones(listed) == read_tombstones_of(path)
    for hasher in (PLAIN, BY_NEW):
        with pytest.raises(StoreError, match=OLD.fingerprint):
            restore(target, tmp_path / "restored.db", read_tombstones(listed), hasher)
    assert not (tmp_path / "restored.db").exists()
    restored = restore(target, tmp_path / "restored.db", read_tombstones(listed), ROTATED)
    assert (restored.events, restored.forgotten) == (1, 2)
    async with opened(tmp_path / "restored.db", ROTATED) as store:
        events = [viewed(each) for each in (ANN, "by-new", "bob")]
        assert await store.record(events) == [Recorded.FORGOTTEN, Recorded.FORGOTTEN, Recorded.KNOWN]
    with pytest.raises(StoreError, match=NEW.fingerprint):
        async with opened(tmp_path / "restored.db", PLAIN):
            pass


@given(steps=STEPS)
@settings(max_examples=15)
def test_a_store_by_keys_says_what_one_without_says(server: RedisServer, steps: list[Step]) -> None:
    """But for the hashes of the tombstones."""

    async def run(folder: Path) -> None:
        server.clear()
        async with (
            opened(folder / "plain.db", PLAIN) as plain,
            opened(folder / "keyed.db", ROTATED) as keyed,
            opened(server.url, ROTATED) as other,
        ):
            for step in steps:
                outcomes = [await do(each, step) for each in (plain, keyed, other)]
                assert outcomes == [outcomes[0]] * 3, step
            told = [await everything(each) for each in (plain, keyed, other)]
            tombstones = [told_by.pop("tombstones") for told_by in told]
            assert told == [told[0]] * 3
            assert tombstones[1] == tombstones[2]
            assert [each.forgotten_at for each in tombstones[0]] == [each.forgotten_at for each in tombstones[1]]

    with TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder)))


async def test_a_key_file_that_cant_be_used_is_named(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    file.write_text("current = 'old'\n[keys]\nold = 'short'\n", encoding="utf-8")
    with pytest.raises(StoreError, match=r"shopper_keys: .*the secret of the key 'old' must be 64"):
        await open_state(tmp_path / "portrait.db", None, 0, file)
    file.write_text(f"current = 'old'\n[keys]\nold = '{'01' * 32}'\n", encoding="utf-8")
    store = await open_state(tmp_path / "portrait.db", None, 0, file)
    await store.forget(ANN, NOON)
    assert [each.shopper_sha256 for each in await store.tombstones()] == [BY_OLD.hash(ANN)]
    await store.close()
