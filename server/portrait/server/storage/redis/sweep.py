"""Deletes expired events in Redis: every bucket in turn, by whichever gateway is free."""

import asyncio
import time
from collections.abc import Sequence
from datetime import timedelta

from portrait.server.storage.redis import keys, scripts
from portrait.server.storage.redis.connection import Evaluation, RedisConnection
from portrait.server.storage.redis.keys import ALL_BUCKETS, Bucket, ShopperKeys
from portrait.server.storage.redis.walk import walk_shoppers
from portrait.server.storage.retention import Retention
from portrait.server.timestamps import to_microseconds

SWEEP_PERIOD = timedelta(hours=6)
"""Each bucket is swept so often. A gateway that dies in a sweep leaves its buckets to the next one."""
_BUCKETS_AT_A_TIME = 64
_SHOPPERS_AT_A_TIME = 4
"""Shoppers of each of these buckets."""
_EVENTS_AT_A_TIME = 500
"""Old events of a shopper that a script looks at: Redis does nothing else meanwhile."""


async def sweep_due_buckets(connection: RedisConnection, retention: Retention) -> int:
    """Sweep the buckets that have not been swept for `SWEEP_PERIOD`; returns how many events were deleted.

    Args:
        connection: of Redis.
        retention: decides which events have expired. If none do, whatever an earlier retention has limited the time of
            is kept for ever again.
    """
    await connection.write(("ZADD", keys.SWEEPS, "NX", *(each for b in ALL_BUCKETS for each in (0, b.number))))
    deleted = 0
    while True:
        now = to_microseconds(retention.clock())
        due = now - SWEEP_PERIOD // timedelta(microseconds=1)
        claim = Evaluation(scripts.CLAIM_SWEEPS, (keys.SWEEPS,), (now, due, _BUCKETS_AT_A_TIME))
        [claimed] = await connection.evaluate([claim])
        if not claimed:
            return deleted
        deleted += await _sweep(connection, retention, [ALL_BUCKETS[int(number)] for number in claimed])


async def _sweep(connection: RedisConnection, retention: Retention, buckets: Sequence[Bucket]) -> int:
    """Go through all shoppers of some buckets; callers have half of the time."""
    deleted, began = 0, time.monotonic()
    async for shopper_ids in walk_shoppers(connection, buckets, _SHOPPERS_AT_A_TIME):
        deleted += await _expire(connection, retention, shopper_ids)
        await asyncio.sleep(time.monotonic() - began)
        began = time.monotonic()
    return deleted


async def _expire(connection: RedisConnection, retention: Retention, shopper_ids: Sequence[str]) -> int:
    """Delete the expired events of some shoppers, of each a bounded number at a time."""
    deleted, skipped = 0, dict.fromkeys(shopper_ids, 0)
    cutoffs = [value for pair in retention.cutoffs().by_type.items() for value in pair]
    while skipped:
        evaluations = []
        for shopper_id, first in skipped.items():
            of_shopper = ShopperKeys.of(shopper_id)
            bucket = of_shopper.bucket
            used = (of_shopper.history, of_shopper.events, of_shopper.known, bucket.shoppers, bucket.arrivals)
            evaluations.append(Evaluation(scripts.EXPIRE, used, (shopper_id, first, _EVENTS_AT_A_TIME, *cutoffs)))
        answers = await connection.evaluate(evaluations)
        deleted += sum(removed for removed, _ in answers)
        skipped = {each: first for each, (_, first) in zip(skipped, answers, strict=True) if first >= 0}
    return deleted
