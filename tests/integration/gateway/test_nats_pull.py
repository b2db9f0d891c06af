"""Messages of a real JetStream, as `portrait ingest` fetches them."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import nats
import pytest
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.api import ConsumerConfig, StreamConfig
from support.nats_server import run_nats

from portrait.client.ingest import nats_pull
from portrait.client.ingest.nats_pull import PullSubscription

GROUP, SECONDS = "portrait", 60.0


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with run_nats(tmp_path_factory.mktemp("nats")) as found:
        yield found


@pytest.fixture
async def connection(address: str) -> AsyncIterator[Client]:
    connected = await nats.connect(address)
    yield connected
    await connected.close()


@pytest.fixture
async def stream(connection: Client) -> str:
    """A stream whose subject has its name, with a consumer."""
    name = f"S{uuid4().hex}"
    await connection.jetstream().add_stream(StreamConfig(name=name, subjects=[name]))
    await connection.jetstream().add_consumer(name, ConsumerConfig(durable_name=GROUP, ack_wait=SECONDS))
    return name


async def subscribe(connection: Client, stream: str) -> PullSubscription:
    subscription = PullSubscription(connection, stream, GROUP)
    await subscription.begin()
    return subscription


async def publish(connection: Client, stream: str, *payloads: bytes, headers: dict[str, str] | None = None) -> None:
    for payload in payloads:
        await connection.jetstream().publish(stream, payload, headers=headers)


async def fetch(subscription: PullSubscription, limit: int, seconds: float = SECONDS) -> list[bytes]:
    fetched = await subscription.fetch(limit, seconds)
    for message in fetched:
        await message.ack()
    return [message.data for message in fetched]


async def test_what_is_there_comes_at_once_and_in_order(connection: Client, stream: str) -> None:
    payloads = [str(number).encode() for number in range(250)]
    await publish(connection, stream, *payloads)
    subscription = await subscribe(connection, stream)
    assert await fetch(subscription, 100) == payloads[:100]
    assert await fetch(subscription, 1_000) == payloads[100:]
    assert await fetch(subscription, 1_000, 0.05) == []


async def test_what_comes_later_is_waited_for(connection: Client, stream: str) -> None:
    subscription = await subscribe(connection, stream)
    waiting = asyncio.create_task(fetch(subscription, 10))
    await publish(connection, stream, b"one", b"two")
    found = await waiting
    while len(found) < 2:
        found += await fetch(subscription, 10)
    assert found == [b"one", b"two"]


async def test_a_message_may_have_a_header_of_the_name_of_a_status(connection: Client, stream: str) -> None:
    await publish(connection, stream, b"one", headers={"Status": "404"})
    assert await fetch(await subscribe(connection, stream), 10) == [b"one"]


async def test_what_was_not_fetched_goes_to_another_without_delay(connection: Client, stream: str) -> None:
    subscription = await subscribe(connection, stream)
    waiting = asyncio.create_task(subscription.fetch(10, SECONDS))
    await publish(connection, stream, b"one", b"two", b"three")
    fetched = await waiting
    await subscription.close()
    found, another = [message.data for message in fetched], await subscribe(connection, stream)
    while len(found) < 3:
        found += await fetch(another, 10)
    assert sorted(found) == [b"one", b"three", b"two"]


async def test_a_consumer_that_is_gone_is_an_error(
    connection: Client, stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nats_pull, "_ANSWER_SECONDS", 0.3)
    subscription = await subscribe(connection, stream)
    await connection.jetstream().delete_consumer(stream, GROUP)
    with pytest.raises(NatsError):
        await subscription.fetch(10, SECONDS)
