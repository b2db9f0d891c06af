"""Events from a topic of Kafka, read by a group of consumers.

The value of a record is JSON. Dead letters go to the topic `TOPIC.dead`, with the reason in a header.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from aiokafka.helpers import create_ssl_context

from portrait.client.ingest.streams import Message, StreamError, parse_stream_url

_ANSWER_SECONDS = 10.0
_JOIN_SECONDS = 30.0
_PLAIN = "PLAIN"

logging.getLogger("aiokafka").addHandler(logging.NullHandler())  # what fails is said by who calls


@dataclass(eq=False)
class Partition:
    """A partition that this consumer holds: which of its records were read, and which of them are done with.

    Batches end in any order, and only an offset before which all records are done with may be committed.
    """

    name: TopicPartition
    position: int = 0
    """All records before this offset are done with."""
    committed: int = 0
    _read: deque[int] = field(default_factory=deque)
    _done: set[int] = field(default_factory=set)

    def add(self, offset: int) -> None:
        """Note a record that was read, in the order of the partition. Offsets may have gaps."""
        self._read.append(offset)

    def finish(self, offset: int) -> None:
        """Note that a record is done with; it may be said twice."""
        if offset < self.position:
            return
        self._done.add(offset)
        while self._read and self._read[0] in self._done:
            last = self._read.popleft()
            self._done.remove(last)
            self.position = last + 1


class _Handle(NamedTuple):
    partition: Partition
    offset: int


class KafkaStream(ConsumerRebalanceListener):
    """A `Stream` of Kafka.

    Records whose partition was given to another consumer are not committed: that one reads them again.

    Args:
        consumer: of the topic, without automatic commits; not subscribed yet.
        producer: of dead letters.
        topic: name.
    """

    def __init__(self, consumer: AIOKafkaConsumer, producer: AIOKafkaProducer, topic: str) -> None:
        self._consumer, self._producer, self._topic = consumer, producer, topic
        self._partitions: dict[TopicPartition, Partition] = {}
        """Those that records were read of since they were assigned."""
        self._committing = asyncio.Lock()

    async def begin(self) -> None:
        """Connect, and join the group of consumers; raises an error of Kafka."""
        await self._producer.start()
        self._consumer.subscribe([self._topic], listener=self)
        async with asyncio.timeout(_JOIN_SECONDS):
            await self._consumer.start()

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Forget the partitions before another consumer gets them, once no commit is under way."""
        async with self._committing:
            self._partitions.clear()

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Do nothing: each partition is read from its committed offset on."""

    async def read(self, limit: int, seconds: float) -> list[Message]:
        """Read the next records; waits longer until each partition was looked at once."""
        with _typed_errors():
            async with asyncio.timeout(_ANSWER_SECONDS):
                while True:
                    found = await self._consumer.getmany(timeout_ms=round(1000 * seconds), max_records=limit)
                    if found or all(self._consumer.highwater(name) is not None for name in self._consumer.assignment()):
                        break
        return [self._to_message(record, name) for name, records in found.items() for record in records]

    def _to_message(self, record: Any, name: TopicPartition) -> Message:
        partition = self._partitions.setdefault(name, Partition(name))
        partition.add(record.offset)
        return Message(record.value or b"", _Handle(partition, record.offset))

    async def acknowledge(self, messages: Sequence[Message]) -> None:
        """Commit the offsets before which all records are done with."""
        for message in messages:
            message.handle.partition.finish(message.handle.offset)
        async with self._committing:
            held = [each for each in self._partitions.values() if each.position > each.committed]
            if not held:
                return
            offsets = {each.name: each.position for each in held}
            with _typed_errors():
                try:
                    async with asyncio.timeout(_ANSWER_SECONDS):
                        await self._consumer.commit(offsets)
                except (CommitFailedError, IllegalStateError):
                    return  # taken away meanwhile: whoever has them now reads them again
            for each in held:
                each.committed = offsets[each.name]

    async def set_aside(self, message: Message, reason: str) -> None:
        """Add a record to the dead letters, with the reason and its place."""
        partition, offset = message.handle
        place = f"{partition.name.topic}/{partition.name.partition}/{offset}"
        headers = [("reason", reason.encode()), ("id", place.encode())]
        with _typed_errors():
            await self._producer.send_and_wait(_name_dead_letters(self._topic), message.payload, headers=headers)

    async def lag(self) -> int:
        """Count the records of all partitions from the committed offsets on."""
        with _typed_errors():
            async with asyncio.timeout(_ANSWER_SECONDS):
                numbers = self._consumer.partitions_for_topic(self._topic) or ()
                names = [TopicPartition(self._topic, number) for number in numbers]
                ends = await self._consumer.end_offsets(names)
                begins = await self._consumer.beginning_offsets(names)
                committed = {name: await self._consumer.committed(name) for name in names}
        return sum(max(0, ends[name] - max(begins[name], committed[name] or 0)) for name in names)

    async def close(self) -> None:
        """Leave the group, and close the connections."""
        try:
            await self._consumer.stop()
        finally:
            await self._producer.stop()


@contextmanager
def _typed_errors() -> Iterator[None]:
    try:
        yield
    except (KafkaError, OSError) as error:  # errors of time are Python's own, and so of the system
        raise StreamError(f"the stream does not answer: {type(error).__name__}") from error


async def open_kafka_stream(url: str) -> KafkaStream:
    """Open a topic that exists; the topic of dead letters is made if there is none.

    Args:
        url: kafka://USER:PASSWORD@HOST:PORT,HOST:PORT/TOPIC?group=NAME; kafka+ssl:// for TLS. With a user,
            `mechanism=NAME` says how the password is proved, if not by PLAIN.

    Raises:
        StreamError: nobody answers there, or there is no such topic.
    """
    parts, topic, group = parse_stream_url(url)
    servers = parts.netloc.rpartition("@")[2]
    connection = read_connection(url)
    stream = None
    try:
        async with _open_admin(connection) as admin:
            await _prepare_topics(admin, topic)
        consumer = AIOKafkaConsumer(
            group_id=group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            **connection,
        )
        stream = KafkaStream(consumer, AIOKafkaProducer(acks="all", **connection), topic)
        await stream.begin()
    except (KafkaError, OSError, ValueError, StreamError) as error:
        if stream is not None:
            await stream.close()
        problem = str(error) or "no answer in time"
        raise StreamError(f"the stream at {servers} can't be used: {problem}") from error
    return stream


@asynccontextmanager
async def _open_admin(connection: dict[str, Any]) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(**connection)
    try:
        await admin.start()
        yield admin
    finally:
        await admin.close()


async def _prepare_topics(admin: AIOKafkaAdminClient, topic: str) -> None:
    topics, dead = await admin.list_topics(), _name_dead_letters(topic)
    if topic not in topics:
        raise StreamError(f"there is no topic {topic}")
    if dead in topics:
        return
    [description] = await admin.describe_topics([topic])
    replicas = len(description["partitions"][0]["replicas"])  # as many as the topic has
    response = await admin.create_topics([NewTopic(dead, 1, replicas)])
    if dead not in await admin.list_topics():
        raise StreamError(f"the topic of dead letters, {dead}, can't be made: {response.topic_errors}")


def _name_dead_letters(topic: str) -> str:
    return f"{topic}.dead"


def read_connection(url: str) -> dict[str, Any]:
    """Read how the clients of aiokafka connect, from the URL of a stream."""
    parts, _, _ = parse_stream_url(url)
    user_and_password, _, servers = parts.netloc.rpartition("@")
    is_encrypted = parts.scheme == "kafka+ssl"
    connection: dict[str, Any] = {
        "bootstrap_servers": servers.split(","),
        "client_id": "portrait-ingest",
        "request_timeout_ms": round(1000 * _ANSWER_SECONDS),
        "security_protocol": f"{'SASL_' if user_and_password else ''}{'SSL' if is_encrypted else 'PLAINTEXT'}",
        "ssl_context": create_ssl_context() if is_encrypted else None,
    }
    if user_and_password:
        user, _, password = user_and_password.partition(":")
        connection |= {
            "sasl_mechanism": parse_qs(parts.query).get("mechanism", [_PLAIN])[0],
            "sasl_plain_username": unquote(user),
            "sasl_plain_password": unquote(password),
        }
    return connection
