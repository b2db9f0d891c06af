"""A store in Redis, one server or a cluster. Open it with `open_redis_store`."""

import asyncio
import heapq
import json
import secrets
from collections.abc import AsyncIterator, Hashable, Sequence
from datetime import datetime, timedelta
from typing import Any

from portrait.features.events import Event
from portrait.features.logs.shopper_hashes import PLAIN, ShopperHasher
from portrait.server.consent.consents import Consent, Decisions, Purpose
from portrait.server.demographics import Demographics
from portrait.server.identities import Identity, Link, LinkOutcome
from portrait.server.reviews.review import Review, ReviewTarget
from portrait.server.reviews.review_set import Reviews
from portrait.server.storage.queries import split_ids
from portrait.server.storage.redis import keys, scripts
from portrait.server.storage.redis.connection import Evaluation, RedisConnection, connect
from portrait.server.storage.redis.event_reads import EventReads
from portrait.server.storage.redis.households import RedisHouseholds
from portrait.server.storage.redis.keys import ALL_BUCKETS, ShopperKeys
from portrait.server.storage.redis.links import Links, find_identity
from portrait.server.storage.redis.reviews import StoredReviews
from portrait.server.storage.redis.rows import (
    SEPARATOR,
    UNNUMBERED,
    digest_event,
    pairs_of,
    parse_change,
    parse_demographics,
    parse_tombstone,
    to_json,
)
from portrait.server.storage.redis.schema import begin_state, note_key
from portrait.server.storage.redis.sweep import sweep_due_buckets
from portrait.server.storage.retention import KEEP_ALL, Retention, record_kept
from portrait.server.storage.rows import EVENT_ID, TIME, consent_of, consent_row, event_row, item_json
from portrait.server.storage.store import (
    EventPosition,
    EventSelection,
    Forgotten,
    ItemChange,
    Recorded,
    RecordedEvent,
    StoreError,
)
from portrait.server.storage.tombstones import Tombstone
from portrait.server.timestamps import from_microseconds, to_microseconds

_SCAN_ROWS = 1_000
_MIN_ROWS = 16
"""Rows that are read of a bucket at least."""
_OUTCOMES = {each.name.encode(): each for each in Recorded}


class RedisStore:
    """A `Store` that gateways of several machines share.

    The events of one shopper in a call are stored all or none. Those of several shoppers are not one transaction: a
    call that fails may have stored some of them, and storing it again stores the rest.

    Args:
        connection: from `connect`.
        identity: of the state.
        retention: how long events are kept.
        hasher: hashes the ids of forgotten shoppers.
        is_limited: whether events expire, or have expired under an earlier retention.
    """

    def __init__(
        self,
        connection: RedisConnection,
        identity: str,
        retention: Retention = KEEP_ALL,
        hasher: ShopperHasher = PLAIN,
        *,
        is_limited: bool = False,
    ) -> None:
        self._redis, self._identity, self._hasher = connection, identity, hasher
        self._retention, self._is_limited = retention, is_limited
        self._events, self._links = EventReads(connection, retention), Links(connection, hasher)
        self._reviews = StoredReviews(connection)
        self._households = RedisHouseholds(connection, self._links, hasher)
        self._is_key_noted = False
        self._name = secrets.token_hex(8)
        """Tells this process's changes from those of others."""

    @property
    def identity(self) -> str:
        """Tells this state from all others."""
        return self._identity

    @property
    def fault(self) -> None:
        """None: damage is for Redis to find and to mend."""
        return

    @property
    def households(self) -> RedisHouseholds:
        """The households and their members."""
        return self._households

    async def check(self) -> None:
        """Ask for every bucket, so that each server of a cluster answers."""
        await self._redis.read([("EXISTS", bucket.counter) for bucket in ALL_BUCKETS])

    async def record(self, events: Sequence[RecordedEvent]) -> list[Recorded]:
        """Store events; for each what became of it."""
        return await record_kept(self._retention, events, self._record)

    async def _record(self, events: Sequence[RecordedEvent]) -> list[Recorded]:
        places: dict[str, list[int]] = {}
        for place, recorded in enumerate(events):
            places.setdefault(recorded.shopper_id, []).append(place)
        evaluations = []
        for shopper_id, of_shopper in places.items():
            hashes = ",".join(self._hasher.list_hashes(shopper_id))
            values: list[Any] = [shopper_id, hashes, self._remaining(events, of_shopper)]
            for place in of_shopper:
                row = event_row(events[place])
                digest, text = digest_event(row[1:])
                values += (row[EVENT_ID], row[TIME], digest, text)
            evaluations.append(Evaluation(scripts.RECORD, _shopper_and_bucket(shopper_id), values))
        outcomes: list[Recorded] = [Recorded.NEW] * len(events)
        for of_shopper, answer in zip(places.values(), await self._redis.evaluate(evaluations), strict=True):
            for place, outcome in zip(of_shopper, answer, strict=True):
                outcomes[place] = _OUTCOMES[outcome]
        return outcomes

    def _remaining(self, events: Sequence[RecordedEvent], places: Sequence[int]) -> str:
        """Milliseconds until the last of some events expires; empty if one never does."""
        if self._retention.keeps_all:
            return ""
        remaining = [self._retention.remaining(events[place].event) for place in places]
        known = [each for each in remaining if each is not None]
        if len(known) < len(remaining):
            return ""
        return str(max(max(known) // timedelta(milliseconds=1), 1))

    async def delete_expired(self) -> int:
        """Delete the events whose retention is over, if no other gateway does; each about once in some hours."""
        return await sweep_due_buckets(self._redis, self._retention) if self._is_limited else 0

    async def forget(self, shopper_id: str, now: datetime) -> Forgotten:
        """Remove all that is known of a shopper, under all linked ids.

        The named id goes last, and the login last of the others: until then, a call for it finds all that are left.
        """
        if self._hasher.current is not None and not self._is_key_noted:
            await note_key(self._redis, self._hasher.current)
            self._is_key_noted = True
        while True:
            login_id = find_identity(await self._links.read_known([shopper_id]), shopper_id).login_id
            async with self._links.locked(login_id):
                identity = find_identity(await self._links.read_known([shopper_id]), shopper_id)
                if identity.login_id != login_id:
                    continue  # linked or unlinked meanwhile
                others = [each for each in reversed(identity.shopper_ids) if each != shopper_id]
                forgotten = [await self._forget_id(each, now) for each in (*others, shopper_id)]
                return Forgotten(sum(each.events for each in forgotten), forgotten[-1].at)

    async def _forget_id(self, shopper_id: str, now: datetime) -> Forgotten:
        await self._households.remove_member(shopper_id)  # while the shopper still names the household
        hashes, of_shopper = self._hasher.list_hashes(shopper_id), ShopperKeys.of(shopper_id)
        tombstones = of_shopper.bucket.tombstones
        values = (shopper_id, ",".join(hashes), to_microseconds(now), UNNUMBERED)
        used = (*_shopper_and_bucket(shopper_id), of_shopper.reviews, of_shopper.bucket.reviewed)
        removed, at = await self._redis.evaluate_one(scripts.FORGET, used, values)
        # Numbered last: whoever reads the number of the last deletion sees what that deletion left.
        number = await self._redis.evaluate_one(scripts.COUNT_DELETION, (keys.DELETIONS,), ())
        await self._redis.evaluate_one(scripts.NUMBER_DELETION, (tombstones,), (hashes[0], UNNUMBERED, number, at))
        return Forgotten(removed, from_microseconds(int(at)))

    async def last_forgotten(self) -> int:
        """The number of the last time that a shopper was forgotten."""
        [last] = await self._redis.read([("GET", keys.DELETIONS)])
        return int(last or 0)

    async def forgotten_since(self, after: int, shopper_ids: Sequence[str]) -> set[str]:
        """Those of any number of shoppers who were forgotten after a time."""
        found: set[str] = set()
        for part in split_ids(shopper_ids):
            asked = [
                ("HMGET", ShopperKeys.of(each).bucket.tombstones, *self._hasher.list_hashes(each)) for each in part
            ]
            answers = await self._redis.read(asked)
            found |= {
                each
                for each, answer in zip(part, answers, strict=True)
                if any(stored and parse_tombstone(stored)[0] > after for stored in answer)
            }
        return found

    async def tombstones(self) -> list[Tombstone]:
        """All shoppers who were forgotten."""
        found = []
        for answer in await self._redis.read([("HGETALL", bucket.tombstones) for bucket in ALL_BUCKETS]):
            for hashed, stored in pairs_of(answer):
                number, at = parse_tombstone(stored)
                found.append((number, Tombstone(hashed.decode(), from_microseconds(at))))
        return [tombstone for _, tombstone in sorted(found, key=lambda each: each[0])]

    async def history(self, shopper_id: str, as_of: datetime, limit: int) -> list[Event]:
        """The latest events of a shopper up to a moment, oldest first."""
        return await self._events.history(shopper_id, as_of, limit)

    async def list_events(
        self, shopper_id: str, after: EventPosition | None, limit: int
    ) -> list[tuple[EventPosition, Event]]:
        """The next events of a shopper, oldest first."""
        return await self._events.list_events(shopper_id, after, limit)

    async def latest_events(
        self, shopper_id: str, selection: EventSelection, before: EventPosition, limit: int
    ) -> list[tuple[EventPosition, Event]]:
        """The last events of a selection before a position, newest first."""
        return await self._events.latest_events(shopper_id, selection, before, limit)

    async def count_events(self, shopper_ids: Sequence[str], as_of: datetime, limit: int) -> dict[str, int]:
        """Count the events that `history` would return for each shopper."""
        return await self._events.count_events(shopper_ids, as_of, limit)

    async def versions(self, shopper_ids: Sequence[str]) -> Hashable:
        """Another value after everything that is recorded of one of the shoppers."""
        reading = self._links.read_known(shopper_ids, "version"), self._reviews.read_version()
        known, shared = await asyncio.gather(*reading)
        return (shared, *(version for _, _, version in known.values()))

    async def shoppers(self, after: str, limit: int) -> list[str]:
        """The next shoppers in the order of their ids."""
        found: list[bytes] = []
        beginning = b"(" + after.encode() if after else b"-"
        rows = limit // len(ALL_BUCKETS) * 2 + _MIN_ROWS
        while len(found) < limit:
            asked = [("ZRANGEBYLEX", each.shoppers, beginning, "+", "LIMIT", 0, rows) for each in ALL_BUCKETS]
            parts = await self._redis.read(asked)
            # Behind the last row of a bucket that has more, others may lack rows too.
            bound = min((part[-1] for part in parts if len(part) == rows), default=None)
            found += [each for each in heapq.merge(*parts) if bound is None or each <= bound]
            if bound is None:
                break
            beginning = b"(" + bound
        return [each.decode() for each in found[:limit]]

    async def shoppers_with_arrivals(self, after: int, last: int) -> list[str]:
        """The shoppers of some events, and perhaps of later ones."""
        asked = [("ZRANGEBYSCORE", bucket.arrivals, f"({after}", "+inf") for bucket in ALL_BUCKETS]
        return [member.decode() for members in await self._redis.read(asked) for member in members]

    async def last_arrival(self) -> int:
        """A number that every later event is above: the time of the server whose clock is most behind."""
        asked = [Evaluation(scripts.READ_COUNTER, (bucket.counter,), ()) for bucket in ALL_BUCKETS]
        looked = await self._redis.query(asked)
        if not any(int(counter) for counter, _ in looked):
            return 0
        return min(int(now) for _, now in looked) - 1

    async def record_consents(self, shopper_id: str, consents: Sequence[Consent]) -> None:
        """Keep what a shopper said beside all that they said before."""
        of_shopper = ShopperKeys.of(shopper_id)
        values: list[Any] = [secrets.token_hex(8)]
        for consent in consents:
            row = consent_row(consent)
            purpose, granted, time, recorded_at, *_ = row
            values += (purpose, int(granted), time, recorded_at, to_json(row))
        used = (of_shopper.known, of_shopper.consents, of_shopper.bucket.counter)
        await self._redis.evaluate_one(scripts.RECORD_CONSENTS, used, values)

    async def link(self, login_id: str, link: Link) -> LinkOutcome:
        """Link an anonymous id to a login."""
        return await self._links.link(login_id, link)

    async def unlink(self, login_id: str, anonymous_id: str) -> None:
        """Remove the link of an anonymous id to a login."""
        await self._links.unlink(login_id, anonymous_id)

    async def identities(self, shopper_ids: Sequence[str]) -> dict[str, Identity]:
        """The identities of those of any number of shoppers who have links."""
        return await self._links.identities(shopper_ids)

    async def relinked_since(self, after: int, shopper_ids: Sequence[str]) -> set[str]:
        """Those of any number of shoppers of whom a link was made or undone after a time."""
        if not await self._links.has_links():
            return set()
        return {each async for each, number in self._read_field("relinked", shopper_ids) if int(number) > after}

    async def consents(self, shopper_id: str) -> Decisions:
        """Return all ids of a shopper, and the strictest decision on each purpose."""
        return await self._links.consents(shopper_id)

    async def consent_records(self, shopper_id: str, limit: int) -> list[Consent]:
        """The last of all that a shopper said, in the order of its arrival."""
        [found] = await self._redis.read([("LRANGE", ShopperKeys.of(shopper_id).consents, -limit, -1)])
        return [consent_of(json.loads(each)) for each in found]

    async def shoppers_with_decision(self, purpose: Purpose, granted: bool, shopper_ids: Sequence[str]) -> set[str]:
        """Those of any number of shoppers who granted or withdrew a purpose."""
        wanted = b"1" if granted else b"0"
        return {
            shopper_id
            async for shopper_id, found in self._read_field(f"consent:{purpose}", shopper_ids)
            if found.startswith(wanted)
        }

    async def set_demographics(self, shopper_id: str, demographics: Demographics) -> bool:
        """Keep what a shopper declares, in place of what they declared before."""
        of_shopper = ShopperKeys.of(shopper_id)
        bands = (demographics.age_band, demographics.gender, demographics.region)
        value = to_json((*bands, to_microseconds(demographics.declared_at), demographics.source))
        used = (of_shopper.known, of_shopper.bucket.counter)
        return bool(await self._redis.evaluate_one(scripts.SET_DEMOGRAPHICS, used, (value,)))

    async def demographics(self, shopper_id: str) -> Demographics | None:
        """Return the demographics that a shopper declared."""
        [found] = await self._redis.read([("HGET", ShopperKeys.of(shopper_id).known, "demographics")])
        return parse_demographics(found) if found else None

    async def regions(self, shopper_ids: Sequence[str]) -> dict[str, str]:
        """The regions that any number of shoppers declared."""
        declared = self._read_field("demographics", shopper_ids)
        return {each: region async for each, found in declared if (region := parse_demographics(found).region)}

    async def set_review(self, review: Review) -> bool:
        """Keep a review in place of that of the same target."""
        return await self._reviews.set_review(review)

    async def remove_review(self, target: ReviewTarget) -> bool:
        """Remove the review of a target."""
        return await self._reviews.remove_review(target)

    async def reviews(self, shopper_id: str) -> list[Review]:
        """All reviews for one id, or those for segments and for all."""
        return await self._reviews.reviews(shopper_id)

    async def reviewed_shoppers(self, after: str, limit: int) -> list[str]:
        """The next ids with reviews."""
        return await self._reviews.reviewed_shoppers(after, limit)

    async def applied_reviews(self, shopper_ids: Sequence[str]) -> Reviews:
        """The reviews for all ids of a shopper, and the shared ones."""
        return await self._reviews.applied_reviews(shopper_ids)

    async def change_items(self, changes: Sequence[ItemChange], *, since: float | None = None) -> None:
        """Remember items that were added, replaced or removed."""
        values: list[Any] = [self._name]
        for change in changes:
            values += (f"{change.catalogue}{SEPARATOR}{change.item_id}", item_json(change.item) or "")
        used = (keys.ITEM_CHANGES, keys.ITEM_NUMBERS, keys.ITEM_COUNTER)
        await self._redis.evaluate_one(scripts.CHANGE_ITEMS, used, values)

    async def item_changes(self) -> AsyncIterator[ItemChange]:
        """The last change of every item that was ever changed."""
        cursor, seen = 0, set[bytes]()
        while True:
            [(cursor, found)] = await self._redis.read([("HSCAN", keys.ITEM_CHANGES, cursor, "COUNT", _SCAN_ROWS)])
            for field, stored in pairs_of(found):
                if field not in seen:  # a scan may meet one twice
                    seen.add(field)
                    yield parse_change(field, stored)[1]
            if not int(cursor):
                return

    async def last_item_change(self) -> int:
        """The number of the last change of all; 0 if there was none."""
        [last] = await self._redis.read([("GET", keys.ITEM_COUNTER)])
        return int(last or 0)

    async def remote_item_changes(self, after: int) -> tuple[int, list[ItemChange]]:
        """The last change of every item that another process changed last."""
        last = await self.last_item_change()
        if last <= after:
            return after, []
        [fields] = await self._redis.read([("ZRANGEBYSCORE", keys.ITEM_NUMBERS, f"({after}", last)])
        if not fields:
            return last, []
        [stored] = await self._redis.read([("HMGET", keys.ITEM_CHANGES, *fields)])
        changes = [parse_change(field, each) for field, each in zip(fields, stored, strict=True)]
        changes = [(writer, each) for writer, each in changes if writer != self._name and each.number <= last]
        return last, sorted((each for _, each in changes), key=lambda each: each.number)

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.close()

    async def _read_field(self, field: str, shopper_ids: Sequence[str]) -> AsyncIterator[tuple[str, bytes]]:
        """Yield shoppers who have a field in their hash, with its value."""
        for part in split_ids(shopper_ids):
            answers = await self._redis.read([("HGET", ShopperKeys.of(each).known, field) for each in part])
            for shopper_id, answer in zip(part, answers, strict=True):
                if answer:
                    yield shopper_id, answer


async def open_redis_store(
    url: str, replicas: int = 0, retention: Retention = KEEP_ALL, hasher: ShopperHasher = PLAIN
) -> RedisStore:
    """Open the store of a Redis server or cluster, or begin it.

    Args:
        url: redis://HOST:PORT, rediss:// for TLS, or unix://PATH; of a cluster that of any node.
        replicas: replicas of Redis that must have a write before it is acknowledged.
        retention: how long events are kept.
        hasher: hashes the ids of forgotten shoppers.

    Raises:
        StoreError: it can't be used: nobody answers there, another version of Portrait wrote it, a migration is filling
            it, or the hasher lacks a key by which it knows forgotten shoppers.
    """
    connection = await connect(url, replicas)
    try:
        head = await begin_state(connection, hasher, limited=not retention.keeps_all)
    except Exception as error:
        await connection.close()
        if isinstance(error, StoreError):
            raise
        raise StoreError(f"the state in Redis can't be opened: {error}") from error
    return RedisStore(connection, head.identity, retention, hasher, is_limited=head.is_limited)


def _shopper_and_bucket(shopper_id: str) -> tuple[str, ...]:
    of_shopper = ShopperKeys.of(shopper_id)
    bucket = of_shopper.bucket
    return (*of_shopper.all, bucket.shoppers, bucket.arrivals, bucket.counter, bucket.tombstones)
