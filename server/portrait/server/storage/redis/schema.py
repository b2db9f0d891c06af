"""The version of a state in Redis, and its beginning."""

import secrets
from typing import NamedTuple

from portrait.server.storage.redis import keys
from portrait.server.storage.redis.connection import RedisConnection
from portrait.server.storage.store import StoreError

SCHEMA_VERSION = 3
UNLIMITED = 2
"""Version of a state in which no event has ever expired: keys have no time to live, which writers of 3 prolong."""


class StateHead(NamedTuple):
    """Version and identity of a state."""

    schema: int
    identity: str


async def read_head(connection: RedisConnection) -> StateHead | None:
    """Read the head of a state; None if there is none.

    Raises:
        StoreError: another version of Portrait wrote it, or a migration is filling it.
        PortraitError: Redis does not answer.
    """
    [(schema, identity, migrating)] = await connection.read([("HMGET", keys.STATE, "schema", "identity", "migrating")])
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
    return StateHead(version, identity.decode())


async def begin_state(connection: RedisConnection, *, limited: bool) -> StateHead:
    """Read the head of a state, or begin one.

    Args:
        connection: of Redis.
        limited: whether events may expire in it from now on.

    Raises:
        StoreError, PortraitError: as `read_head`.
    """
    head = await read_head(connection)
    if head is None:
        await connection.write(("HSETNX", keys.STATE, "schema", UNLIMITED))
        await connection.write(("HSETNX", keys.STATE, "identity", secrets.token_hex(16)))
        head = await read_head(connection)
        assert head is not None
    if limited and head.schema < SCHEMA_VERSION:
        await connection.write(("HSET", keys.STATE, "schema", SCHEMA_VERSION))
        head = StateHead(SCHEMA_VERSION, head.identity)
    return head
