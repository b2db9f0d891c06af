"""Reviews in Redis: those for one id in its slot, those for segments and for all together in another."""

import heapq
from collections.abc import Sequence
from typing import Any

from portrait.server.reviews.review import MAX_SHARED_REVIEWS, MAX_SHOPPER_REVIEWS, SHARED, Review, ReviewTarget
from portrait.server.reviews.review_set import Reviews, SharedReviews
from portrait.server.storage.redis import keys
from portrait.server.storage.redis import review_scripts as scripts
from portrait.server.storage.redis.connection import RedisConnection
from portrait.server.storage.redis.keys import ALL_BUCKETS, ShopperKeys
from portrait.server.storage.redis.rows import pairs_of
from portrait.server.storage.redis.schema import KEYED_OR_REVIEWED, SchemaMark
from portrait.server.storage.redis.scripts import Script
from portrait.server.storage.rows import review_json, review_key, review_of


class StoredReviews:
    """Reads and changes reviews; see `Store` for what the methods do.

    Args:
        connection: of Redis.
    """

    def __init__(self, connection: RedisConnection) -> None:
        self._redis = connection
        # Versions that know no reviews would not heed them.
        self._mark = SchemaMark(connection, KEYED_OR_REVIEWED)
        self._shared, self._shared_version = SharedReviews(), b"0"

    async def set_review(self, review: Review) -> bool:
        """Keep a review in place of that of the same target."""
        await self._mark.set()
        shopper_id, key, text = review.target.shopper_id, review_key(review.target), review_json(review)
        if shopper_id == SHARED:
            used: tuple[str, ...] = (keys.REVIEWS, keys.REVIEW_CHANGES)
            return await self._evaluate(scripts.SET_SHARED_REVIEW, used, (key, text, MAX_SHARED_REVIEWS))
        values = (key, text, MAX_SHOPPER_REVIEWS, shopper_id)
        return await self._evaluate(scripts.SET_REVIEW, _keys(shopper_id), values)

    async def remove_review(self, target: ReviewTarget) -> bool:
        """Remove the review of a target."""
        key = review_key(target)
        if target.shopper_id == SHARED:
            return await self._evaluate(scripts.REMOVE_SHARED_REVIEW, (keys.REVIEWS, keys.REVIEW_CHANGES), (key,))
        return await self._evaluate(scripts.REMOVE_REVIEW, _keys(target.shopper_id), (key, target.shopper_id))

    async def reviews(self, shopper_id: str) -> list[Review]:
        """All reviews for one id, or those for segments and for all."""
        key = keys.REVIEWS if shopper_id == SHARED else ShopperKeys.of(shopper_id).reviews
        [answer] = await self._redis.read([("HGETALL", key)])
        return [review_of(shopper_id, text) for _, text in sorted(pairs_of(answer))]

    async def reviewed_shoppers(self, after: str, limit: int) -> list[str]:
        """The next ids with reviews."""
        beginning = b"(" + after.encode() if after else b"-"
        asked = [("ZRANGEBYLEX", bucket.reviewed, beginning, "+", "LIMIT", 0, limit) for bucket in ALL_BUCKETS]
        return [each.decode() for each in [*heapq.merge(*await self._redis.read(asked))][:limit]]

    async def read_version(self) -> bytes | None:
        """Read a value that changes with every review for a segment or for all."""
        [version] = await self._redis.read([("GET", keys.REVIEW_CHANGES)])
        return version

    async def applied_reviews(self, shopper_ids: Sequence[str]) -> Reviews:
        """The reviews for all ids of a shopper, and the shared ones, which are read when they have changed."""
        asked = [("HVALS", ShopperKeys.of(each).reviews) for each in shopper_ids]
        changes, *found = await self._redis.read([("GET", keys.REVIEW_CHANGES), *asked])
        version = changes or b"0"
        if version != self._shared_version:
            self._shared, self._shared_version = SharedReviews(await self.reviews(SHARED)), version
        own = [review_of(each, text) for each, texts in zip(shopper_ids, found, strict=True) for text in texts]
        return Reviews(own, self._shared)

    async def _evaluate(self, script: Script, used: Sequence[str], values: Sequence[Any]) -> bool:
        return bool(await self._redis.evaluate_one(script, used, values))


def _keys(shopper_id: str) -> tuple[str, ...]:
    of_shopper = ShopperKeys.of(shopper_id)
    bucket = of_shopper.bucket
    return of_shopper.reviews, of_shopper.known, bucket.reviewed, bucket.counter
