"""A state in Redis as one end of a migration."""

import contextlib
import json
import secrets
from collections.abc import AsyncIterator, Hashable, Sequence
from typing import Any

from redis.exceptions import RedisClusterException, RedisError

from portrait.features.logs.shopper_hashes import PLAIN, fingerprint_of
from portrait.server.errors import PortraitError
from portrait.server.households import Membership
from portrait.server.identities import Identity
from portrait.server.storage.migration.states import BATCH, ItemState, ShopperState, StateReader, TombstoneState
from portrait.server.storage.redis import keys, scripts
from portrait.server.storage.redis.connection import STORE_NAME, Evaluation, RedisConnection, connect
from portrait.server.storage.redis.households import RedisHouseholds
from portrait.server.storage.redis.keys import ALL_BUCKETS, BUCKETS, ShopperKeys, bucket_of, bucket_of_hash
from portrait.server.storage.redis.links import Links
from portrait.server.storage.redis.rows import (
    ARRIVAL_DIGITS,
    SEPARATOR,
    UNNUMBERED,
    pairs_of,
    parse_tombstone,
    split_change,
    to_json,
)
from portrait.server.storage.redis.schema import KEYED_OR_REVIEWED, LINKED, UNLIMITED, WITH_HOUSEHOLDS, read_head
from portrait.server.storage.redis.walk import walk_shoppers
from portrait.server.storage.rows import link_row, membership_row
from portrait.server.storage.store import StoreError

_NAME = "portrait-migration"
_EVENTS_AT_A_TIME = 1_000
"""Events of one script: Redis does nothing else meanwhile."""
_SHOPPERS_OF_BUCKET = 20
"""Ids that are read of each bucket at a time."""
_DECISION = "consent:"


class RedisState:
    """Reads a state; see `StateReader`."""

    def __init__(self, connection: RedisConnection, identity: str) -> None:
        self._redis, self._identity = connection, identity
        self._links = Links(connection, PLAIN)
        self.households = RedisHouseholds(connection, self._links, PLAIN)
        self.has_links = False
        """True if one of the shoppers that were read has a link."""
        self.has_reviews = False
        """True if a review was read."""
        self.has_households = False
        """True if one of the shoppers that were read is a member of a household."""

    async def position(self) -> Hashable:
        """All numbers that grow when somebody writes; what Redis lets go by its time to live changes none."""
        if STORE_NAME in await self._redis.list_clients():
            raise StoreError("a gateway is connected to this Redis: stop all gateways that use it")
        of_all = (keys.DELETIONS, keys.ITEM_COUNTER, keys.REVIEW_CHANGES)
        counters = [*(bucket.counter for bucket in ALL_BUCKETS), *of_all]
        return tuple(await self._redis.read([("GET", counter) for counter in counters]))

    @property
    def identity(self) -> str:
        """Identity of the state."""
        return self._identity

    async def shopper_ids(self) -> AsyncIterator[list[str]]:
        """Yield all shoppers: by bucket those with events, then those who only said something."""
        async for page in walk_shoppers(self._redis, ALL_BUCKETS, _SHOPPERS_OF_BUCKET):
            for begin in range(0, len(page), BATCH):
                yield page[begin : begin + BATCH]
        seen: set[str] = set()
        found: list[str] = []
        async for key in self._redis.scan("portrait:{??}:known:*"):
            found.append(key.split(":", 3)[3])
            if len(found) == BATCH:
                yield await self._without_events(found, seen)
                found = []
        yield await self._without_events(found, seen)

    async def _without_events(self, shopper_ids: Sequence[str], seen: set[str]) -> list[str]:
        """Those of some shoppers who have no events and were not seen."""
        asked = [("ZSCORE", ShopperKeys.of(each).bucket.shoppers, each) for each in shopper_ids]
        scores = await self._redis.read(asked)
        new = {each for each, score in zip(shopper_ids, scores, strict=True) if score is None} - seen
        seen |= new
        return [*new]

    async def read_shoppers(self, shopper_ids: Sequence[str]) -> list[ShopperState]:
        """Read some shoppers; who is held no more is left out."""
        asked: list[tuple[Any, ...]] = []
        for each in map(ShopperKeys.of, shopper_ids):
            asked += [("ZRANGE", each.history, 0, -1), ("HGETALL", each.events)]
            asked += [("HGETALL", each.known), ("LRANGE", each.consents, 0, -1), ("HGETALL", each.reviews)]
        answers = await self._redis.read(asked)
        identities = await self._links.identities(shopper_ids)
        self.has_links = self.has_links or bool(identities)
        memberships = await self.households.memberships(shopper_ids)
        self.has_households = self.has_households or bool(memberships)
        read = [
            _shopper(each, identities.get(each, Identity(each)), memberships.get(each), *answers[5 * at : 5 * at + 5])
            for at, each in enumerate(shopper_ids)
        ]
        self.has_reviews = self.has_reviews or any(shopper.reviews for shopper in read)
        return [shopper for shopper in read if not shopper.is_empty]

    async def shared_reviews(self) -> list[tuple[str, str]]:
        """Read the reviews for segments and for all."""
        [answer] = await self._redis.read([("HGETALL", keys.REVIEWS)])
        self.has_reviews = self.has_reviews or bool(answer)
        return _read_reviews(answer)

    async def tombstones(self) -> AsyncIterator[TombstoneState]:
        """Yield all tombstones, by number; a deletion that was cut short before it had one comes last."""
        found = []
        for answer in await self._redis.read([("HGETALL", bucket.tombstones) for bucket in ALL_BUCKETS]):
            found += [(*parse_tombstone(stored), hashed.decode()) for hashed, stored in pairs_of(answer)]
        last = 0
        for number, at, hashed in sorted(found):
            last = last + 1 if number == UNNUMBERED else number
            yield TombstoneState(last, hashed, at)

    async def items(self) -> AsyncIterator[ItemState]:
        """Yield the last change of each item, by number."""
        begin = 0
        while fields := (await self._redis.read([("ZRANGE", keys.ITEM_NUMBERS, begin, begin + BATCH - 1)]))[0]:
            [changes] = await self._redis.read([("HMGET", keys.ITEM_CHANGES, *fields)])
            for field, change in zip(fields, changes, strict=True):
                yield ItemState(*split_change(field, change))
            begin += BATCH


def _read_reviews(answer: Any) -> list[tuple[str, str]]:
    return [(target.decode(), review.decode()) for target, review in sorted(pairs_of(answer))]


def _shopper(
    shopper_id: str,
    identity: Identity,
    membership: Membership | None,
    history: Any,
    events: Any,
    known: Any,
    consents: Any,
    reviews: Any,
) -> ShopperState:
    fields = {name.decode(): value for name, value in pairs_of(known)}
    # Two buckets may have given one number: with the bucket's own it is of one event, and the order is the same.
    bucket = ShopperKeys.of(shopper_id).bucket.number
    arrived = sorted(
        (int(member[:ARRIVAL_DIGITS], 16) * BUCKETS + bucket, tuple(json.loads(member[ARRIVAL_DIGITS:])))
        for member in history
    )
    decisions = {}
    for name, value in fields.items():
        if name.startswith(_DECISION):
            granted, _, withdrawn_at = value.partition(b":")
            decisions[name.removeprefix(_DECISION)] = (granted == b"1", int(withdrawn_at) if withdrawn_at else None)
    declared = fields.get("demographics")
    return ShopperState(
        shopper_id,
        arrived,
        {event_id.decode(): digest for event_id, digest in pairs_of(events)},
        [tuple(json.loads(each)) for each in consents],
        decisions,
        tuple(json.loads(declared)) if declared else None,
        next(
            ((identity.login_id, *link_row(each)[1:]) for each in identity.links if each.anonymous_id == shopper_id),
            None,
        ),
        [each.anonymous_id for each in identity.links] if identity.login_id == shopper_id else [],
        _read_reviews(reviews),
        membership_row(membership)[1:] if membership else None,
    )


@contextlib.asynccontextmanager
async def open_source(url: str) -> AsyncIterator[StateReader]:
    """Open a state in Redis that no gateway uses.

    Raises:
        StoreError: there is none, a gateway is connected, or Redis does not answer.
    """
    async with _connected(url, 0) as connection:
        head = await read_head(connection)
        if head is None:
            raise StoreError("there is no state of Portrait in this Redis")
        yield RedisState(connection, head.identity)


@contextlib.asynccontextmanager
async def open_target(url: str, replicas: int, source: str) -> AsyncIterator["RedisTarget"]:
    """Open a Redis in which a state is assembled, begun by an earlier run or now.

    Args:
        url: of the Redis, which holds no other state.
        replicas: replicas that must have what is written.
        source: identity of the state that is migrated.

    Raises:
        StoreError: it holds a state, or the unfinished migration of another one.
    """
    async with _connected(url, replicas) as connection:
        [exists] = await connection.read([("EXISTS", keys.STATE)])
        if not exists:
            await _require_empty(connection)
        [begun] = await connection.evaluate([Evaluation(scripts.BEGIN_MIGRATION, (keys.STATE,), (source,))])
        if begun is None:
            raise StoreError("this Redis holds a state of Portrait already")
        if begun.decode() != source:
            raise StoreError(
                "this Redis holds the unfinished migration of another state: finish that, or remove all keys that "
                "begin with portrait:"
            )
        yield RedisTarget(connection)


@contextlib.asynccontextmanager
async def _connected(url: str, replicas: int) -> AsyncIterator[RedisConnection]:
    connection = await connect(url, replicas, _NAME)
    try:
        yield connection
    except (PortraitError, RedisError, RedisClusterException) as error:
        raise StoreError(f"the migration ended early; run it again, and it goes on: {error}") from error
    finally:
        await connection.close()


async def _require_empty(connection: RedisConnection) -> None:
    own = [key for each in ALL_BUCKETS for key in (each.shoppers, each.counter, each.tombstones)]
    asked = [("EXISTS", key) for key in (*own, keys.DELETIONS, keys.ITEM_CHANGES)]
    if any(await connection.read(asked)):
        raise StoreError(
            "this Redis holds keys of Portrait that belong to no state: remove all that begin with portrait:"
        )


class RedisTarget:
    """Fills a state that is marked as unfinished; see `StateWriter`."""

    def __init__(self, connection: RedisConnection) -> None:
        self._redis = connection
        self._reader = RedisState(connection, "")
        self._is_keyed = False

    async def missing(self, shopper_ids: Sequence[str]) -> list[str]:
        """Those of some shoppers who are not written yet."""
        asked = [("SISMEMBER", ShopperKeys.of(each).bucket.migrated, each) for each in shopper_ids]
        there = await self._redis.read(asked)
        return [each for each, is_there in zip(shopper_ids, there, strict=True) if not is_there]

    async def write_shoppers(self, shoppers: Sequence[ShopperState]) -> None:
        """Write some shoppers: their events, then the rest, which marks them as written."""
        events = [each for shopper in shoppers for each in _load_events(shopper)]
        for begin in range(0, len(events), BATCH):
            await self._redis.evaluate(events[begin : begin + BATCH])
        await self._redis.write_all([each for shopper in shoppers for each in _load_reviews_and_household(shopper)])
        await self._redis.evaluate([_load_shopper(shopper) for shopper in shoppers])

    async def write_shared_reviews(self, reviews: Sequence[tuple[str, str]]) -> None:
        """Write all reviews for segments and for all."""
        if reviews:
            fields = [each for review in reviews for each in review]
            await self._redis.write_all([("HSET", keys.REVIEWS, *fields), ("SET", keys.REVIEW_CHANGES, 1)])

    async def write_tombstones(self, tombstones: Sequence[TombstoneState]) -> None:
        """Write some tombstones."""
        commands: list[tuple[str, ...]] = [
            ("HSET", bucket_of_hash(hashed).tombstones, hashed, f"{number}:{at}") for number, hashed, at in tombstones
        ]
        if used := {each for _, hashed, _ in tombstones if (each := fingerprint_of(hashed))}:
            self._is_keyed = True
            commands.append(("SADD", keys.TOMBSTONE_KEYS, *sorted(used)))
        await self._redis.write_all(commands)

    async def write_items(self, items: Sequence[ItemState]) -> None:
        """Write the last changes of some items."""
        values: list[Any] = []
        for number, catalogue, item_id, item, writer in items:
            values += (number, f"{catalogue}{SEPARATOR}{item_id}", f"{number} {writer} {item or ''}")
        used = (keys.ITEM_CHANGES, keys.ITEM_NUMBERS, keys.ITEM_COUNTER)
        await self._redis.evaluate([Evaluation(scripts.LOAD_ITEMS, used, values)])

    async def complete(self) -> StateReader:
        """Count the deletions; remove members whom a run that was cut short had brought, and who left meanwhile."""
        async for key in self._redis.scan("portrait:{??}:household:*"):
            await self._reader.households.remove_strangers(key.split(":", 3)[3])
        numbers = [each.number async for each in self._reader.tombstones()]
        if numbers:
            await self._redis.write(("SET", keys.DELETIONS, numbers[-1]))
        return self._reader

    async def publish(self) -> None:
        """Make it a state with an identity of its own."""
        await self._redis.write_all([("DEL", bucket.migrated) for bucket in ALL_BUCKETS])
        if self._reader.has_links:
            await self._redis.write(("HSET", keys.STATE, "linked", 1))
        linked = LINKED if self._reader.has_links else UNLIMITED
        schema = KEYED_OR_REVIEWED if self._is_keyed or self._reader.has_reviews else linked
        values = (WITH_HOUSEHOLDS if self._reader.has_households else schema, secrets.token_hex(16))
        await self._redis.evaluate([Evaluation(scripts.END_MIGRATION, (keys.STATE,), values)])

    async def discard(self) -> None:
        """Remove all keys, that of the state last."""
        found: list[tuple[str, str]] = []
        async for key in self._redis.scan("portrait:{*"):
            if key != keys.STATE:
                found.append(("UNLINK", key))
            if len(found) == BATCH:
                await self._redis.write_all(found)
                found = []
        await self._redis.write_all([*found, ("UNLINK", keys.STATE)])


def _load_events(shopper: ShopperState) -> list[Evaluation]:
    of_shopper = ShopperKeys.of(shopper.shopper_id)
    bucket = of_shopper.bucket
    used = (of_shopper.history, of_shopper.events, bucket.shoppers, bucket.arrivals, bucket.counter)
    evaluations = []
    for begin in range(0, len(shopper.events), _EVENTS_AT_A_TIME):
        values: list[Any] = [shopper.shopper_id]
        for arrival, row in shopper.events[begin : begin + _EVENTS_AT_A_TIME]:
            event_id, _, time, *_ = row
            values += (arrival, time, f"{arrival:016x}{to_json(row)}", event_id, shopper.event_ids[event_id])
        evaluations.append(Evaluation(scripts.LOAD_EVENTS, used, values))
    return evaluations


def _load_reviews_and_household(shopper: ShopperState) -> list[tuple[Any, ...]]:
    """Commands that write the reviews of a shopper, and the shopper on the side of the household."""
    commands: list[tuple[Any, ...]] = []
    if shopper.reviews:
        of_shopper = ShopperKeys.of(shopper.shopper_id)
        commands.append(("HSET", of_shopper.reviews, *(each for review in shopper.reviews for each in review)))
        commands.append(("ZADD", of_shopper.bucket.reviewed, 0, shopper.shopper_id))
    if shopper.household:
        household_id = shopper.household[0]
        commands.append(("SADD", bucket_of(household_id).members(household_id), shopper.shopper_id))
    return commands


def _load_shopper(shopper: ShopperState) -> Evaluation:
    of_shopper = ShopperKeys.of(shopper.shopper_id)
    values: list[Any] = [shopper.shopper_id, len(shopper.consents), *map(to_json, shopper.consents)]
    for purpose, (granted, withdrawn_at) in shopper.decisions.items():
        values += (f"{_DECISION}{purpose}", f"{int(granted)}:{'' if withdrawn_at is None else withdrawn_at}")
    if shopper.demographics:
        values += ("demographics", to_json(shopper.demographics))
    if shopper.login:
        values += ("login", to_json(shopper.login))
    if shopper.household:
        values += ("household", to_json(shopper.household))
    if shopper.reviews:
        values += ("reviewed", "1")
    if shopper.linked_ids:
        values += ("links", to_json(shopper.linked_ids))
    values += ("version", shopper.events[-1][0] if shopper.events else 0)
    bucket = of_shopper.bucket
    used = (of_shopper.known, of_shopper.consents, bucket.migrated, bucket.shoppers)
    return Evaluation(scripts.LOAD_SHOPPER, used, values)
