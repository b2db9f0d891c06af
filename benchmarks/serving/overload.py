"""Overload, in an open loop: `python -m benchmarks serving.overload REPOSITORY`.

The capacity is measured in a closed loop, then three times as many calls come for a minute, then half of the capacity.
Gateway, Triton and load generator share the machine: what the generator takes at three times the capacity is missing
from the goodput.
"""

import json
import statistics
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

from benchmarks.common.cli import run_part
from benchmarks.common.gateway import Gateway, serve
from benchmarks.common.load.calls import mixed
from benchmarks.common.load.generator import LATE, OK, REFUSED, Answered, Call, Load, run, start_series
from benchmarks.common.targets import Result
from benchmarks.serving.parts import PARTS

DEADLINE = 1.0
NOT_AGAIN = ("--answer-cache-mib", "0")
"""No two calls are the same; answers kept in vain would look like memory that grows."""
IN_FLIGHT = (16, 32, 48)
PROCESSES = (1, 2)
OVERLOAD, NORMAL = 3.0, 0.5
_WINDOW = 0.25
_SETTLING = 5.0
"""Seconds of the overload that memory is allowed to grow in: queues and pools come to their size."""


def capacity(gateway: Gateway, calls: list[Call], seconds: float) -> float:
    """Answers a second in a closed loop, of the best number of callers."""
    rates = []
    for in_flight in IN_FLIGHT:
        answered = run(Load(gateway.address, calls, seconds, DEADLINE, in_flight=in_flight))
        good = [each for each in answered if each.code == OK]
        rates.append(len(good) / (max(e.sent + e.seconds for e in good) - min(e.sent for e in good)))
        _say(f"{in_flight} in flight", rate=round(rates[-1], 1), **_summary(answered))
    return max(rates)


def measure(repository: Path, seconds: float) -> list[Result]:
    """Run all phases, with one process of the gateway and with two."""
    return [row for processes in PROCESSES for row in _measure(repository, seconds, processes)]


def _measure(repository: Path, seconds: float, processes: int) -> list[Result]:
    calls = mixed(repository, 20_000)
    with serve(repository, *NOT_AGAIN, "--processes", str(processes)) as gateway:
        run(Load(gateway.address, calls[:2_000], 10.0, DEADLINE, in_flight=16))  # warm
        most = capacity(gateway, mixed(repository, 20_000, seed=2), 10.0)
        normal = run(Load(gateway.address, mixed(repository, 20_000, seed=3), 10.0, DEADLINE, rate=NORMAL * most))
        _say("normal load", **_summary(normal))
        calls = mixed(repository, int(OVERLOAD * most * seconds * 1.1), seed=4)
        rest = mixed(repository, 20_000, seed=5)
        pool, running = start_series(
            [
                Load(gateway.address, calls, seconds, DEADLINE, rate=OVERLOAD * most),
                Load(gateway.address, rest, 10.0, DEADLINE, rate=NORMAL * most),
            ]
        )
        memory = []
        while not running.ready():
            running.wait(1.0)
            memory.append((time.monotonic(), gateway.rss))
        overload, after = running.get()
        pool.terminate()
        ended = max(each.sent for each in overload)
        _say("overload", rate=round(len(overload) / seconds, 1), **_summary(overload))
        _say("after", **_summary(after))
        _say("gateway", **{k: v for k, v in gateway.metrics().items() if "admission" in k and "created" not in k})
    rows = _rows(most, normal, overload, after, memory, seconds, ended)
    return rows if processes == 1 else [replace(row, target=f"{row.target}, {processes} processes") for row in rows]


def _rows(
    most: float,
    normal: list[Answered],
    overload: list[Answered],
    after: list[Answered],
    memory: list[tuple[float, int]],
    seconds: float,
    ended: float,
) -> list[Result]:
    codes = Counter(each.code for each in overload)
    goodput = codes[OK] / seconds
    kept = codes[OK] / (len(overload) - codes[REFUSED])
    began = min(each.sent for each in overload)
    settled = [size for at, size in memory if began + _SETTLING < at <= ended]
    recovered = _recovered(normal, after) - ended
    refused_normally = sum(each.code == REFUSED for each in normal)
    return [
        Result("overload: goodput", goodput, "answers/s", f"capacity, {most:.1f} answers/s", goodput / most,
            "ratio >= 0.85"),
        Result("overload: admitted calls that keep their deadline", kept, "share", "", None, "value >= 0.99"),
        Result("overload: memory", settled[-1] / 2**20, "MiB", f"{settled[0] / 2**20:.1f} MiB after {_SETTLING:g} s",
            settled[-1] / settled[0], "ratio <= 1.05"),
        Result("overload: normal latency after its end", recovered, "s", "", None, "value <= 2"),
        Result("normal load: calls refused", refused_normally, "calls", f"{len(normal)} calls", None, "value <= 0"),
    ]  # fmt: skip


def _recovered(normal: list[Answered], after: list[Answered]) -> float:
    """When latency became normal and stayed so: windows whose median is at most the normal 90th percentile."""
    usual = statistics.quantiles([each.seconds for each in normal if each.code == OK], n=10)[-1]
    began = min(each.sent for each in after)
    last_bad = began
    for place in range(int(10.0 / _WINDOW)):
        window = [each for each in after if began + place * _WINDOW <= each.sent < began + (place + 1) * _WINDOW]
        if not window:
            continue
        median = statistics.median(each.seconds for each in window)
        if median > usual or any(each.code in (REFUSED, LATE) for each in window):
            last_bad = began + (place + 1) * _WINDOW
    return last_bad


def _summary(answered: list[Answered]) -> dict[str, object]:
    good = sorted(each.seconds for each in answered if each.code == OK)
    refused = sorted(each.seconds for each in answered if each.code == REFUSED)
    return {
        "codes": dict(Counter(each.code for each in answered)),
        "p50_ms": round(1000 * good[len(good) // 2], 1),
        "p99_ms": round(1000 * good[len(good) * 99 // 100], 1),
        "refused_p50_ms": round(1000 * refused[len(refused) // 2], 1) if refused else None,
    }


def _say(phase: str, **told: object) -> None:
    sys.stderr.write(json.dumps({"phase": phase, **told}) + "\n")


def main(arguments: list[str]) -> int:
    """Run this part by itself; return the exit code."""
    return run_part("serving.overload", __doc__, measure, PARTS["overload"].options, arguments)
