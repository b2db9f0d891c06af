"""Reviews in the state file."""

import sqlite3
from collections.abc import Hashable, Sequence

from portrait.server.reviews.review import MAX_SHARED_REVIEWS, MAX_SHOPPER_REVIEWS, SHARED, Review, ReviewTarget
from portrait.server.reviews.review_set import NO_REVIEWS, Reviews, SharedReviews
from portrait.server.storage.queries import expand_placeholders
from portrait.server.storage.reader import Reader
from portrait.server.storage.rows import review_json, review_key, review_of
from portrait.server.storage.shopper_versions import ShopperVersions

_SET = "REPLACE INTO reviews (shopper_id, target, review) VALUES (?, ?, ?)"
_REMOVE = "DELETE FROM reviews WHERE shopper_id = ? AND target = ?"
_COUNT_OTHERS = "SELECT count(*) FROM reviews WHERE shopper_id = ? AND target <> ?"
_NOTE_CHANGE = "REPLACE INTO review_changes (shopper_id) VALUES (?)"
_REVIEWS = "SELECT review FROM reviews WHERE shopper_id = ? ORDER BY target"
_REVIEWS_OF = "SELECT DISTINCT shopper_id, review FROM reviews WHERE shopper_id IN ({})"
_SHOPPERS = "SELECT DISTINCT shopper_id FROM reviews WHERE shopper_id > ? ORDER BY shopper_id LIMIT ?"


def set_review(connection: sqlite3.Connection, review: Review) -> bool:
    """Keep a review, in a transaction that runs; returns whether there was room for it."""
    shopper_id, key = review.target.shopper_id, review_key(review.target)
    [[others]] = connection.execute(_COUNT_OTHERS, (shopper_id, key)).fetchall()
    if others >= (MAX_SHARED_REVIEWS if shopper_id == SHARED else MAX_SHOPPER_REVIEWS):
        return False
    connection.execute(_SET, (shopper_id, key, review_json(review)))
    connection.execute(_NOTE_CHANGE, (shopper_id,))
    return True


def remove_review(connection: sqlite3.Connection, target: ReviewTarget) -> bool:
    """Remove a review, in a transaction that runs; returns whether there was one."""
    was_there = connection.execute(_REMOVE, (target.shopper_id, review_key(target))).rowcount > 0
    if was_there:
        connection.execute(_NOTE_CHANGE, (target.shopper_id,))
    return was_there


class ReviewReads:
    """Reads reviews; see `Store` for what the methods do.

    Args:
        reader: of the state file.
        versions: notices changes.
    """

    def __init__(self, reader: Reader, versions: ShopperVersions) -> None:
        self._reader, self._versions = reader, versions
        self._shared = SharedReviews()
        self._shared_version: Hashable = None

    async def reviews(self, shopper_id: str) -> list[Review]:
        """All reviews for one id, or the shared ones."""
        return [review_of(shopper_id, text) for (text,) in await self._reader.fetch_rows(_REVIEWS, (shopper_id,))]

    async def reviewed_shoppers(self, after: str, limit: int) -> list[str]:
        """The next ids with reviews."""
        return [shopper_id for (shopper_id,) in await self._reader.fetch_rows(_SHOPPERS, (after, limit))]

    async def applied_reviews(self, shopper_ids: Sequence[str]) -> Reviews:
        """The reviews for all ids of a shopper, and the shared ones."""
        if not self._versions.has_reviews():
            return NO_REVIEWS
        version = self._versions.version(SHARED)
        if version != self._shared_version:
            self._shared, self._shared_version = SharedReviews(await self.reviews(SHARED)), version
        if not shopper_ids:
            return Reviews((), self._shared)
        query, values = expand_placeholders(_REVIEWS_OF, shopper_ids)
        rows = await self._reader.fetch_few_rows(query, values)
        return Reviews([review_of(*row) for row in rows], self._shared)
