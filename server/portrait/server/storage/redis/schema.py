"""The version of a state in Redis, and its beginning."""

import secrets
from typing import NamedTuple

from portrait.features.logs.shopper_hashes import ShopperHasher
from portrait.server.storage.redis import keys, scripts
from portrait.server.storage.redis.connection import Evaluation, RedisConnection
from portrait.server.storage.store import StoreError
from portrait.server.storage.tombstones import UnknownKeys, require_keys

SCHEMA_VERSION = 6
UNLIMITED = 2
"""Version of a state in which no event has ever expired: keys have no time to live, which writers of 3 prolong."""
LIMITED = 3
"""Version of a state in which events may have expired."""
LINKED = 4
"""Version of a state in which ids may be linked; `limited` says whether events may have expired."""
KEYED_OR_REVIEWED = 5
"""Version of a state in which there may be tombstones by keys, or reviews; `linked` says whether ids may be linked."""
WITH_HOUSEHOLDS = 6
"""Version of a state in which there may be households."""


class StateHead(NamedTuple):
    """Version and identity of a state."""

    schema: int
    identity: str
    is_limited: bool
    """True if events expire, or have expired under an earlier retention."""


async def read_head(connection: RedisConnection) -> StateHead | None:
    """Read the head of a state; None if there is none.

    Raises:
        StoreError: another version of Portrait wrote it, or a migration is filling it.
        PortraitError: Redis does not answer.
    """
    fields = ("schema", "identity", "migrating", "limited")
    [(schema, identity, migrating, limited)] = await connection.read([("HMGET", keys.STATE, *fields)])
    if migrating is not None:
        raise StoreError("the state in Redis is not whole: run `portrait migrate-state`, which fills it, once more")
    if schema is None or identity is None:
        return None
    version = int(schema)
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"the state in Redis was written by a later version of Portrait (schema {version}; "
            f"this one reads up to {SCHEMA_VERSION})"
        )
    if version < UNLIMITED:
        raise StoreError(
            f"the state in Redis was written by a preview of Portrait (schema {version}), which this one can't read"
        )
    return StateHead(version, identity.decode(), version == LIMITED or limited is not None)


async def begin_state(connection: RedisConnection, hasher: ShopperHasher, *, limited: bool) -> StateHead:
    """Read the head of a state, or begin one.

    Args:
        connection: of Redis.
        hasher: must have the keys of all tombstones.
        limited: whether events may expire in it from now on.

    Raises:
        StoreError, PortraitError: as `read_head`; StoreError also if the hasher lacks a key of a tombstone.
    """
    head = await read_head(connection)
    if head is None:
        await connection.write(("HSETNX", keys.STATE, "schema", UNLIMITED))
        await connection.write(("HSETNX", keys.STATE, "identity", secrets.token_hex(16)))
        head = await read_head(connection)
        assert head is not None
    if limited and not head.is_limited:
        await raise_schema(connection, LIMITED, limited=True)
        head = head._replace(is_limited=True)
    [known] = await connection.read([("SMEMBERS", keys.TOMBSTONE_KEYS)])
    try:
        require_keys([each.decode() for each in known], hasher, "the state in Redis")
    except UnknownKeys as error:
        raise StoreError(str(error)) from error
    return head


async def note_key(connection: RedisConnection, fingerprint: str) -> None:
    """Note a key before a tombstone is made by it: from now on, nobody opens the state without the key.

    Raises:
        PortraitError: Redis does not answer.
    """
    used = (keys.STATE, keys.TOMBSTONE_KEYS)
    await connection.evaluate([Evaluation(scripts.NOTE_KEY, used, (KEYED_OR_REVIEWED, 0, fingerprint))])


class SchemaMark:
    """Keeps earlier versions of Portrait from opening a state as soon as it has what they do not know.

    Args:
        connection: of Redis.
        version: the least that can read the state then.
    """

    def __init__(self, connection: RedisConnection, version: int) -> None:
        self._redis, self._version = connection, version
        self._is_set = False

    async def set(self) -> None:
        """Set the mark, if this process has not yet.

        Raises:
            PortraitError: Redis does not answer.
        """
        if not self._is_set:
            await raise_schema(self._redis, self._version)
            self._is_set = True


async def raise_schema(connection: RedisConnection, version: int, *, limited: bool = False) -> None:
    """Keep earlier versions of Portrait from opening a state from now on.

    Args:
        connection: of Redis.
        version: the least that can read the state.
        limited: whether events may expire in it.

    Raises:
        PortraitError: Redis does not answer.
    """
    await connection.evaluate([Evaluation(scripts.RAISE_SCHEMA, (keys.STATE,), (version, int(limited)))])
