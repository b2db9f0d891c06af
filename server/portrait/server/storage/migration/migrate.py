"""Moves a state between a file and Redis."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from portrait.features.installation import explain_install
from portrait.server.reviews.review import SHARED
from portrait.server.storage.migration import sqlite_state
from portrait.server.storage.migration.states import (
    BATCH,
    PartDigest,
    StateDigest,
    StateReader,
    StateWriter,
    digest_state,
)
from portrait.server.storage.store import StoreError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Migrated:
    """A state that was migrated, and compared with its source."""

    parts: dict[str, PartDigest]
    resumed: int
    """Shoppers whom an earlier run had brought."""


async def migrate_state(source: str, target: str, replicas: int, tell: Callable[[int], None]) -> Migrated:
    """Copy a state from a file to Redis, or from Redis to a file, and compare the copy with its source.

    The source stays as it is. The copy has another identity. What is cut short goes on when it is called again.

    Args:
        source: path of a state file, or URL of a Redis.
        target: the other of the two; holds nothing.
        replicas: replicas of a target in Redis that must have what is written.
        tell: is told the number of shoppers so far.

    Raises:
        StoreError: the source can't be read, or is in use; the target holds something; or the copy differs, as the
            source was changed meanwhile: then the copy is removed.
    """
    if _is_url(source) == _is_url(target):
        raise StoreError("one of the two must be a state file and the other the URL of a Redis")
    async with _open_source(source) as reader, _open_target(target, replicas, reader.identity) as writer:
        position = await reader.position()
        read, resumed = await _copy(reader, writer, tell)
        written = await digest_state(await writer.complete())
        differences = read.list_differences(written)
        if await reader.position() != position:
            differences.append("what was written since this run began")
        if differences:
            await writer.discard()
            raise StoreError(
                f"the copy differs from its source in {', '.join(differences)}: the source was changed meanwhile, and "
                "the copy is removed; stop all gateways and begin anew"
            )
        await writer.publish()
    return Migrated(written.parts, resumed)


async def _copy(reader: StateReader, writer: StateWriter, tell: Callable[[int], None]) -> tuple[StateDigest, int]:
    """Copy what the target lacks; returns a digest of all that was read, and how many shoppers the target had."""
    digest, done, resumed = StateDigest(), 0, 0
    await _in_batches(reader.tombstones(), digest.add_tombstone, writer.write_tombstones)
    await _in_batches(reader.items(), digest.add_item, writer.write_items)
    shared = await reader.shared_reviews()
    digest.add_reviews(SHARED, shared)
    await writer.write_shared_reviews(shared)
    async for shopper_ids in reader.shopper_ids():
        if not shopper_ids:
            continue
        missing = {*await writer.missing(shopper_ids)}
        shoppers = await reader.read_shoppers(shopper_ids)
        for shopper in shoppers:
            digest.add_shopper(shopper)
        await writer.write_shoppers([shopper for shopper in shoppers if shopper.shopper_id in missing])
        done, resumed = done + len(shopper_ids), resumed + len(shopper_ids) - len(missing)
        tell(done)
    return digest, resumed


async def _in_batches(
    records: AsyncIterator[T], add: Callable[[T], None], write: Callable[[Sequence[T]], Awaitable[None]]
) -> None:
    batch: list[T] = []
    async for record in records:
        add(record)
        batch.append(record)
        if len(batch) == BATCH:
            await write(batch)
            batch = []
    if batch:
        await write(batch)


def _is_url(place: str) -> bool:
    return place.startswith(("redis://", "rediss://", "unix://"))


@contextlib.asynccontextmanager
async def _open_source(place: str) -> AsyncIterator[StateReader]:
    if not _is_url(place):
        with sqlite_state.open_source(Path(place)) as reader:
            yield reader
        return
    with _needing_redis():
        from portrait.server.storage.migration import redis_state
    async with redis_state.open_source(place) as reader:
        yield reader


@contextlib.asynccontextmanager
async def _open_target(place: str, replicas: int, source: str) -> AsyncIterator[StateWriter]:
    if not _is_url(place):
        with sqlite_state.open_target(Path(place), source) as writer:
            yield writer
        return
    with _needing_redis():
        from portrait.server.storage.migration import redis_state
    async with redis_state.open_target(place, replicas, source) as writer:
        yield writer


@contextlib.contextmanager
def _needing_redis() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise StoreError(f"the URL of a Redis needs {error.name}: {explain_install('redis')}") from error
