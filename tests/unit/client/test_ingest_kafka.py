"""Offsets of a topic of Kafka, and how its URL is read. The broker itself is in the integration tests."""

import asyncio
import sys

import pytest
from aiokafka import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from portrait.client.ingest.kafka_stream import Partition, read_connection
from portrait.client.ingest.streams import StreamError, open_stream

NAME = TopicPartition("events", 0)


@st.composite
def readings(draw: st.DrawFn) -> tuple[list[int], list[list[int]]]:
    """Draw offsets with gaps as they are read, and the order in which batches of them end."""
    gaps = draw(st.lists(st.integers(1, 3), min_size=1, max_size=40))
    offsets = [sum(gaps[:count]) for count in range(1, len(gaps) + 1)]
    size = draw(st.integers(1, 10))
    batches = [offsets[first : first + size] for first in range(0, len(offsets), size)]
    ended: list[list[int]] = draw(st.lists(st.sampled_from(batches)).map(list))  # some never, some twice
    return offsets, ended


@given(readings())
def test_nothing_is_committed_behind_a_record_that_is_not_done_with(reading: tuple[list[int], list[list[int]]]) -> None:
    offsets, ended = reading
    partition, done = Partition(NAME), set()
    for offset in offsets:
        partition.add(offset)
    for batch in ended:
        for offset in batch:
            partition.finish(offset)
        done.update(batch)
        waiting = [offset for offset in offsets if offset not in done]
        assert all(offset >= partition.position for offset in waiting)
        before = [offset for offset in offsets if not waiting or offset < waiting[0]]
        assert partition.position == (before[-1] + 1 if before else 0)


def test_a_user_is_proved_by_the_mechanism_of_the_url() -> None:
    url = "kafka+ssl://shop:p%40ss@one:9093,two:9093/events?mechanism=SCRAM-SHA-512"
    read = read_connection(url)
    assert read["bootstrap_servers"] == ["one:9093", "two:9093"]
    assert read["security_protocol"] == "SASL_SSL"
    assert read["ssl_context"] is not None
    assert (read["sasl_mechanism"], read["sasl_plain_username"]) == ("SCRAM-SHA-512", "shop")
    assert read["sasl_plain_password"] == "p@ss"
    plain = read_connection("kafka://one/events")
    assert (plain["security_protocol"], plain["ssl_context"]) == ("PLAINTEXT", None)
    assert "sasl_mechanism" not in plain
    assert read_connection("kafka://shop:pass@one/events")["sasl_mechanism"] == "PLAIN"


@pytest.fixture
def no_aiokafka(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiokafka", None)
    monkeypatch.delitem(sys.modules, "portrait.client.ingest.kafka_stream")


@pytest.mark.usefixtures("no_aiokafka")
def test_a_missing_package_is_named_with_its_extra() -> None:
    with pytest.raises(StreamError, match="kafka:// needs aiokafka: install Portrait with the extra `kafka`"):
        asyncio.run(open_stream("kafka://127.0.0.1:1/events"))
