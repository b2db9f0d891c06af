"""Cold calls, whose histories never came before: `python -m benchmarks serving.cold REPOSITORY`.

CPU milliseconds of a call by process, rates and latencies, by size of the catalogue, of the gateway with its response
cache off. Beside it the same recommendation by the same graphs and features in one process (`peer.recommender`), by
LitServe, and by a gRPC server that an engineer writes in a day. These have a process for each core, so the gateway is
compared to them with as many, and with one. Catalogues are made of the newest release of the repository; see
`benchmarks.common.synthetic_catalogue`. Servers and callers share the machine.
"""

import base64
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from benchmarks.common import synthetic_catalogue as synthetic
from benchmarks.common.cli import run_part
from benchmarks.common.cpu_times import TEXT_ENCODER, CpuMeter, name_process
from benchmarks.common.gateway import NO_RESPONSE_CACHE, run_gateway
from benchmarks.common.load.calls import make_recommend_calls, make_search_calls
from benchmarks.common.load.generator import Call, CallResult, Load, run_load
from benchmarks.common.load.rates import compute_rate, require_answered
from benchmarks.common.targets import Result
from benchmarks.serving import senders
from benchmarks.serving.parts import PARTS
from benchmarks.serving.peer import model
from benchmarks.serving.peer.processes import Peer, run_peer, wait_until_answering
from benchmarks.serving.senders import Target

SIZES = (1_000, 10_000, 100_000, 1_000_000)
COMPARED_SIZE = 100_000
"""Size of the catalogue with which the peers are measured."""
IN_FLIGHT = 16
_DEADLINE = 10.0
_WARM, _ALONE = 64, 60
_CORES = os.cpu_count() or 1
_CONNECTIONS_PER_CORE = 16
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""Environment of processes of which there is one for each core."""
RECOMMEND, SEARCH = "Recommend", "search"
_MAKERS = {RECOMMEND: make_recommend_calls, SEARCH: make_search_calls}
"""Calls by their kind; each search has words of its own."""


@dataclass(frozen=True)
class ColdCost:
    """The cost of cold calls."""

    rate: float
    """Answers a second, with 16 in flight."""
    cpu_ms: dict[str, float]
    """CPU milliseconds of a call, by process."""
    alone_p50_ms: float
    """Median latency of one call at a time."""

    @property
    def total_ms(self) -> float:
        """CPU milliseconds of a call, of all processes."""
        return sum(self.cpu_ms.values())


Send = Callable[[Sequence[Call], int], list[CallResult]]
"""Sends calls, so many at one time."""


def measure(repository: Path, calls: int = 600) -> list[Result]:
    """Measure all sizes and peers; figures by process go to stderr, a line of JSON for each.

    Args:
        repository: model repository.
        calls: number of calls of each kind that are measured.
    """
    ours: dict[tuple[str, int], ColdCost] = {}
    by_core: dict[str, ColdCost] = {}
    peers: dict[tuple[str, str], ColdCost] = {}
    with tempfile.TemporaryDirectory(dir=repository.parent, prefix=".cold-") as name:
        for size in SIZES:
            made = Path(name) / str(size)
            synthetic.write_synthetic_release(repository, made, size)
            for kind, cost in _measure_gateway(made, calls).items():
                ours[kind, size] = _log(f"gateway, {size:,} items", kind, cost)
            if size == COMPARED_SIZE:
                by_core = {
                    kind: _log(f"gateway of {_CORES} processes, {size:,} items", kind, cost)
                    for kind, cost in _measure_gateway(made, calls, _CORES).items()
                }
                peers = {
                    (peer, kind): _log(f"{peer}, {size:,} items", kind, cost)
                    for peer, run in PEERS.items()
                    for kind, cost in run(made, calls).items()
                }
    return [*_make_results(ours), *_compare_with_peers(ours, by_core, peers)]


def _measure_gateway(repository: Path, count: int, processes: int = 1) -> dict[str, ColdCost]:
    with run_gateway(repository, *NO_RESPONSE_CACHE, "--processes", str(processes)) as gateway:
        meter = partial(CpuMeter, gateway.process.pid, name_process)
        return _measure_kinds(repository, count, partial(_send, gateway.address), meter)


def _measure_kinds(repository: Path, count: int, send: Send, meter: Callable[[], CpuMeter]) -> dict[str, ColdCost]:
    """Measure each kind of call; none of them comes twice."""
    found = {}
    for kind, make in _MAKERS.items():
        made = make(repository, _WARM + count + _ALONE, seed=int(time.time()))
        send(made[:_WARM], IN_FLIGHT)
        used = meter()
        answered = send(made[_WARM : _WARM + count], IN_FLIGHT)
        cpu_ms = {name: used_ms / count for name, used_ms in used.read().items()}
        alone = send(made[_WARM + count :], 1)
        require_answered(alone)
        p50 = 1e3 * statistics.median(each.seconds for each in alone)
        found[kind] = ColdCost(compute_rate(answered), cpu_ms, p50)
    return found


def _send(address: str, calls: Sequence[Call], in_flight: int) -> list[CallResult]:
    load = Load(
        address,
        calls,
        600.0,
        _DEADLINE,
        in_flight=in_flight,
        count=len(calls),
        connections=_CONNECTIONS_PER_CORE * _CORES,
    )
    return run_load(load)


def _send_to_litserve(target: Target, calls: Sequence[Call], in_flight: int) -> list[CallResult]:
    return senders.send_load(target, [base64.b64encode(call.request).decode() for call in calls], in_flight=in_flight)


@contextmanager
def _run_recommender(kind: str, repository: Path) -> Iterator[tuple[Peer, Send]]:
    settings = {model.REPOSITORY: repository.absolute(), model.THREADS: _CORES, **_ONE_THREAD}
    with run_peer(kind, settings) as peer:
        send = partial(_send, peer.address)
        if kind == "recommend_litserve":
            send = partial(_send_to_litserve, Target("litserve", peer.address, repository, 0))
        first = make_recommend_calls(repository, IN_FLIGHT)
        wait_until_answering(kind, lambda: send(first, IN_FLIGHT))
        yield peer, send


def _measure_peer(kind: str, repository: Path, count: int) -> dict[str, ColdCost]:
    with _run_recommender(kind, repository) as (peer, send):
        meter = partial(CpuMeter, peer.pid, lambda _: kind)
        return _measure_kinds(repository, count, send, meter)


def _measure_in_process(repository: Path, count: int) -> dict[str, ColdCost]:
    """Measure the recommender in a loop of one thread, in a process of its own."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.serving.cold", str(repository), str(count)]
    environment = os.environ | _ONE_THREAD
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding="utf-8", env=environment)
    return {kind: ColdCost(**cost) for kind, cost in json.loads(done.stdout).items()}


def _loop_in_process(repository: Path, count: int) -> dict[str, ColdCost]:
    from benchmarks.serving.peer.recommender import Recommender
    from portrait.v1.recommendation_service_pb2 import RecommendRequest

    recommender, found = Recommender(repository), {}
    for kind, make in _MAKERS.items():
        made = make(repository, _WARM + count, seed=int(time.time()))
        seconds = []
        for place, call in enumerate(made):
            if place == _WARM:
                cpu = time.process_time()
            began = time.perf_counter()
            recommender.recommend(RecommendRequest.FromString(call.request)).SerializeToString()
            seconds.append(time.perf_counter() - began)
        cpu_ms = 1e3 * (time.process_time() - cpu) / count
        rate = _CORES * count / sum(seconds[_WARM:])  # a loop for each core
        found[kind] = ColdCost(rate, {"in process": cpu_ms}, 1e3 * statistics.median(seconds[_WARM:]))
    return found


IDEAL, LITSERVE, DAYS_WORK = "in process", "LitServe", "gRPC server of a day"
PEERS: dict[str, Callable[[Path, int], dict[str, ColdCost]]] = {
    IDEAL: _measure_in_process,
    DAYS_WORK: partial(_measure_peer, "recommend_grpc"),
    LITSERVE: partial(_measure_peer, "recommend_litserve"),
}


def _make_results(ours: dict[tuple[str, int], ColdCost]) -> list[Result]:
    rows = []
    for (kind, size), cost in ours.items():
        named = f"cold {kind}, {size:,} items"
        wanted = _REQUIRED.get((kind, size), ("value >= 0",) * 3)
        told = ", ".join(f"{name} {value:.2f}" for name, value in cost.cpu_ms.items())
        rows += [
            Result(f"{named}: CPU beside the text encoder", cost.total_ms - cost.cpu_ms.get(TEXT_ENCODER, 0.0), "ms",
                told, None, wanted[0]),
            Result(f"{named}: rate, {IN_FLIGHT} in flight", cost.rate, "answers/s", "", None, wanted[1]),
            Result(f"{named}: p50 alone", cost.alone_p50_ms, "ms", "", None, wanted[2]),
        ]  # fmt: skip
    recommend = {size: cost.total_ms for (kind, size), cost in ours.items() if kind == RECOMMEND}
    rows.append(
        Result(f"cold {RECOMMEND}: CPU with {SIZES[-1]:,} items", recommend[SIZES[-1]], "ms",
            f"{SIZES[1]:,} items, {recommend[SIZES[1]]:.2f} ms", recommend[SIZES[-1]] / recommend[SIZES[1]],
            "ratio <= 1.5")
    )  # fmt: skip
    return rows


def _compare_with_peers(
    ours: dict[tuple[str, int], ColdCost], by_core: dict[str, ColdCost], peers: dict[tuple[str, str], ColdCost]
) -> list[Result]:
    """Compare rates: first of one process, for which nothing is required, then of a process for each core."""
    rows = []
    for (peer, kind), cost in peers.items():
        told = f"{peer}, {cost.rate:.0f} answers/s, CPU {cost.total_ms:.2f} ms, p50 alone {cost.alone_p50_ms:.2f} ms"
        named = f"cold {kind}, {COMPARED_SIZE:,} items: rate beside {peer}"
        for processes, mine, required in (
            ("one process", ours[kind, COMPARED_SIZE], "ratio >= 0"),
            (f"{_CORES} processes", by_core[kind], _REQUIRED_OF_PEERS[peer]),
        ):
            rows.append(
                Result(f"{named}, {processes}", mine.rate, "answers/s",
                    f"{told}; ours, CPU {mine.total_ms:.2f} ms, p50 alone {mine.alone_p50_ms:.2f} ms",
                    mine.rate / cost.rate, required)
            )  # fmt: skip
    return rows


_REQUIRED = {
    (RECOMMEND, COMPARED_SIZE): ("value <= 5", "value >= 300", "value <= 6"),
    (SEARCH, COMPARED_SIZE): ("value <= 9", "value >= 120", "value >= 0"),
}
"""Required CPU, rate and latency."""
_REQUIRED_OF_PEERS = {IDEAL: "ratio >= 0.6", DAYS_WORK: "ratio >= 1", LITSERVE: "ratio >= 1.2"}


def _log(what: str, kind: str, cost: ColdCost) -> ColdCost:
    sys.stderr.write(json.dumps({"what": what, "kind": kind, **asdict(cost)}) + "\n")
    return cost


def main(arguments: list[str]) -> int:
    """Run this part by itself; return the exit code."""
    return run_part("serving.cold", __doc__, measure, PARTS["cold"].options, arguments)


if __name__ == "__main__":
    found = _loop_in_process(Path(sys.argv[1]), int(sys.argv[2]))
    print(json.dumps({kind: asdict(cost) for kind, cost in found.items()}))
