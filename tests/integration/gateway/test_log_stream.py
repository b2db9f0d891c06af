"""A log that nobody takes in: calls are answered all the same, the lines are counted, and the gateway ends in time."""

import asyncio
import json
import os
import re
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import grpc
from support.gateway import Stubs, serve_command
from support.ports import find_free_port

from portrait.v1.consent_service_pb2 import GetConsentsRequest
from portrait.v1.consent_service_pb2_grpc import ConsentServiceStub
from portrait.v1.event_service_pb2 import RecordEventsRequest

_FEW_CALLS, _MANY_CALLS, _TOGETHER = 500, 4_000, 20
"""With the longest request ids, few fill a pipe, many the queue of lines as well."""


@contextmanager
def gateway(repository: Path, folder: Path, stderr: int, port: int, metrics: int) -> Iterator[subprocess.Popen[bytes]]:
    ports = ("--port", str(port), "--metrics-port", str(metrics))
    process = subprocess.Popen(serve_command(repository, folder, *ports), stderr=stderr)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


@contextmanager
def logging_to_pipe(
    repository: Path, folder: Path, port: int, metrics: int
) -> Iterator[tuple[subprocess.Popen[bytes], BinaryIO]]:
    ours, theirs = os.pipe()
    with os.fdopen(ours, "rb") as stream, gateway(repository, folder, theirs, port, metrics) as process:
        os.close(theirs)
        yield process, stream


def read_until_ready(stream: BinaryIO) -> None:
    """Take in the log, line by line, until calls are served."""
    for line in stream:
        if b'"event": "ready"' in line:
            return
    raise AssertionError("the gateway ended before it was ready")


async def until_it_serves(channel: grpc.aio.Channel) -> None:
    async with asyncio.timeout(60):
        await channel.channel_ready()


async def dropped(metrics: int) -> dict[str, float]:
    """Lines that were not written, by reason."""
    url = f"http://127.0.0.1:{metrics}/metrics"
    text = await asyncio.to_thread(lambda: urllib.request.urlopen(url, timeout=60).read().decode())
    found = re.findall(r'^portrait_log_lines_dropped_total\{reason="(\w+)"\} (\S+)$', text, re.MULTILINE)
    return {reason: float(count) for reason, count in found}


async def until_dropped(metrics: int, reason: str, count: int) -> None:
    """Wait until so many lines were not written: they are written after the calls that they tell of."""
    async with asyncio.timeout(60):
        while (await dropped(metrics)).get(reason, 0) < count:
            await asyncio.sleep(0.05)


async def call_often(channel: grpc.aio.Channel, calls: int) -> None:
    """Make calls that log a long line each; all of them must be answered."""
    consents = ConsentServiceStub(channel)
    ids = iter([(("x-request-id", f"{number:0128}"),) for number in range(calls)])

    async def call_in_turn() -> None:
        for each in ids:
            await consents.GetConsents(GetConsentsRequest(shopper_id="nobody"), metadata=each, timeout=60)

    await asyncio.gather(*(call_in_turn() for _ in range(_TOGETHER)))


async def record(stubs: Stubs, number: int) -> None:
    event = {"event_id": str(number), "type": "EVENT_TYPE_VIEW", "item_id": "desk-lamp-red"}
    request = RecordEventsRequest(events=[{"shopper_id": "ann", "event": event}])
    request.events[0].event.time.FromDatetime(datetime.now(UTC))
    answer = await stubs.events.RecordEvents(request, timeout=60)
    assert answer.accepted == 1, answer


async def terminate(process: subprocess.Popen[bytes]) -> int:
    process.send_signal(signal.SIGTERM)
    return await asyncio.to_thread(process.wait, 40)


async def test_a_full_log_disk_fails_no_call(repository: Path, tmp_path: Path) -> None:
    port, metrics = find_free_port(), find_free_port()
    with Path("/dev/full").open("wb") as full, gateway(repository, tmp_path, full.fileno(), port, metrics) as process:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            await until_it_serves(channel)
            for number in range(10):
                await record(Stubs.over(channel), number)
            await until_dropped(metrics, "write_failed", 10)
        assert await terminate(process) == 0


async def test_a_log_reader_that_stalls_fails_no_call(repository: Path, tmp_path: Path) -> None:
    port, metrics = find_free_port(), find_free_port()
    with logging_to_pipe(repository, tmp_path, port, metrics) as (process, stream):
        await asyncio.to_thread(read_until_ready, stream)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            await record(Stubs.over(channel), 1)
            await call_often(channel, _MANY_CALLS)
            await record(Stubs.over(channel), 2)
            await until_dropped(metrics, "queue_full", 100)
        assert await terminate(process) == 0


async def test_a_log_reader_that_pauses_misses_nothing_and_one_that_exits_fails_no_call(
    repository: Path, tmp_path: Path
) -> None:
    port, metrics = find_free_port(), find_free_port()
    with logging_to_pipe(repository, tmp_path, port, metrics) as (process, stream):
        await asyncio.to_thread(read_until_ready, stream)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            await call_often(channel, _FEW_CALLS)
            lines = await asyncio.to_thread(lambda: [json.loads(stream.readline()) for _ in range(_FEW_CALLS)])
            assert {line["event"] for line in lines} == {"rpc"}
            assert set((await dropped(metrics)).values()) == {0}
            stream.close()
            await record(Stubs.over(channel), 1)
            await call_often(channel, _FEW_CALLS)
            await until_dropped(metrics, "write_failed", 100)
        assert await terminate(process) == 0
