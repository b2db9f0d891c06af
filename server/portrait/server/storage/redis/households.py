"""Households in Redis: a member names its household, and a household its members, each in a slot of its own.

No command reaches two slots. So a membership holds if both sides have it, and whoever changes it holds the lock of the
shopper. The member's side is written first and removed last: a household names nobody who does not name it, so that a
deletion finds the household of a shopper whatever was cut short.
"""

import json
from collections.abc import Sequence

from portrait.features.logs.shopper_hashes import ShopperHasher
from portrait.server.households import MAX_MEMBERS, JoinOutcome, Membership
from portrait.server.storage.queries import split_ids
from portrait.server.storage.redis import household_scripts as scripts
from portrait.server.storage.redis.connection import Evaluation, RedisConnection
from portrait.server.storage.redis.keys import ShopperKeys, bucket_of
from portrait.server.storage.redis.links import Links, find_identity
from portrait.server.storage.redis.rows import to_json
from portrait.server.storage.redis.schema import WITH_HOUSEHOLDS, SchemaMark
from portrait.server.storage.rows import membership_of, membership_row

_FIELD = "household"


class RedisHouseholds:
    """The households of a state in Redis; see `Households`.

    Args:
        connection: of Redis.
        links: has the locks of shoppers.
        hasher: hashes the ids of forgotten shoppers.
    """

    def __init__(self, connection: RedisConnection, links: Links, hasher: ShopperHasher) -> None:
        self._redis, self._links, self._hasher = connection, links, hasher
        # Versions that know no households would not delete memberships whole.
        self._mark = SchemaMark(connection, WITH_HOUSEHOLDS)

    async def join(self, membership: Membership) -> JoinOutcome:
        """Make a shopper a member of a household."""
        shopper_id = membership.shopper_id
        async with self._links.locked(shopper_id):
            known = await self._links.read_known([shopper_id])
            if find_identity(known, shopper_id).login_id != shopper_id:
                return JoinOutcome.LINKED
            before = (await self.memberships([shopper_id])).get(shopper_id)
            if before is not None and before.household_id != membership.household_id:
                return JoinOutcome.TAKEN
            await self._mark.set()
            outcome = await self._set_household(membership, known[shopper_id][0] or b"")
            if outcome is JoinOutcome.JOINED:
                outcome = await self._add_member(membership)
                if outcome is not JoinOutcome.JOINED:
                    await self._clear_household(shopper_id)
            return outcome

    async def leave(self, household_id: str, shopper_id: str) -> None:
        """Remove a membership, or what is left of one that was cut short."""
        async with self._links.locked(shopper_id):
            named = (await self._read_named([shopper_id])).get(shopper_id)
            if named is None:
                return
            if named.household_id == household_id:
                await self.remove_member(shopper_id)
            elif shopper_id in await self.memberships([shopper_id]):
                return
            await self._clear_household(shopper_id)

    async def remove_member(self, shopper_id: str) -> None:
        """Remove a shopper from the side of their household, if they have one; the caller holds their lock."""
        named = (await self._read_named([shopper_id])).get(shopper_id)
        if named is not None:
            await self._redis.evaluate_one(scripts.REMOVE_MEMBER, _household_keys(named.household_id), (shopper_id,))

    async def memberships(self, shopper_ids: Sequence[str]) -> dict[str, Membership]:
        """The memberships of those of any number of ids who have one."""
        found: dict[str, Membership] = {}
        for part in split_ids(shopper_ids):
            named = await self._read_named(part)
            households = [each.household_id for each in named.values()]
            keys = [bucket_of(each).members(each) for each in households]
            answers = await self._redis.read([("SISMEMBER", *each) for each in zip(keys, named, strict=True)])
            found |= {each: named[each] for each, is_member in zip(named, answers, strict=True) if is_member}
        return found

    async def members(self, household_id: str) -> list[Membership]:
        """All memberships in a household."""
        [found] = await self._redis.read([("SMEMBERS", bucket_of(household_id).members(household_id))])
        named = await self._read_named([each.decode() for each in sorted(found)])
        return [each for each in named.values() if each.household_id == household_id]

    async def remove_strangers(self, household_id: str) -> None:
        """Remove from the side of a household who does not name it, while nobody changes a membership."""
        [found] = await self._redis.read([("SMEMBERS", bucket_of(household_id).members(household_id))])
        strangers = {each.decode() for each in found} - {each.shopper_id for each in await self.members(household_id)}
        used = _household_keys(household_id)
        await self._redis.evaluate([Evaluation(scripts.REMOVE_MEMBER, used, (each,)) for each in sorted(strangers)])

    async def _read_named(self, shopper_ids: Sequence[str]) -> dict[str, Membership]:
        """The memberships that shoppers name themselves, in their order, whether their households name them or not."""
        answers = await self._redis.read([("HGET", ShopperKeys.of(each).known, _FIELD) for each in shopper_ids])
        return {
            each: membership_of((each, *json.loads(answer)))
            for each, answer in zip(shopper_ids, answers, strict=True)
            if answer
        }

    async def _set_household(self, membership: Membership, login: bytes) -> JoinOutcome:
        shopper_id, *row = membership_row(membership)
        of_shopper = ShopperKeys.of(shopper_id)
        used = (of_shopper.known, of_shopper.bucket.counter, of_shopper.bucket.tombstones)
        values = (",".join(self._hasher.list_hashes(shopper_id)), row[1], login, to_json(row))
        return JoinOutcome[(await self._redis.evaluate_one(scripts.SET_HOUSEHOLD, used, values)).decode()]

    async def _add_member(self, membership: Membership) -> JoinOutcome:
        values = (membership.shopper_id, MAX_MEMBERS)
        answer = await self._redis.evaluate_one(scripts.ADD_MEMBER, _household_keys(membership.household_id), values)
        return JoinOutcome[answer.decode()]

    async def _clear_household(self, shopper_id: str) -> None:
        of_shopper = ShopperKeys.of(shopper_id)
        await self._redis.evaluate_one(scripts.CLEAR_HOUSEHOLD, (of_shopper.known, of_shopper.bucket.counter), ())


def _household_keys(household_id: str) -> tuple[str, str]:
    bucket = bucket_of(household_id)
    return bucket.members(household_id), bucket.counter
