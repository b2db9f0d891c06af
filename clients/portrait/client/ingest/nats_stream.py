"""Events from a stream of NATS JetStream, read by a durable pull consumer.

The data of a message is JSON. Dead letters go to the subject `portrait.dead.STREAM`, in a stream of their own.
"""

import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import nats
from nats.errors import Error as NatsError
from nats.js.api import ConsumerConfig, StreamConfig
from nats.js.errors import NotFoundError

from portrait.client.ingest.nats_pull import PullSubscription
from portrait.client.ingest.streams import Message, StreamError, parse_stream_url

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.js import JetStreamContext

_ACK_SECONDS = 60.0
"""A message that is not acknowledged for so long is delivered again."""
_MAX_PENDING = 20_000
_CONNECT_SECONDS = 3.0


class NatsStream:
    """A `Stream` of JetStream.

    Args:
        connection: to the server.
        name: of the stream.
        group: name of the durable consumer.
    """

    def __init__(self, connection: "Client", name: str, group: str) -> None:
        self._connection, self._name, self._group = connection, name, group
        self._jetstream: JetStreamContext = connection.jetstream()
        self._pull = PullSubscription(connection, name, group)

    async def begin(self) -> None:
        """Make the consumer and the stream of dead letters, if there are none; raises an error of NATS."""
        try:
            await self._jetstream.consumer_info(self._name, self._group)
        except NotFoundError:
            configuration = ConsumerConfig(
                durable_name=self._group, ack_wait=_ACK_SECONDS, max_ack_pending=_MAX_PENDING
            )
            await self._jetstream.add_consumer(self._name, configuration)
        await self._pull.begin()
        try:
            await self._jetstream.stream_info(self._dead)
        except NatsError:
            await self._jetstream.add_stream(StreamConfig(name=self._dead, subjects=[f"portrait.dead.{self._name}"]))

    @property
    def _dead(self) -> str:
        return f"{self._name}_DEAD"

    async def read(self, limit: int, seconds: float) -> list[Message]:
        """Read the next messages."""
        with _typed_errors():
            fetched = await self._pull.fetch(limit, seconds)
        return [Message(each.data, each) for each in fetched]

    async def acknowledge(self, messages: Sequence[Message]) -> None:
        """Acknowledge messages; one whose acknowledgement is lost comes again."""
        with _typed_errors():
            for message in messages:
                await message.handle.ack()
            await self._connection.flush()

    async def set_aside(self, message: Message, reason: str) -> None:
        """Add a message to the dead letters."""
        letter = {"event": message.payload.decode(errors="replace"), "reason": reason}
        with _typed_errors():
            await self._jetstream.publish(f"portrait.dead.{self._name}", json.dumps(letter).encode())

    async def lag(self) -> int:
        """Count the messages that were not delivered, and those that were not acknowledged."""
        with _typed_errors():
            information = await self._jetstream.consumer_info(self._name, self._group)
        return int(information.num_pending or 0) + int(information.num_ack_pending or 0)

    async def close(self) -> None:
        """Close the connection; what was not read goes to other consumers."""
        if self._connection.is_connected:
            with suppress(NatsError, OSError):  # the server delivers it later by itself
                await self._pull.close()
        await self._connection.close()


@contextmanager
def _typed_errors() -> Iterator[None]:
    try:
        yield
    except (NatsError, OSError) as error:  # its errors of time are Python's own, and so of the system
        raise StreamError(f"the stream does not answer: {type(error).__name__}") from error


async def open_nats_stream(url: str) -> NatsStream:
    """Open a stream that exists.

    Args:
        url: nats://USER:PASSWORD@HOST:PORT/STREAM?group=NAME; tls:// for TLS.

    Raises:
        StreamError: nobody answers there, or there is no such stream.
    """
    parts, name, group = parse_stream_url(url)
    connecting = asyncio.create_task(
        nats.connect(f"{parts.scheme}://{parts.netloc}", max_reconnect_attempts=-1, error_cb=_ignore)
    )
    try:
        # It would try for ever, as it shall later, when the server restarts.
        await asyncio.wait({connecting}, timeout=_CONNECT_SECONDS)
        if not connecting.done():
            connecting.cancel()
            raise StreamError(f"the stream at {parts.hostname}:{parts.port} can't be used: no NATS server answers")
        connection = connecting.result()
    except (NatsError, OSError, ValueError) as error:
        raise StreamError(f"the stream at {parts.hostname}:{parts.port} can't be used: {error}") from error
    stream = NatsStream(connection, name, group)
    try:
        await stream.begin()
    except NatsError as error:
        await connection.close()
        raise StreamError(f"the stream {name} can't be used: {error}") from error
    return stream


async def _ignore(_: Exception) -> None:
    """Let the client reconnect without a word; a read that fails says so."""
