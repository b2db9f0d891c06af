"""Events from real streams into a real gateway: each once, whatever dies on the way."""

import asyncio
import json
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import nats
import pytest
import redis
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from nats.js.api import StreamConfig
from support.command_line import run_portrait
from support.gateway import RunningGateway, run_gateway
from support.kafka_server import run_kafka
from support.nats_server import run_nats
from support.ports import find_free_port
from support.redis_server import run_redis

from portrait.client import Client, NotFoundError

NOW = datetime.now(UTC)
SECONDS = 120.0
GROUP = "portrait"
"""The group of consumers of an ingestion whose URL names none."""


class Broker(Protocol):
    """A stream of one kind of broker: what a shop's producers and operators do with it."""

    url: str

    def publish(self, payloads: list[bytes]) -> None: ...

    def dead_letters(self) -> list[dict[str, str]]: ...

    def lag(self) -> int:
        """Messages that an ingestion would get: new ones, and those that were not acknowledged."""
        ...


class RedisBroker(Broker):
    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(url)
        self._name = f"events-{uuid4().hex}"
        self.url = f"redis-stream://{url.removeprefix('redis://')}/{self._name}"

    def publish(self, payloads: list[bytes]) -> None:
        with self._client.pipeline(transaction=False) as pipeline:
            for payload in payloads:
                pipeline.xadd(self._name, {"event": payload})
            pipeline.execute()

    def publish_fields(self, fields: dict[str, str]) -> None:
        self._client.xadd(self._name, fields)  # type: ignore[arg-type]

    def dead_letters(self) -> list[dict[str, str]]:
        letters: Any = self._client.xrange(f"{self._name}:dead")
        return [{key.decode(): value.decode(errors="replace") for key, value in each.items()} for _, each in letters]

    def lag(self) -> int:
        groups: Any = self._client.xinfo_groups(self._name)
        return sum(each["lag"] + each["pending"] for each in groups if each["name"] == GROUP.encode())


class NatsBroker(Broker):
    def __init__(self, address: str) -> None:
        self._address, self._name = address, f"S{uuid4().hex}"
        self.url = f"nats://{address}/{self._name}"
        self._run(lambda js: js.add_stream(StreamConfig(name=self._name, subjects=[f"shop.{self._name}"])))

    def _run(self, work: Callable[[Any], Any]) -> Any:
        async def run() -> Any:
            connection = await nats.connect(self._address)
            try:
                return await work(connection.jetstream())
            finally:
                await connection.close()

        return asyncio.run(run())

    def publish(self, payloads: list[bytes]) -> None:
        async def publish(js: Any) -> None:
            for payload in payloads:
                await js.publish(f"shop.{self._name}", payload, timeout=SECONDS)

        self._run(publish)

    def dead_letters(self) -> list[dict[str, str]]:
        async def read(js: Any) -> list[dict[str, str]]:
            count = (await js.stream_info(f"{self._name}_DEAD")).state.messages
            return [json.loads((await js.get_msg(f"{self._name}_DEAD", seq)).data) for seq in range(1, count + 1)]

        found: list[dict[str, str]] = self._run(read)
        return found

    def lag(self) -> int:
        told = self._run(lambda js: js.consumer_info(self._name, GROUP))
        return int(told.num_pending + told.num_ack_pending)


class KafkaBroker(Broker):
    PARTITIONS = 4

    def __init__(self, address: str) -> None:
        self._address, self._topic = address, f"events-{uuid4().hex}"
        self._published = 0
        self.url = f"kafka://{address}/{self._topic}"
        asyncio.run(self._create())

    async def _create(self) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self._address)
        await admin.start()
        await admin.create_topics([NewTopic(self._topic, self.PARTITIONS, 1)])
        await admin.close()

    def publish(self, payloads: list[bytes]) -> None:
        async def publish() -> None:
            async with AIOKafkaProducer(bootstrap_servers=self._address, acks="all") as producer:
                sent = [await producer.send(self._topic, payload, key=_find_id(payload)) for payload in payloads]
                await asyncio.gather(*sent)

        asyncio.run(publish())
        self._published += len(payloads)

    def dead_letters(self) -> list[dict[str, str]]:
        async def read() -> list[dict[str, str]]:
            options = {"bootstrap_servers": self._address, "auto_offset_reset": "earliest"}
            async with AIOKafkaConsumer(f"{self._topic}.dead", **options) as consumer:
                records: list[Any] = []
                more: list[Any] = []
                while more or not records:
                    found = await consumer.getmany(timeout_ms=1_000)
                    more = [record for part in found.values() for record in part]
                    records += more
            return [{"event": record.value.decode(errors="replace"), **_decode(record.headers)} for record in records]

        return asyncio.run(read())

    def lag(self) -> int:
        async def read() -> int:
            options = {"bootstrap_servers": self._address, "group_id": GROUP, "enable_auto_commit": False}
            async with AIOKafkaConsumer(**options) as consumer:
                partitions = [TopicPartition(self._topic, number) for number in range(self.PARTITIONS)]
                consumer.assign(partitions)  # without joining the group
                # This broker does not tell where partitions end.
                return self._published - sum([await consumer.committed(each) or 0 for each in partitions])

        return asyncio.run(read())


def _find_id(payload: bytes) -> bytes:
    """Find the id of an event: records of one key keep their order, as a shop would have it of a shopper."""
    found = re.search(rb'"event_id": "(\w+)"', payload)
    return b"" if found is None else found[1]


def _decode(headers: list[tuple[str, bytes]]) -> dict[str, str]:
    return {name: value.decode() for name, value in headers}


@pytest.fixture(scope="module")
def brokers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Callable[[], Broker]]]:
    port = find_free_port()
    with (
        run_redis(tmp_path_factory.mktemp("redis"), port=port) as server,
        run_nats(tmp_path_factory.mktemp("nats")) as nats_at,
        run_kafka(tmp_path_factory.mktemp("kafka")) as kafka_at,
    ):
        yield {
            "redis": lambda: RedisBroker(server.url),
            "nats": lambda: NatsBroker(nats_at),
            "kafka": lambda: KafkaBroker(kafka_at),
        }


@pytest.fixture(params=["redis", "nats", "kafka"])
def broker(request: pytest.FixtureRequest, brokers: dict[str, Callable[[], Broker]]) -> Broker:
    return brokers[request.param]()


def event(shopper_id: str, number: int, **more: object) -> bytes:
    time = (NOW - timedelta(days=2) + timedelta(seconds=number)).isoformat()
    sent = {
        "shopper_id": shopper_id,
        "type": "view",
        "item_id": "desk-lamp-red",
        "time": time,
        "event_id": f"e{number}",
    }
    return json.dumps(sent | more).encode()


def start(broker: Broker, address: str, *options: str) -> subprocess.Popen[str]:
    command = [str(Path(sys.executable).parent / "portrait"), "ingest", broker.url, "--address", address, *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8")


def end(ingestion: subprocess.Popen[str]) -> dict[str, int]:
    """End an ingestion as an operator does; returns the counts."""
    ingestion.send_signal(signal.SIGTERM)
    stdout, stderr = ingestion.communicate(timeout=SECONDS)
    assert ingestion.returncode == 0, stderr
    counts: dict[str, int] = json.loads(stdout)
    return counts


def ingest_all(broker: Broker, address: str) -> dict[str, int]:
    """Ingest until the stream is empty; returns the counts."""
    stdout, stderr = start(broker, address, "--until-caught-up").communicate(timeout=SECONDS)
    assert stdout, stderr
    counts: dict[str, int] = json.loads(stdout)
    return counts


def count_of(client: Client, shopper_id: str) -> int:
    try:
        return client.get_profile(shopper_id).event_count
    except NotFoundError:
        return 0


def read_metrics(port: int) -> str:
    """Read the metrics of an ingestion; empty as long as it does not serve them."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_events_are_stored_and_what_is_none_is_set_aside(gateway: RunningGateway, broker: Broker, shopper: str) -> None:
    forgotten = f"{shopper}-forgotten"
    with Client(gateway.address) as client:
        client.forget_shopper(forgotten)
    broker.publish([event(shopper, number) for number in range(1_500)])
    broker.publish([event(shopper, 3), event(shopper, 3, item_id="another")])
    broker.publish(
        [b"no json", b"[1]", b"\xff", event("", 1), event(shopper, 9_999, type="dance"), event(forgotten, 1)]
    )
    done = ingest_all(broker, gateway.address)
    assert done == {"accepted": 1_500, "duplicates": 1, "dead": 6, "forgotten": 1, "expired": 0, "called_off": 0}
    letters = broker.dead_letters()
    assert len(letters) == 6
    assert all(letter["reason"] for letter in letters)
    assert forgotten not in str(letters)
    with Client(gateway.address) as client:
        assert count_of(client, shopper) == 1_500
    assert broker.lag() == 0


def test_fields_of_a_redis_message_are_those_of_the_event(
    gateway: RunningGateway, brokers: dict[str, Callable[[], Broker]], shopper: str
) -> None:
    broker = brokers["redis"]()
    assert isinstance(broker, RedisBroker)
    fields = {"shopper_id": shopper, "type": "purchase", "item_id": "wool-rug-blue", "time": NOW.isoformat()}
    broker.publish_fields(fields | {"price": "9.50"})
    broker.publish_fields({name: value for name, value in fields.items() if name != "time"})
    done = ingest_all(broker, gateway.address)
    assert (done["accepted"], done["dead"]) == (1, 1)
    assert "time" in broker.dead_letters()[0]["reason"]
    again = ingest_all(broker, gateway.address)
    assert again == {"accepted": 0, "duplicates": 0, "dead": 0, "forgotten": 0, "expired": 0, "called_off": 0}


def test_a_gateway_that_is_away_is_waited_for_and_a_killed_ingestion_repeats_nothing(
    repository: Path, tmp_path: Path, brokers: dict[str, Callable[[], Broker]]
) -> None:
    address = f"unix:{tmp_path}/gateway.sock"
    streams = {kind: make() for kind, make in brokers.items()}  # their shoppers have the names of their kinds
    ingestions = {kind: start(broker, address) for kind, broker in streams.items()}
    for kind, broker in streams.items():
        broker.publish([event(kind, number) for number in range(2_000)])
    with run_gateway(repository, tmp_path, "--host", address, "--port", "0"), Client(address) as client:
        going = set(streams)

        def all_are_killed() -> bool:
            for kind in [each for each in going if count_of(client, each) > 0]:
                ingestions[kind].kill()  # messages may be under way
                going.remove(kind)
            return not going

        wait_for(all_are_killed)
        for kind, broker in streams.items():
            ingestions[kind].communicate()
            broker.publish([event(f"{kind}-later", number) for number in range(500)])
            ingestions[kind] = start(broker, address)
        for kind, ingestion in ingestions.items():
            wait_for(lambda: count_of(client, f"{kind}-later") == 500)  # noqa: B023 - ends before the next
            assert end(ingestion)["dead"] == 0
            assert count_of(client, kind) <= 2_000


def test_ingestions_share_the_partitions_of_a_topic(
    gateway: RunningGateway, brokers: dict[str, Callable[[], Broker]], shopper: str
) -> None:
    broker, port = brokers["kafka"](), find_free_port()
    with Client(gateway.address) as client:
        first = start(broker, gateway.address)
        broker.publish([event(shopper, number) for number in range(1_000)])
        wait_for(lambda: count_of(client, shopper) == 1_000)
        second = start(broker, gateway.address, "--metrics-port", str(port))
        wait_for(lambda: bool(read_metrics(port)))  # it has half of the partitions
        broker.publish([event(shopper, number) for number in range(1_000, 3_000)])
        wait_for(lambda: count_of(client, shopper) == 3_000)
        counts = [end(second)]
        broker.publish([event(shopper, number) for number in range(3_000, 3_500)])
        wait_for(lambda: count_of(client, shopper) == 3_500)
        counts.append(end(first))
    assert all(count["accepted"] >= 100 for count in counts)
    # What was under way when partitions changed hands may come twice, and is stored once.
    assert sum(count["accepted"] for count in counts) == 3_500
    assert sum(count["dead"] for count in counts) == 0


def test_lag_and_counts_are_metrics(gateway: RunningGateway, broker: Broker, shopper: str) -> None:
    port = find_free_port()
    broker.publish([event(shopper, number, type="purchase", status="cancelled") for number in range(10)])
    ingestion = start(broker, gateway.address, "--metrics-port", str(port))
    wait_for(lambda: 'portrait_ingest_messages_total{outcome="accepted"} 10.0' in read_metrics(port))
    wait_for(lambda: "portrait_ingest_lag_messages 0.0" in read_metrics(port))
    assert "portrait_ingest_called_off_purchases_total 10.0" in read_metrics(port)
    ingestion.send_signal(signal.SIGINT)
    _, stderr = ingestion.communicate(timeout=SECONDS)
    assert ingestion.returncode == 0
    assert stderr.count("called off, says the column 'status', which is not read: each counts as a purchase") == 1


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("amqp://127.0.0.1:1/events", "amqp:// is no kind of stream"),
        ("redis-stream://127.0.0.1:1", "the URL names no stream"),
        ("redis-stream://user:secret@127.0.0.1:1/events", "the stream at 127.0.0.1:1 can't be used"),
        ("nats://user:secret@127.0.0.1:1/EVENTS", "the stream at 127.0.0.1:1 can't be used"),
        ("kafka://user:secret@127.0.0.1:1/events", "the stream at 127.0.0.1:1 can't be used"),
    ],
)
def test_a_stream_that_can_not_be_used_is_told(url: str, told: str) -> None:
    done = run_portrait("ingest", url, "--address", "unix:/nowhere/portrait.sock")
    assert done.code == 2
    assert told in done.stderr
    assert "secret" not in done.stderr
