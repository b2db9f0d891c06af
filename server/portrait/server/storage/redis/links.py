"""Links in Redis: an anonymous id names its login, and a login its anonymous ids, each in a slot of its own.

No command reaches two slots. So a link holds if both sides have it, and whoever changes the links of a login holds its
lock: of what is cut short, one side has nothing, and the next call for the same ids mends it.
"""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from portrait.features.logs.shopper_hashes import ShopperHasher
from portrait.server.consent.consents import Decisions, Purpose
from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import Unavailable
from portrait.server.identities import MAX_LINKS, Identity, Link, LinkOutcome
from portrait.server.storage.queries import split_ids
from portrait.server.storage.redis import keys
from portrait.server.storage.redis import link_scripts as scripts
from portrait.server.storage.redis.connection import MAX_WAIT_SECONDS, RedisConnection
from portrait.server.storage.redis.keys import ShopperKeys, bucket_of_hash
from portrait.server.storage.redis.rows import parse_tombstone, to_json
from portrait.server.storage.redis.schema import LINKED, SchemaMark
from portrait.server.storage.rows import link_of, link_row
from portrait.server.timestamps import to_microseconds

_SIDES = ("login", "links")
_CONSENTS = tuple(f"consent:{purpose}" for purpose in Purpose)
_LOCK_MILLISECONDS = 60_000
"""Longer than all commands of a change may take together."""
_PAUSE_SECONDS = 0.02
_RETRY_SECONDS = 1.0

Known = Mapping[str, Sequence[bytes | None]]
"""By id: `login`, `links`, and the other fields that were asked for; of an id and of all that it names."""


class Links:
    """Reads and changes links; see `Store` for what the methods do.

    Args:
        connection: of Redis.
        hasher: hashes the ids of forgotten shoppers.
    """

    def __init__(self, connection: RedisConnection, hasher: ShopperHasher) -> None:
        self._redis, self._hasher = connection, hasher
        # Versions that know no links would not ask all ids for consent.
        self._mark = SchemaMark(connection, LINKED)

    async def read_known(self, shopper_ids: Sequence[str], *fields: str) -> Known:
        """Read the hashes of some shoppers, and of all ids that these name: one command for each id.

        Ids of one step are read at the same time: one without links takes one step, a login two, an anonymous id three.
        """
        known: dict[str, Sequence[bytes | None]] = {}
        left = [*dict.fromkeys(shopper_ids)]
        while left:
            asked = [("HMGET", ShopperKeys.of(each).known, *_SIDES, *fields) for each in left]
            named: dict[str, None] = {}
            for each, answer in zip(left, await self._redis.read(asked), strict=True):
                known[each] = answer
                login, links = answer[:2]
                if login:
                    named[json.loads(login)[0]] = None
                if links:
                    named.update(dict.fromkeys(json.loads(links)))
            left = [each for each in named if each not in known]
        return known

    async def identities(self, shopper_ids: Sequence[str]) -> dict[str, Identity]:
        """The identities of those of any number of shoppers who have links."""
        found: dict[str, Identity] = {}
        if len(shopper_ids) > 1 and not await self.has_links():
            return found
        for part in split_ids(shopper_ids):
            known = await self.read_known(part)
            found.update({each: identity for each in part if (identity := find_identity(known, each)).links})
        return found

    async def has_links(self) -> bool:
        """Tell whether there has ever been a link: one look spares one at each of many shoppers."""
        [(schema, linked)] = await self._redis.read([("HMGET", keys.STATE, "schema", "linked")])
        return schema is None or int(schema) == LINKED or linked is not None  # without a schema, a migration fills it

    async def consents(self, shopper_id: str) -> Decisions:
        """All ids of a shopper, and the strictest decision on each purpose."""
        known = await self.read_known([shopper_id], *_CONSENTS)
        return Decisions.combine(
            {each: _decisions(known[each][2:]) for each in find_identity(known, shopper_id).shopper_ids}
        )

    async def link(self, login_id: str, link: Link) -> LinkOutcome:
        """Link an anonymous id to a login: the login names it first, so that a reader of either side finds both."""
        anonymous_id, at = link.anonymous_id, to_microseconds(link.time)
        async with self.locked(login_id):
            known = await self.read_known([login_id, anonymous_id], "household")
            identity = find_identity(known, login_id)
            # Under the lock, whoever is not among them is left from a change that was cut short.
            before = [each.anonymous_id for each in identity.links]
            refusal = _find_refusal(known, identity, login_id, anonymous_id)
            if refusal is None and await self._is_forgotten((login_id, anonymous_id), at):
                refusal = LinkOutcome.FORGOTTEN  # known before anything is changed; the scripts look again
            if refusal is not None:
                return refusal
            await self._mark.set()
            outcome = await self._add_link(login_id, sorted({*before, anonymous_id}), at, known[login_id])
            if outcome is not LinkOutcome.LINKED:
                return outcome
            outcome = await self._set_login(login_id, link, known[anonymous_id])
            if outcome is not LinkOutcome.LINKED and anonymous_id not in before:
                await self._remove_link(login_id, before)
            return outcome

    async def unlink(self, login_id: str, anonymous_id: str) -> None:
        """Remove a link, or what is left of one that was cut short."""
        async with self.locked(login_id):
            known = await self.read_known([login_id, anonymous_id])
            names, links = _login_of(known[anonymous_id]) == login_id, _named(known[login_id])
            if names:
                used = _keys(anonymous_id, "known", "arrivals", "counter")
                await self._redis.evaluate_one(scripts.CLEAR_LOGIN, used, (anonymous_id,))
            if names or anonymous_id in links:
                await self._remove_link(login_id, [each for each in links if each != anonymous_id])

    @asynccontextmanager
    async def locked(self, login_id: str) -> AsyncIterator[None]:
        """Keep others from changing the links of a login.

        Raises:
            Unavailable: somebody else changes them for long.
        """
        key, token, until = ShopperKeys.of(login_id).lock, secrets.token_hex(8), time.monotonic() + MAX_WAIT_SECONDS
        while not await self._redis.evaluate_one(scripts.LOCK, (key,), (token, _LOCK_MILLISECONDS)):
            if time.monotonic() >= until:
                raise Unavailable(
                    "another call changes the links of this shopper", _RETRY_SECONDS, ErrorReason.STATE_LOCKED
                )
            await asyncio.sleep(_PAUSE_SECONDS)
        try:
            yield
        finally:
            await asyncio.shield(self._redis.evaluate_one(scripts.UNLOCK, (key,), (token,)))

    async def _is_forgotten(self, shopper_ids: Sequence[str], at: int) -> bool:
        hashes = [hashed for each in shopper_ids for hashed in self._hasher.list_hashes(each)]
        tombstones = await self._redis.read([("HGET", bucket_of_hash(each).tombstones, each) for each in hashes])
        return any(each and at <= parse_tombstone(each)[1] for each in tombstones)

    async def _add_link(
        self, login_id: str, links: Sequence[str], at: int, before: Sequence[bytes | None]
    ) -> LinkOutcome:
        used = _keys(login_id, "known", "shoppers", "arrivals", "counter", "tombstones")
        values = (login_id, ",".join(self._hasher.list_hashes(login_id)), at, to_json(links), before[0] or "")
        return LinkOutcome[(await self._redis.evaluate_one(scripts.ADD_LINK, used, values)).decode()]

    async def _set_login(self, login_id: str, link: Link, before: Sequence[bytes | None]) -> LinkOutcome:
        anonymous_id, *row = link_row(link)
        used = _keys(anonymous_id, "known", "arrivals", "counter", "tombstones")
        hashes = ",".join(self._hasher.list_hashes(anonymous_id))
        values = (anonymous_id, hashes, row[0], before[0] or "", to_json((login_id, *row)))
        return LinkOutcome[(await self._redis.evaluate_one(scripts.SET_LOGIN, used, values)).decode()]

    async def _remove_link(self, login_id: str, left: Sequence[str]) -> None:
        used = _keys(login_id, "known", "shoppers", "arrivals", "counter", "history")
        await self._redis.evaluate_one(scripts.REMOVE_LINK, used, (login_id, to_json(left) if left else ""))


def find_identity(known: Known, shopper_id: str) -> Identity:
    """Find the identity of an id: the links that both sides have."""
    login_id = _login_of(known[shopper_id])
    if login_id is None or shopper_id not in _named(known[login_id]):
        login_id = shopper_id
    links = []
    for each in _named(known[login_id]):
        if _login_of(known[each]) == login_id:
            _, *row = json.loads(known[each][0] or b"")
            links.append(link_of((each, *row)))
    return Identity(login_id, tuple(links))


def _find_refusal(known: Known, identity: Identity, login_id: str, anonymous_id: str) -> LinkOutcome | None:
    """Find out why an anonymous id can't be linked; None if it seems that it can, and the scripts decide."""
    if identity.login_id != login_id:
        return LinkOutcome.LOGIN_LINKED
    if find_identity(known, anonymous_id).login_id not in (anonymous_id, login_id):
        return LinkOutcome.TAKEN
    if _named(known[anonymous_id]):
        return LinkOutcome.HAS_LINKS
    if known[anonymous_id][2]:
        return LinkOutcome.MEMBER
    return LinkOutcome.FULL if len({*identity.shopper_ids, anonymous_id}) > 1 + MAX_LINKS else None


def _login_of(fields: Sequence[bytes | None]) -> str | None:
    return str(json.loads(fields[0])[0]) if fields[0] else None


def _named(fields: Sequence[bytes | None]) -> list[str]:
    return list(json.loads(fields[1])) if fields[1] else []


def _decisions(found: Sequence[bytes | None]) -> dict[Purpose, bool]:
    return {purpose: each.startswith(b"1") for purpose, each in zip(Purpose, found, strict=True) if each}


def _keys(shopper_id: str, *names: str) -> tuple[str, ...]:
    """Keys of a shopper and of its bucket, by their names."""
    of_shopper = ShopperKeys.of(shopper_id)
    return tuple(getattr(of_shopper if hasattr(of_shopper, each) else of_shopper.bucket, each) for each in names)
