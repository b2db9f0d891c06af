"""The most expensive request of every RPC, four at once: `python -m benchmarks serving.worst_case REPOSITORY`.

While they run, health is asked a hundred times a second and memory is read. Then one is cancelled under way: how long
the gateway goes on working is read from its processor time. Audiences need a audience table, so without one they only
show what their requests cost before it is looked for.
"""

import json
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from pathlib import Path

import grpc
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc

from benchmarks.common.cli import run_part
from benchmarks.common.gateway import NO_RESPONSE_CACHE, Gateway, run_gateway
from benchmarks.common.targets import Result
from benchmarks.common.worst_case_requests import WORST_CASE_REQUESTS, World, make_history_requests
from benchmarks.serving.parts import PARTS
from portrait.features.release import layout as release_layout
from portrait.server.release.release import Release

CONCURRENT_CALLS = 4
DEADLINE = 60.0
SHOPPERS = 8
_CANCELLED_AFTER = 0.1
_IDLE_SECONDS = 0.1
_HEALTH_PAUSE = 0.01
_OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


@dataclass(frozen=True)
class Figures:
    """The cost of four requests at once."""

    bytes: int
    units: float
    """Units of one admitted request."""
    slowest: float
    """Seconds until the last was answered or refused."""
    codes: Counter[str]
    cpu: float
    """Seconds of the gateway's processor time."""
    growth: float
    """Growth of the gateway's peak memory in MiB."""
    health: float
    """99th percentile of the health checks meanwhile, in seconds."""
    cancelled: float
    """Seconds that the gateway worked on after a cancel."""


def measure(repository: Path) -> list[Result]:
    """Measure all requests, one after the other, on one gateway."""
    rows: list[Result] = []
    release = Release.load(repository, release_layout.list_releases(repository)[-1])
    with (
        run_gateway(repository, *NO_RESPONSE_CACHE) as gateway,
        grpc.insecure_channel(gateway.address, _OPTIONS) as channel,
    ):
        world = _make_world(release)
        for shopper in world.shoppers:
            for request in make_history_requests(world, shopper):
                assert _wait_for_status(_call(channel, "portrait.v1.EventService/RecordEvents", request)) == "OK"
        for method, requests in WORST_CASE_REQUESTS.items():
            for kind, make in requests.items():
                measured = _measure_request(gateway, channel, method, make(world))
                name = f"{method.partition('/')[2]}{', ' if kind else ''}{kind}"
                told = {**vars(measured), "codes": dict(measured.codes)}
                sys.stderr.write(json.dumps({"request": name, **told}) + "\n")
                rows += _make_results(name, measured)
    return rows


def _make_world(release: Release) -> World:
    items = release.items[:1_000]
    interest = next(item.category_path for item in items if item.category_path)
    return World([f"dearest-{n}" for n in range(SHOPPERS)], [item.item_id for item in items], interest)


def _call(channel: grpc.Channel, method: str, request: Message) -> "grpc.CallIterator[bytes]":
    """Start a call. Every method can be called as one with a streamed response: on the wire it is the same."""
    return channel.unary_stream(f"/{method}", bytes, bytes)(request.SerializeToString(), timeout=DEADLINE)


def _wait_for_status(call: "grpc.CallIterator[bytes]") -> str:
    """Wait for a call; return the name of its status."""
    with suppress(grpc.RpcError):
        for _ in call:
            pass
    return str(call.code().name)


def _measure_request(gateway: Gateway, channel: grpc.Channel, method: str, request: Message) -> Figures:
    _wait_until_idle(gateway)
    pid, before, units = gateway.process.pid, gateway.rss, _read_units(gateway)
    cpu = _read_cpu_seconds(pid)
    stop, ready = multiprocessing.Event(), multiprocessing.Event()
    with (
        multiprocessing.Pool(1, _initialise_watcher, (stop, ready)) as pool,
        ThreadPoolExecutor(CONCURRENT_CALLS) as threads,
    ):
        watched = pool.apply_async(_watch_gateway, (gateway.address, pid))
        ready.wait()
        began = time.monotonic()
        codes = Counter(
            threads.map(lambda _: _wait_for_status(_call(channel, method, request)), range(CONCURRENT_CALLS))
        )
        slowest = time.monotonic() - began
        stop.set()
        seconds, highest = watched.get()
    cpu = _read_cpu_seconds(pid) - cpu
    let_in = max(1, CONCURRENT_CALLS - codes[grpc.StatusCode.RESOURCE_EXHAUSTED.name])
    return Figures(
        request.ByteSize(),
        (_read_units(gateway) - units) / let_in,
        slowest,
        codes,
        cpu,
        (highest - before) / 2**20,
        sorted(seconds)[len(seconds) * 99 // 100],
        _measure_cancel(gateway, channel, method, request),
    )


def _measure_cancel(gateway: Gateway, channel: grpc.Channel, method: str, request: Message) -> float:
    """Measure the seconds of work after a cancel."""
    _wait_until_idle(gateway)
    call = _call(channel, method, request)
    time.sleep(_CANCELLED_AFTER)
    call.cancel()
    began = time.monotonic()
    return max(0.0, _wait_until_idle(gateway) - began)


def _wait_until_idle(gateway: Gateway) -> float:
    """Wait until the gateway is idle; return the time since when."""
    since, cpu = time.monotonic(), _read_cpu_seconds(gateway.process.pid)
    while time.monotonic() - since < _IDLE_SECONDS:
        time.sleep(0.02)
        now = _read_cpu_seconds(gateway.process.pid)
        if now - cpu > 0.1 * _IDLE_SECONDS:
            since, cpu = time.monotonic(), now
    return since


_stop: Event
_ready: Event


def _initialise_watcher(stop: Event, ready: Event) -> None:
    global _stop, _ready
    _stop, _ready = stop, ready


def _watch_gateway(address: str, pid: int) -> tuple[list[float], int]:
    """Watch the gateway: seconds of each health check until the end, and the peak memory."""
    seconds: list[float] = []
    highest = 0
    with grpc.insecure_channel(address) as channel:
        check = health_pb2_grpc.HealthStub(channel).Check
        check(health_pb2.HealthCheckRequest(), timeout=DEADLINE)
        _ready.set()
        while not _stop.is_set() or not seconds:
            began = time.monotonic()
            with suppress(grpc.RpcError):  # one that is not answered has taken all of its time
                check(health_pb2.HealthCheckRequest(), timeout=DEADLINE)
            seconds.append(time.monotonic() - began)
            highest = max(highest, _read_memory(pid))
            time.sleep(_HEALTH_PAUSE)
    return seconds, highest


def _read_memory(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _read_cpu_seconds(pid: int) -> float:
    """Read the processor seconds of a process, without its children."""
    values = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(values[11]) + int(values[12])) / os.sysconf("SC_CLK_TCK")


def _read_units(gateway: Gateway) -> float:
    """Read the units of all calls that have ended."""
    return sum(value for name, value in gateway.metrics().items() if name.startswith("portrait_admission_units_total"))


def _make_results(name: str, measured: Figures) -> Iterable[Result]:
    def row(what: str, value: float, unit: str, limit: float) -> Result:
        return Result(f"dearest {name}: {what}", value, unit, "", None, f"value <= {limit}")

    yield row("four answered or refused", measured.slowest, "s", 1.0)
    yield row("memory they add", measured.growth, "MiB", 300.0)
    yield row("health meanwhile, p99", 1000 * measured.health, "ms", 100.0)
    yield row("work after a cancel", measured.cancelled, "s", 0.5)


def main(arguments: list[str]) -> int:
    """Run this part by itself; return the exit code."""
    return run_part("serving.worst_case", __doc__, measure, PARTS["worst_case"].options, arguments)
