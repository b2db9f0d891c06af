"""Goes through the shoppers of buckets."""

from collections.abc import AsyncIterator, Iterable

from portrait.server.storage.redis.connection import RedisConnection
from portrait.server.storage.redis.keys import Bucket


async def walk_shoppers(connection: RedisConnection, buckets: Iterable[Bucket], rows: int) -> AsyncIterator[list[str]]:
    """Yield the shoppers with events of some buckets, at a time up to `rows` of each bucket.

    Raises:
        PortraitError: Redis does not answer.
    """
    places = dict.fromkeys(buckets, b"-")
    while places:
        asked = [("ZRANGEBYLEX", bucket.shoppers, place, "+", "LIMIT", 0, rows) for bucket, place in places.items()]
        pages = await connection.read(asked)
        if found := [member.decode() for page in pages for member in page]:
            yield found
        places = {bucket: b"(" + page[-1] for bucket, page in zip(places, pages, strict=True) if page}
