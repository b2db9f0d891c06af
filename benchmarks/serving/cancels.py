"""A storm of callers who leave before their answer: `python -m benchmarks serving.cancels REPOSITORY`.

The same load runs without and with nine of ten callers leaving at a random time. Every call has a query of its own, so
that each needs every model. Work is counted in rows that Triton ran. Callers leave within the first tenth of the usual
latency, while their calls wait. (A second run, in which they leave at any time up to the latency, is printed but has no
target: work that precedes a cancel can't be saved.) Then calls continue while memory is read. The cache of texts is
small and full before that, because a cache that fills up would look like a leak.
"""

import json
import statistics
import sys
from collections import Counter
from pathlib import Path

from benchmarks.common.cli import run_part
from benchmarks.common.gateway import NO_RESPONSE_CACHE, Gateway, run_gateway
from benchmarks.common.load.calls import make_search_calls
from benchmarks.common.load.generator import (
    CANCELLED,
    DEADLINE_EXCEEDED,
    OK,
    RESOURCE_EXHAUSTED,
    Call,
    CallResult,
    Load,
    run_load,
)
from benchmarks.common.targets import Result
from benchmarks.serving.parts import PARTS

DEADLINE = 5.0
IN_FLIGHT = 16
CANCEL_SHARE = 0.9
EARLY_SHARE = 0.1
"""Share of the usual latency within which callers leave."""
COMPARED_CALLS = 3_000
"""Calls whose work is counted, without and with callers who leave."""
_FILL_CALLS = 10_000
"""Number of calls until the cache is full and pools have reached their size."""
_TEXT_CACHE_MIB = 4
_MAX_SECONDS = 3_600.0


def measure(repository: Path, requests: int = 100_000) -> list[Result]:
    """Run all phases.

    Args:
        repository: holds the release that is served.
        requests: calls of the storm in which memory is looked at.
    """
    with run_gateway(repository, "--text-cache-mib", str(_TEXT_CACHE_MIB), *NO_RESPONSE_CACHE) as gateway:
        _send_storm(gateway, make_search_calls(repository, 500, seed=1), leaving=0.0, leave_seconds=0.0)  # warm
        calm, calm_work = _measure_work(gateway, make_search_calls(repository, COMPARED_CALLS, seed=2), 0.0, 0.0)
        usual = statistics.median(each.seconds for each in calm if each.code == OK)
        stormy, stormy_work = _measure_work(
            gateway, make_search_calls(repository, COMPARED_CALLS, seed=3), CANCEL_SHARE, EARLY_SHARE * usual
        )
        _measure_work(gateway, make_search_calls(repository, COMPARED_CALLS, seed=4), CANCEL_SHARE, usual)
        pool = make_search_calls(repository, 20_000, seed=5)  # more than the cache holds
        _send_storm(gateway, pool[:_FILL_CALLS], CANCEL_SHARE, usual)
        before = gateway.rss
        _send_storm(gateway, pool, CANCEL_SHARE, usual, requests)
        after = gateway.rss
        _log(f"{requests} requests", mib_before=before >> 20, mib_after=after >> 20)
        left = _read_pending_work(gateway)
    _log("gateway", **left)
    return _make_results(calm, stormy, calm_work, stormy_work, before, after, requests, left)


def _send_storm(
    gateway: Gateway, calls: list[Call], leaving: float, leave_seconds: float, count: int | None = None
) -> list[CallResult]:
    return run_load(
        Load(
            gateway.address,
            calls,
            _MAX_SECONDS,
            DEADLINE,
            in_flight=IN_FLIGHT,
            count=count or len(calls),
            leaving=leaving,
            leave_seconds=leave_seconds,
        )
    )


def _measure_work(
    gateway: Gateway, calls: list[Call], leaving: float, leave_seconds: float
) -> tuple[list[CallResult], dict[str, float]]:
    """Send calls; return their outcomes, and the rows that each model ran for them."""
    before = _read_model_rows(gateway)
    answered = _send_storm(gateway, calls, leaving, leave_seconds)
    ran = {model: rows - before[model] for model, rows in _read_model_rows(gateway).items()}
    _log(
        f"{leaving:.0%} leave",
        leave_seconds=round(leave_seconds, 4),
        codes=Counter(each.code for each in answered),
        rows=ran,
    )
    return answered, ran


def _read_model_rows(gateway: Gateway) -> dict[str, float]:
    shown = gateway.metrics()
    prefix = 'portrait_model_rows_total{model="'
    return {name.removeprefix(prefix)[:-2]: value for name, value in shown.items() if name.startswith(prefix)}


def _read_pending_work(gateway: Gateway) -> dict[str, float]:
    """Read the units under way and rows that wait when nobody calls any more."""
    wanted = ("portrait_admission_running_units", "portrait_model_pending_rows")
    return {name: value for name, value in gateway.metrics().items() if name.startswith(wanted)}


def _make_results(
    calm: list[CallResult],
    stormy: list[CallResult],
    calm_work: dict[str, float],
    stormy_work: dict[str, float],
    before: int,
    after: int,
    requests: int,
    left: dict[str, float],
) -> list[Result]:
    left_share = sum(each.code == CANCELLED for each in stormy) / _count_admitted(stormy)
    rows = []
    for model, ran in stormy_work.items():
        if not calm_work[model]:
            continue  # nobody asked for it
        fall = 1 - (ran / _count_admitted(stormy)) / (calm_work[model] / _count_admitted(calm))
        rows.append(
            Result(f"cancel storm: how far the work of the {model} falls", fall, "share of the rows without cancels",
                f"share of calls that were cancelled, {left_share:.3f}", fall / left_share, "ratio >= 0.9")
        )  # fmt: skip
    late = sum(each.code == DEADLINE_EXCEEDED for each in stormy)
    return [
        *rows,
        Result("cancel storm: calls late", late, "calls", f"{len(stormy)} calls", None, "value <= 0"),
        Result("cancel storm: memory", after / 2**20, "MiB", f"{before / 2**20:.1f} MiB {requests} requests before",
            after / before, "ratio <= 1.05"),
        Result("cancel storm: work left behind", sum(left.values()), "units and rows", "", None, "value <= 0"),
    ]  # fmt: skip


def _count_admitted(answered: list[CallResult]) -> int:
    return sum(each.code != RESOURCE_EXHAUSTED for each in answered)


def _log(phase: str, **told: object) -> None:
    sys.stderr.write(json.dumps({"phase": phase, **told}) + "\n")


def main(arguments: list[str]) -> int:
    """Run this part by itself; return the exit code."""
    return run_part("serving.cancels", __doc__, measure, PARTS["cancels"].options, arguments)
