"""Brokers with a stream of events, each a real server on a free port of this machine."""

import asyncio
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import nats
import redis
from nats.js.api import StreamConfig

from benchmarks.common.errors import BenchmarkError
from benchmarks.common.processes import find_free_port

_STREAM = "EVENTS"
_START_SECONDS = 10.0
_BATCH = 1_000


@dataclass(frozen=True)
class Broker:
    """A running broker with an empty stream."""

    pid: int
    url: str
    """URL of the stream, as `portrait ingest` takes it."""
    publish: Callable[[Iterable[bytes]], None]
    """Adds messages to the stream."""


@contextmanager
def _run_redis(folder: Path) -> Iterator[Broker]:
    """Run a Redis that writes each change to its log within a second."""
    port = find_free_port()
    options = ["--bind", "127.0.0.1", "--dir", str(folder), "--appendonly", "yes", "--save", ""]
    with _run_server("redis-server", "--port", str(port), *options, port=port) as pid:
        yield Broker(pid, f"redis-stream://127.0.0.1:{port}/{_STREAM}", lambda events: _publish_to_redis(port, events))


def _publish_to_redis(port: int, events: Iterable[bytes]) -> None:
    with redis.Redis(port=port) as client:
        remaining = iter(events)
        while batch := list(islice(remaining, _BATCH)):
            with client.pipeline(transaction=False) as pipeline:
                for event in batch:
                    pipeline.xadd(_STREAM, {"event": event})
                pipeline.execute()


@contextmanager
def _run_nats(folder: Path) -> Iterator[Broker]:
    port = find_free_port()
    options = ["--addr", "127.0.0.1", "--jetstream", "--store_dir", str(folder)]
    with _run_server("nats-server", "--port", str(port), *options, port=port) as pid:
        asyncio.run(_publish_to_nats(port, ()))
        url = f"nats://127.0.0.1:{port}/{_STREAM}"
        yield Broker(pid, url, lambda events: asyncio.run(_publish_to_nats(port, events)))


async def _publish_to_nats(port: int, events: Iterable[bytes]) -> None:
    connection = await nats.connect(f"127.0.0.1:{port}")
    jetstream = connection.jetstream()
    await jetstream.add_stream(StreamConfig(name=_STREAM, subjects=["shop.events"]))
    remaining = iter(events)
    while batch := list(islice(remaining, _BATCH)):
        await asyncio.gather(*[await jetstream.publish_async("shop.events", event) for event in batch])
    await connection.close()


@contextmanager
def _run_server(program: str, *options: str, port: int) -> Iterator[int]:
    path = shutil.which(program)
    if path is None:
        raise BenchmarkError(f"there is no {program}: install the package of this name")
    with subprocess.Popen([path, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            until = time.monotonic() + _START_SECONDS
            while not _is_reachable(port):
                if process.poll() is not None or time.monotonic() > until:
                    raise BenchmarkError(f"{program} does not start")
                time.sleep(0.05)
            yield process.pid
        finally:
            process.kill()


def _is_reachable(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1.0).close()
    except OSError:
        return False
    return True


BROKERS: dict[str, Callable[[Path], AbstractContextManager[Broker]]] = {
    "Redis": _run_redis,
    "NATS JetStream": _run_nats,
}
"""By name. Each runs a broker that keeps its files in an empty folder."""
