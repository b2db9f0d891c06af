"""Opens the store that the settings name: a file of this machine, or a Redis that several machines share."""

from pathlib import Path

from portrait.features.installation import explain_install
from portrait.features.logs.pseudonym_keys import KeyFileError
from portrait.features.logs.shopper_hashes import ShopperHasher, read_shopper_hasher
from portrait.server.storage.retention import KEEP_ALL, Retention
from portrait.server.storage.sqlite import open_store
from portrait.server.storage.store import Store, StoreError


async def open_state(
    state: Path,
    state_url: str | None,
    state_replicas: int,
    shopper_keys: Path | None,
    retention: Retention = KEEP_ALL,
) -> Store:
    """Open the store, or begin it.

    Args:
        state: the state file, which counts if there is no URL.
        state_url: URL of a Redis; None for the file.
        state_replicas: replicas of Redis that must have a change before it is acknowledged.
        shopper_keys: file of the keys by which ids of forgotten shoppers are hashed; None for plain hashes.
        retention: how long events are kept; whoever reads no events need not know.

    Raises:
        StoreError: it can't be used, or a package for it is missing.
    """
    hasher = open_hasher(shopper_keys)
    if state_url is None:
        return await open_store(state, retention, hasher)
    try:
        from portrait.server.storage.redis.store import open_redis_store
    except ModuleNotFoundError as error:
        raise StoreError(f"state_url needs {error.name}: {explain_install('redis')}") from error
    return await open_redis_store(state_url, state_replicas, retention, hasher)


def open_hasher(shopper_keys: Path | None) -> ShopperHasher:
    """Read the keys by which ids of shoppers are hashed; None for plain hashes.

    Raises:
        StoreError: the file is missing or malformed.
    """
    try:
        return read_shopper_hasher(shopper_keys)
    except KeyFileError as error:
        raise StoreError(f"shopper_keys: {error}") from error
