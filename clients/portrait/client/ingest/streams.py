"""The interface of a stream. Each other module of this folder that implements it reads one kind of broker."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import SplitResult, parse_qs, urlsplit

_GROUP = "portrait"
_KAFKA = ("kafka", "kafka+ssl")


class StreamError(Exception):
    """The stream can't be used: the broker does not answer, or a package for it is missing."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message that was delivered and is not acknowledged yet."""

    payload: bytes
    """JSON of one event, as in a line of a log."""
    handle: Any
    """The name by which the broker knows it."""


class Stream(Protocol):
    """A durable stream with a group of consumers that share its messages.

    Each method but `close` raises StreamError if the broker does not answer; it may answer again later.
    """

    async def read(self, limit: int, seconds: float) -> list[Message]:
        """Read the next messages; waits for the first for at most some seconds.

        What another consumer read and did not acknowledge for a minute is read again.
        """
        ...

    async def acknowledge(self, messages: Sequence[Message]) -> None:
        """Say that messages are done with: nobody gets them again."""
        ...

    async def set_aside(self, message: Message, reason: str) -> None:
        """Keep a message that is no valid event among the dead letters, with the reason."""
        ...

    async def lag(self) -> int:
        """Count the messages that are not acknowledged yet."""
        ...

    async def close(self) -> None:
        """Close the connection."""
        ...


async def open_stream(url: str) -> Stream:
    """Open a stream.

    Args:
        url: `redis-stream://HOST:PORT/STREAM`, `nats://HOST:PORT/STREAM` or `kafka://HOST:PORT/TOPIC`, with
            `?group=NAME` for another group of consumers than `portrait`.

    Raises:
        StreamError: it can't be used.
    """
    scheme = url.partition("://")[0]
    try:
        if scheme in ("redis-stream", "rediss-stream"):
            from portrait.client.ingest.redis_stream import open_redis_stream

            return await open_redis_stream(url)
        if scheme in ("nats", "tls"):
            from portrait.client.ingest.nats_stream import open_nats_stream

            return await open_nats_stream(url)
        if scheme in _KAFKA:
            from portrait.client.ingest.kafka_stream import open_kafka_stream

            return await open_kafka_stream(url)
    except ModuleNotFoundError as error:
        extra = "kafka" if scheme in _KAFKA else "ingest"
        raise StreamError(f"{scheme}:// needs {error.name}: install Portrait with the extra `{extra}`") from error
    raise StreamError(f"{scheme}:// is no kind of stream: redis-stream://, nats:// or kafka://")


def parse_stream_url(url: str) -> tuple[SplitResult, str, str]:
    """Parse the URL of a stream; returns its parts, the name of the stream, and that of the group of consumers.

    Raises:
        StreamError: it names no stream.
    """
    parts = urlsplit(url)
    name = parts.path.strip("/")
    if not name:
        raise StreamError("the URL names no stream: SCHEME://HOST:PORT/STREAM")
    return parts, name, parse_qs(parts.query).get("group", [_GROUP])[0]
