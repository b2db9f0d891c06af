"""The state in a file beside the state in Redis: `python -m benchmarks shared-state REPOSITORY`.

Each gateway gets the same events of many shoppers, and then answers one `Recommend` for each, which no cache knows.
`redis-server` must be installed; it runs on this machine too. Reported are rates, the processor time of the gateway's
own process and of Redis, and the memory that an event takes there. The order of the two is changed in each round.
"""

import random
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import redis

from benchmarks.common import results
from benchmarks.common.cli import add_repository, make_parser
from benchmarks.common.cpu_times import CpuMeter
from benchmarks.common.gateway import run_gateway
from benchmarks.common.load.calls import RECOMMEND_PATH, read_items
from benchmarks.common.load.generator import Call, Load, run_load
from benchmarks.common.load.rates import compute_rate, require_answered
from benchmarks.common.steps import open_repository
from portrait.client import Client, Event, EventType
from portrait.v1.recommendation_service_pb2 import RecommendRequest

FILE, REDIS = "SQLite file", "Redis"
EVENTS_EACH = 20
_SHOPPERS, _ROUNDS, _IN_FLIGHT, _WARM = 2_400, 3, 16, 200
_DEADLINE = 10.0
_START_SECONDS = 10.0


@dataclass(frozen=True)
class StateCost:
    """The cost of one kind of state in one round."""

    kind: str
    recommend_rate: float
    """Answers a second, with 16 in flight."""
    recommend_gateway_ms: float
    """Processor time of the gateway's own process for a call."""
    recommend_redis_ms: float
    record_rate: float
    """Events a second, in calls of 1,000."""
    bytes_an_event: float | None
    """Memory of Redis for an event; None for the file."""


@contextmanager
def _run_redis(folder: Path) -> Iterator[tuple[str, int]]:
    """Run a server that writes each change to its log within a second; yields its URL and process id."""
    program = shutil.which("redis-server")
    if program is None:
        raise SystemExit("there is no redis-server: install the package of this name")
    path = folder / "redis.sock"
    options = ["--port", "0", "--unixsocket", str(path), "--dir", str(folder), "--appendonly", "yes", "--save", ""]
    with subprocess.Popen([program, *options], stdout=subprocess.DEVNULL) as process:
        until = time.monotonic() + _START_SECONDS
        while not path.exists() and time.monotonic() < until:
            time.sleep(0.05)
        try:
            yield f"unix://{path}", process.pid
        finally:
            process.kill()


def measure(repository: Path, folder: Path) -> list[StateCost]:
    """Measure both kinds of state several times."""
    item_ids = [item["item_id"] for item in read_items(repository)]
    found = []
    for place in range(_ROUNDS):
        for kind in (FILE, REDIS) if place % 2 == 0 else (REDIS, FILE):
            if kind == FILE:
                found.append(_measure_state(repository, item_ids, None, 0))
                continue
            inside = folder / str(place)
            inside.mkdir()
            with _run_redis(inside) as (url, pid):
                found.append(_measure_state(repository, item_ids, url, pid))
    return found


def _measure_state(repository: Path, item_ids: list[str], url: str | None, redis_pid: int) -> StateCost:
    with run_gateway(repository, *(("--state-url", url) if url else ())) as gateway:
        with Client(gateway.address, timeout=60.0) as client:
            began = time.perf_counter()
            client.record_events(_draw_events(item_ids))
            record_rate = _SHOPPERS * EVENTS_EACH / (time.perf_counter() - began)
        calls = [
            Call(RECOMMEND_PATH, RecommendRequest(shopper={"shopper_id": f"s{number}"}, k=10).SerializeToString())
            for number in range(_SHOPPERS)
        ]
        _send(gateway.address, calls[:_WARM])
        own = CpuMeter(gateway.process.pid, _name_process)
        its = CpuMeter(redis_pid, lambda _: REDIS) if redis_pid else None
        rate = _send(gateway.address, calls[_WARM:])
        count = len(calls) - _WARM
        return StateCost(
            REDIS if url else FILE,
            rate,
            own.read()["gateway"] / count,
            its.read()[REDIS] / count if its else 0.0,
            record_rate,
            _read_memory(url) / (_SHOPPERS * EVENTS_EACH) if url else None,
        )


def _name_process(command: str) -> str:
    return "gateway" if "portrait serve" in command or "bin/portrait" in command else "Triton"


def _draw_events(item_ids: list[str]) -> Iterator[tuple[str, Event]]:
    rng, now = random.Random(1), datetime.now(UTC)
    for number in range(_SHOPPERS):
        for place in range(EVENTS_EACH):
            time_of_event = now - timedelta(days=EVENTS_EACH - place, minutes=number)
            yield f"s{number}", Event(EventType.VIEW, f"event-{number}-{place}", time_of_event, rng.choice(item_ids))


def _send(address: str, calls: list[Call]) -> float:
    answered = run_load(Load(address, calls, 600.0, _DEADLINE, in_flight=_IN_FLIGHT, count=len(calls)))
    require_answered(answered)
    return compute_rate(answered)


def _read_memory(url: str) -> int:
    with redis.Redis.from_url(url) as client:
        return int(client.info("memory")["used_memory"]) - int(client.info("memory")["used_memory_startup"])


def format_report(costs: list[StateCost], where: dict[str, str]) -> str:
    """The figures as Markdown: medians, and the least and the most of all rounds."""
    lines = [
        "# The state in a file and in Redis",
        "",
        f"{results.format_origin(where)} {_SHOPPERS:,} shoppers with {EVENTS_EACH} recorded events each; one cold "
        f"`Recommend` for each, {_IN_FLIGHT} in flight; {_ROUNDS} rounds: median (least to most). Redis runs on the "
        "same machine and writes its log once a second.",
        "",
        "| | " + " | ".join((FILE, REDIS)) + " |",
        "|---|---|---|",
    ]
    rows = (
        ("`Recommend`, answers a second", "recommend_rate", "{:,.0f}"),
        ("processor time of the gateway, ms a call", "recommend_gateway_ms", "{:.2f}"),
        ("processor time of Redis, ms a call", "recommend_redis_ms", "{:.2f}"),
        ("`RecordEvents` of 1,000, events a second", "record_rate", "{:,.0f}"),
        ("memory of an event in Redis, bytes", "bytes_an_event", "{:,.0f}"),
    )
    for title, name, form in rows:
        shown = []
        for kind in (FILE, REDIS):
            values = [value for cost in costs if cost.kind == kind and (value := asdict(cost)[name]) is not None]
            spread = (
                [form.format(each) for each in (statistics.median(values), min(values), max(values))] if values else []
            )
            shown.append(f"{spread[0]} ({spread[1]} to {spread[2]})" if spread else "")
        lines.append(f"| {title} | {' | '.join(shown)} |")
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    """Run the benchmark; return the exit code."""
    parser = make_parser("shared-state", __doc__)
    add_repository(parser)
    options = parser.parse_args(arguments)
    where = results.describe_circumstances("python -m benchmarks shared-state REPOSITORY")
    repository = open_repository(options.repository)
    with tempfile.TemporaryDirectory() as folder:
        costs = measure(repository, Path(folder))
    report = format_report(costs, where)
    results.write_results("shared-state", {"circumstances": where, "costs": [asdict(cost) for cost in costs]}, report)
    print(report)
    return 0
