"""The speed of `portrait ingest`: `python -m benchmarks ingest REPOSITORY`.

The stream, the ingestion and the gateway run on this machine. For each kind of broker, a stream is filled, then read to
its end, first several times with the same number of events, then with those of a day: 24 hours of lag. Reported are the
events a second, once a tenth is read, and the processor time of each process for 1,000 events.
`redis-server` and `nats-server` must be installed.
"""

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.common import results
from benchmarks.common.cli import add_repository, make_parser
from benchmarks.common.cpu_times import CpuMeter
from benchmarks.common.errors import BenchmarkError
from benchmarks.common.gateway import run_gateway
from benchmarks.common.processes import find_free_port
from benchmarks.common.steps import open_repository
from benchmarks.ingest.brokers import BROKERS

EVENTS, ROUNDS, DAY_RATE = 200_000, 3, 10
DAY_SECONDS = 86_400
_SHOPPERS, _ITEMS = 20_000, 50_000
_WARM = 0.1
_POLL_SECONDS, _END_SECONDS, _MAX_SECONDS = 0.1, 30.0, 900.0


@dataclass(frozen=True)
class IngestCost:
    """The reading of one stream."""

    broker: str
    events: int
    is_day: bool
    """True for the stream that holds a day's events."""
    seconds: float
    """From the start of the ingestion's process to the last event that is stored."""
    rate: float
    """Events a second, after the first tenth."""
    ingestion_ms: float
    """Processor time for 1,000 events, as of the other processes."""
    gateway_ms: float
    broker_ms: float


def measure(repository: Path, folder: Path, events: int, rounds: int, day_rate: int) -> Iterator[IngestCost]:
    """Measure every kind of broker several times, and then each with the events of a day."""
    for number in range(rounds):
        for name in BROKERS if number % 2 == 0 else reversed(BROKERS):
            yield _measure_stream(repository, folder / f"{number}-{name}", name, events, is_day=False)
    for name in BROKERS if day_rate else ():
        yield _measure_stream(repository, folder / f"day-{name}", name, day_rate * DAY_SECONDS, is_day=True)


def _measure_stream(repository: Path, folder: Path, name: str, events: int, *, is_day: bool) -> IngestCost:
    folder.mkdir()
    with run_gateway(repository) as gateway, BROKERS[name](folder) as broker:
        broker.publish(_draw_events(events))
        began = time.perf_counter()
        with _run_ingestion(broker.url, gateway.address) as ingestion:
            warm = ingestion.wait_for(round(_WARM * events))
            warm_at = time.perf_counter()
            pids = {"ingestion": ingestion.process.pid, "gateway": gateway.process.pid, "broker": broker.pid}
            meters = {process: CpuMeter(pid, _name_process) for process, pid in pids.items()}
            count = ingestion.wait_for(events) - warm
            ended = time.perf_counter()
            used = {process: meter.read()["own"] * 1000 / count for process, meter in meters.items()}
    rate = count / (ended - warm_at)
    return IngestCost(name, events, is_day, ended - began, rate, used["ingestion"], used["gateway"], used["broker"])


def _name_process(command: str) -> str:
    return "Triton" if "tritonserver" in command or "pytriton" in command else "own"


def _draw_events(count: int) -> Iterator[bytes]:
    """Draw the events of the last day, as a shop's tracker writes them."""
    rng, begin = random.Random(1), datetime.now(UTC) - timedelta(days=1)
    kinds = rng.choices(("view", "click", "add_to_cart", "purchase"), (80, 12, 5, 3), k=997)
    for number in range(count):
        event = {
            "shopper_id": f"shopper-{rng.randrange(_SHOPPERS)}",
            "event_id": f"event-{number}",
            "type": kinds[number % len(kinds)],
            "item_id": f"item-{rng.randrange(_ITEMS)}",
            "time": (begin + timedelta(seconds=DAY_SECONDS * number / count)).isoformat(),
            "price": rng.randrange(100, 20_000) / 100,
        }
        yield json.dumps(event).encode()


@dataclass(frozen=True)
class _Ingestion:
    process: subprocess.Popen[bytes]
    metrics_url: str

    def wait_for(self, count: int) -> int:
        """Wait until so many events are stored; returns how many there are.

        Raises:
            BenchmarkError: the ingestion has ended, or is too slow.
        """
        until = time.monotonic() + _MAX_SECONDS
        while (stored := self._read_count()) < count:
            if self.process.poll() is not None or time.monotonic() > until:
                raise BenchmarkError(f"the ingestion stored {stored} of {count} events")
            time.sleep(_POLL_SECONDS)
        return stored

    def _read_count(self) -> int:
        try:
            with urllib.request.urlopen(self.metrics_url, timeout=10) as answer:
                lines = answer.read().decode().splitlines()
        except OSError:
            return 0
        name = 'portrait_ingest_messages_total{outcome="accepted"} '
        return next(int(float(line.removeprefix(name))) for line in lines if line.startswith(name))


@contextmanager
def _run_ingestion(url: str, address: str) -> Iterator[_Ingestion]:
    port = find_free_port()
    command = [str(Path(sys.executable).parent / "portrait"), "ingest", url, "--address", address]
    with subprocess.Popen([*command, "--metrics-port", str(port)], stdout=subprocess.DEVNULL) as process:
        try:
            yield _Ingestion(process, f"http://127.0.0.1:{port}/metrics")
        finally:
            process.terminate()
            process.wait(_END_SECONDS)


def format_report(costs: list[IngestCost], where: dict[str, str]) -> str:
    """The figures as Markdown: of the rounds the median, and the least and the most."""
    rounds, days = [cost for cost in costs if not cost.is_day], [cost for cost in costs if cost.is_day]
    lines = [
        "# The speed of an ingestion",
        "",
        f"{results.format_origin(where)} Stream, ingestion and gateway share the machine. {rounds[0].events:,} events "
        f"in the stream; rounds: {len(rounds) // len(BROKERS)}, median (least to most). Processor time is in ms for "
        "1,000 events. Load of the machine before and after, in running processes: "
        f"{where['load']}.",
        "",
        "| broker | events a second | ingestion, ms | gateway, ms | broker, ms |",
        "|---|---|---|---|---|",
    ]
    for name in BROKERS:
        own = [asdict(cost) for cost in rounds if cost.broker == name]
        shown = [
            _format_spread([cost[column] for cost in own], form)
            for column, form in (("rate", ",.0f"), ("ingestion_ms", ".1f"), ("gateway_ms", ".1f"), ("broker_ms", ".1f"))
        ]
        lines.append(f"| {name} | {' | '.join(shown)} |")
    if days:
        lines += [
            "",
            f"A day of lag, {days[0].events / DAY_SECONDS:,.0f} events a second ({days[0].events:,} in the stream), "
            "until the last is stored:",
            "",
            "| broker | seconds | times real time | events a second |",
            "|---|---|---|---|",
            *(
                f"| {cost.broker} | {cost.seconds:,.0f} | {DAY_SECONDS / cost.seconds:,.0f} | {cost.rate:,.0f} |"
                for cost in days
            ),
        ]
    return "\n".join(lines) + "\n"


def _format_spread(values: list[float], form: str) -> str:
    middle, least, most = (format(each, form) for each in (statistics.median(values), min(values), max(values)))
    return f"{middle} ({least} to {most})"


def main(arguments: list[str]) -> int:
    """Run the benchmark; return the exit code."""
    parser = make_parser("ingest", __doc__)
    add_repository(parser)
    parser.add_argument("--events", type=int, default=EVENTS, help=f"events in a stream ({EVENTS})")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"readings of each broker ({ROUNDS})")
    parser.add_argument(
        "--day-rate", type=int, default=DAY_RATE, help=f"events a second of the day of lag; 0 for none ({DAY_RATE})"
    )
    options = parser.parse_args(arguments)
    chosen = ((name, parser.get_default(name), getattr(options, name)) for name in ("events", "rounds", "day_rate"))
    changed = "".join(f" --{name.replace('_', '-')} {value}" for name, default, value in chosen if value != default)
    where = results.describe_circumstances(f"python -m benchmarks ingest REPOSITORY{changed}")
    repository = open_repository(options.repository)
    costs, load = [], os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        for cost in measure(repository, Path(folder), options.events, options.rounds, options.day_rate):
            sys.stderr.write(json.dumps(asdict(cost)) + "\n")
            costs.append(cost)
    where["load"] = f"{load:.1f} and {os.getloadavg()[0]:.1f}"
    report = format_report(costs, where)
    results.write_results("ingest", {"circumstances": where, "costs": [asdict(cost) for cost in costs]}, report)
    print(report)
    return 0
