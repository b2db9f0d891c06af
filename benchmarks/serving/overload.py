"""Overload, in an open loop: `python -m benchmarks serving.overload REPOSITORY`.

The capacity is measured in a closed loop, then once and twice as many calls come for a while, then three times as many
for a minute, then half of the capacity. Gateway, Triton and load generator share the machine: what the generator takes
at three times the capacity is missing from the goodput. The processor time of the gateway does not depend on what else
runs on the machine: an answer costs what it costs at the capacity, and what is left of the overload's is the refusals'.
"""

import json
import statistics
import sys
import time
from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from benchmarks.common.cli import run_part
from benchmarks.common.cpu_times import GATEWAY, CpuMeter, name_process
from benchmarks.common.gateway import NO_RESPONSE_CACHE, Gateway, run_gateway
from benchmarks.common.load.calls import make_mixed_calls
from benchmarks.common.load.generator import (
    DEADLINE_EXCEEDED,
    OK,
    RESOURCE_EXHAUSTED,
    Call,
    CallResult,
    Load,
    run_load,
    start_load_series,
)
from benchmarks.common.targets import Result
from benchmarks.serving.parts import PARTS

DEADLINE = 1.0
IN_FLIGHT = (16, 32, 48)
PROCESSES = (1, 2)
OVERLOAD_FACTOR, NORMAL_FACTOR = 3.0, 0.5
STEP_FACTORS = (1.0, 2.0)
_CONNECTIONS = 32
"""Shared out between the processes at random, so that each has about its part of the calls."""
_Load = partial(Load, connections=_CONNECTIONS)
_STEP_SECONDS = 10.0
_WINDOW_SECONDS = 0.25
_SETTLING_SECONDS = 5.0
"""Seconds of the overload in which memory may grow, until queues and pools have reached their size."""


@dataclass(frozen=True)
class Capacity:
    """The most that the gateway answers."""

    rate: float
    """Answers a second."""
    cpu_ms: float
    """Processor milliseconds of the gateway for an answer."""


def measure_capacity(gateway: Gateway, calls: list[Call], seconds: float) -> Capacity:
    """Measure answers a second in a closed loop, with the best number of callers."""
    found = []
    for in_flight in IN_FLIGHT:
        used = _meter(gateway)
        answered = run_load(_Load(gateway.address, calls, seconds, DEADLINE, in_flight=in_flight))
        cpu_ms = used.read()[GATEWAY]
        good = [each for each in answered if each.code == OK]
        rate = len(good) / (max(e.sent + e.seconds for e in good) - min(e.sent for e in good))
        found.append(Capacity(rate, cpu_ms / len(good)))
        _log(f"{in_flight} in flight", rate=round(rate, 1), cpu_ms=round(found[-1].cpu_ms, 3), **_summarise(answered))
    return max(found, key=lambda each: each.rate)


def _meter(gateway: Gateway) -> CpuMeter:
    return CpuMeter(gateway.process.pid, name_process)


def _measure_step(gateway: Gateway, repository: Path, most: Capacity, factor: float) -> Result:
    """Measure the goodput at some load."""
    rate = factor * most.rate
    calls = make_mixed_calls(repository, int(1.1 * rate * _STEP_SECONDS), seed=int(10 * factor))
    answered = run_load(_Load(gateway.address, calls, _STEP_SECONDS, DEADLINE, rate=rate))
    goodput = sum(each.code == OK for each in answered) / _STEP_SECONDS
    _log(f"load of {factor:g}", rate=round(rate, 1), goodput=round(goodput, 1), **_summarise(answered))
    return Result(f"overload: goodput at a load of {factor:g}", goodput, "answers/s",
        f"capacity, {most.rate:.1f} answers/s", goodput / most.rate, "ratio >= 0.95")  # fmt: skip


def measure(repository: Path, seconds: float) -> list[Result]:
    """Run all phases, with one process of the gateway and with two."""
    return [row for processes in PROCESSES for row in _measure_processes(repository, seconds, processes)]


def _measure_processes(repository: Path, seconds: float, processes: int) -> list[Result]:
    calls = make_mixed_calls(repository, 20_000)
    with run_gateway(repository, *NO_RESPONSE_CACHE, "--processes", str(processes)) as gateway:
        run_load(_Load(gateway.address, calls[:2_000], 10.0, DEADLINE, in_flight=16))  # warm
        capacity = measure_capacity(gateway, make_mixed_calls(repository, 20_000, seed=2), 10.0)
        most = capacity.rate
        normal = run_load(
            _Load(
                gateway.address, make_mixed_calls(repository, 20_000, seed=3), 10.0, DEADLINE, rate=NORMAL_FACTOR * most
            )
        )
        _log("normal load", **_summarise(normal))
        steps = [_measure_step(gateway, repository, capacity, factor) for factor in STEP_FACTORS]
        calls = make_mixed_calls(repository, int(OVERLOAD_FACTOR * most * seconds * 1.1), seed=4)
        rest = make_mixed_calls(repository, 20_000, seed=5)
        pool, running = start_load_series(
            [
                _Load(gateway.address, calls, seconds, DEADLINE, rate=OVERLOAD_FACTOR * most),
                _Load(gateway.address, rest, 10.0, DEADLINE, rate=NORMAL_FACTOR * most),
            ]
        )
        memory, cpu, used = [], [], _meter(gateway)
        while not running.ready():
            running.wait(1.0)
            memory.append((time.monotonic(), gateway.rss))
            cpu.append((time.monotonic(), used.read()[GATEWAY]))
        overload, after = running.get()
        pool.terminate()
        ended = max(each.sent for each in overload)
        _log("overload", rate=round(len(overload) / seconds, 1), **_summarise(overload))
        _log("after", **_summarise(after))
        _log("gateway", **{k: v for k, v in gateway.metrics().items() if "admission" in k and "created" not in k})
    rows = [
        *steps,
        *_make_results(most, normal, overload, after, memory, seconds, ended),
        _make_refusal_result(capacity, overload, next(used_ms for at, used_ms in cpu if at >= ended)),
    ]
    return rows if processes == 1 else [replace(row, target=f"{row.target}, {processes} processes") for row in rows]


def _make_results(
    most: float,
    normal: list[CallResult],
    overload: list[CallResult],
    after: list[CallResult],
    memory: list[tuple[float, int]],
    seconds: float,
    ended: float,
) -> list[Result]:
    codes = Counter(each.code for each in overload)
    goodput = codes[OK] / seconds
    kept = codes[OK] / (len(overload) - codes[RESOURCE_EXHAUSTED])
    began = min(each.sent for each in overload)
    settled = [size for at, size in memory if began + _SETTLING_SECONDS < at <= ended]
    recovered = _find_recovery(normal, after) - ended
    refused_normally = sum(each.code == RESOURCE_EXHAUSTED for each in normal)
    return [
        Result("overload: goodput", goodput, "answers/s", f"capacity, {most:.1f} answers/s", goodput / most,
            "ratio >= 0.95"),
        Result("overload: admitted calls that keep their deadline", kept, "share", "", None, "value >= 0.99"),
        Result("overload: memory", settled[-1] / 2**20, "MiB",
            f"{settled[0] / 2**20:.1f} MiB after {_SETTLING_SECONDS:g} s", settled[-1] / settled[0], "ratio <= 1.05"),
        Result("overload: normal latency after its end", recovered, "s", "", None, "value <= 2"),
        Result("normal load: calls refused", refused_normally, "calls", f"{len(normal)} calls", None, "value <= 0"),
    ]  # fmt: skip


def _make_refusal_result(capacity: Capacity, overload: list[CallResult], cpu_ms: float) -> Result:
    """Compare the processor time of a refused call with that of an answer; a call that came too late counts as one."""
    codes = Counter(each.code for each in overload)
    refused = codes[RESOURCE_EXHAUSTED]
    each = max(0.0, cpu_ms - capacity.cpu_ms * (len(overload) - refused)) / max(1, refused)
    return Result("overload: CPU of a refused call", each, "ms", f"an answer, {capacity.cpu_ms:.2f} ms of the gateway",
        each / capacity.cpu_ms, "ratio <= 0.03")  # fmt: skip


def _find_recovery(normal: list[CallResult], after: list[CallResult]) -> float:
    """Find the time from which the median latency of each window is at most the normal 90th percentile."""
    usual = statistics.quantiles([each.seconds for each in normal if each.code == OK], n=10)[-1]
    began = min(each.sent for each in after)
    last_bad = began
    for place in range(int(10.0 / _WINDOW_SECONDS)):
        window = [
            each
            for each in after
            if began + place * _WINDOW_SECONDS <= each.sent < began + (place + 1) * _WINDOW_SECONDS
        ]
        if not window:
            continue
        median = statistics.median(each.seconds for each in window)
        if median > usual or any(each.code in (RESOURCE_EXHAUSTED, DEADLINE_EXCEEDED) for each in window):
            last_bad = began + (place + 1) * _WINDOW_SECONDS
    return last_bad


def _summarise(answered: list[CallResult]) -> dict[str, object]:
    good = sorted(each.seconds for each in answered if each.code == OK)
    refused = sorted(each.seconds for each in answered if each.code == RESOURCE_EXHAUSTED)
    return {
        "codes": dict(Counter(each.code for each in answered)),
        "p50_ms": round(1000 * good[len(good) // 2], 1),
        "p99_ms": round(1000 * good[len(good) * 99 // 100], 1),
        "refused_p50_ms": round(1000 * refused[len(refused) // 2], 1) if refused else None,
    }


def _log(phase: str, **told: object) -> None:
    sys.stderr.write(json.dumps({"phase": phase, **told}) + "\n")


def main(arguments: list[str]) -> int:
    """Run this part by itself; return the exit code."""
    return run_part("serving.overload", __doc__, measure, PARTS["overload"].options, arguments)
