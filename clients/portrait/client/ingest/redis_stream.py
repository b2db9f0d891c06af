"""Events from a stream of Redis, read by a group of consumers.

A message has the field `event` with JSON, or one field for each field of the event. Dead letters go to `STREAM:dead`.
"""

import json
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from portrait.client.ingest.streams import Message, StreamError, parse_stream_url

_IDLE_SECONDS = 60.0
"""Messages that a consumer holds for so long are given to another one: it has died."""
_MAX_DEAD_LETTERS = 100_000
_ANSWER_SECONDS = 10.0


class RedisStream:
    """A `Stream` of Redis.

    Args:
        client: connected.
        name: of the stream.
        group: of consumers.
    """

    def __init__(self, client: Redis, name: str, group: str) -> None:
        self._client, self._name, self._group = client, name, group
        self._consumer = secrets.token_hex(8)
        self._claimed_at = -_IDLE_SECONDS

    async def read(self, limit: int, seconds: float) -> list[Message]:
        """Read the next messages, first those of consumers that died."""
        now = time.monotonic()
        with _typed_errors():
            if now - self._claimed_at >= _IDLE_SECONDS / 2:
                if claimed := await self._claim(limit):
                    return claimed
                self._claimed_at = now
            answer = await self._client.xreadgroup(
                self._group, self._consumer, {self._name: ">"}, count=limit, block=max(1, round(1000 * seconds))
            )
        # A mapping or pairs, by the version of the protocol; lists within lists, by that of the package.
        streams: Any = answer.values() if isinstance(answer, dict) else (entries for _, entries in answer or ())
        return [message for entries in streams for message in _to_messages(entries)]

    async def _claim(self, limit: int) -> list[Message]:
        answer = await self._client.xautoclaim(
            self._name, self._group, self._consumer, min_idle_time=round(1000 * _IDLE_SECONDS), count=limit
        )
        return _to_messages(answer[1])

    async def acknowledge(self, messages: Sequence[Message]) -> None:
        """Take messages off the list of the group."""
        with _typed_errors():
            await self._client.xack(self._name, self._group, *(message.handle for message in messages))

    async def set_aside(self, message: Message, reason: str) -> None:
        """Add a message to the dead letters."""
        letter: dict[bytes | str, bytes | str] = {"event": message.payload, "reason": reason, "id": message.handle}
        with _typed_errors():
            await self._client.xadd(f"{self._name}:dead", letter, maxlen=_MAX_DEAD_LETTERS)  # type: ignore[arg-type]

    async def lag(self) -> int:
        """Count the messages that the group has not read, and those that it has not acknowledged."""
        with _typed_errors():
            groups = await self._client.xinfo_groups(self._name)
        for group in groups:
            if group["name"] in (self._group, self._group.encode()):
                return int(group["lag"] or 0) + int(group["pending"])
        return 0

    async def close(self) -> None:
        """Close the connection."""
        await self._client.aclose()


@contextmanager
def _typed_errors() -> Iterator[None]:
    try:
        yield
    except (RedisError, OSError) as error:
        raise StreamError(f"the stream does not answer: {type(error).__name__}") from error


async def open_redis_stream(url: str) -> RedisStream:
    """Open a stream, and make it and the group if there are none.

    Args:
        url: redis-stream://USER:PASSWORD@HOST:PORT/STREAM?group=NAME; rediss-stream:// for TLS.

    Raises:
        StreamError: nobody answers there, or the key holds something else.
    """
    parts, name, group = parse_stream_url(url)
    server = f"{parts.scheme.removesuffix('-stream')}://{parts.netloc}"
    try:
        client = Redis.from_url(server, socket_timeout=_ANSWER_SECONDS)
        try:
            await client.xgroup_create(name, group, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise
    except (RedisError, OSError, ValueError) as error:
        raise StreamError(f"the stream at {parts.hostname}:{parts.port} can't be used: {error}") from error
    return RedisStream(client, name, group)


def _to_messages(entries: Sequence[tuple[bytes, Mapping[bytes, bytes] | None]]) -> list[Message]:
    # An entry that was trimmed meanwhile has no fields.
    return [Message(_payload(fields), key) for key, fields in entries if fields is not None]


def _payload(fields: Mapping[bytes, bytes]) -> bytes:
    whole = fields.get(b"event")
    if whole is not None:
        return whole
    texts = {name.decode(errors="replace"): value.decode(errors="replace") for name, value in fields.items()}
    return json.dumps(texts).encode()
