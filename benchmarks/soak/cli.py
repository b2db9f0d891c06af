"""The growth of memory and files over hours: `python -m benchmarks soak REPOSITORY [--hours 2]`.

A gateway of two processes with TLS serves a modest mixed load: profiles, recommendations, searches, writes of events,
consents, forgotten shoppers, changed items. Releases are swapped all the time; in the first half Triton and its models
are killed. Views are dated so that their retention, of a day, is over within a twelfth of the run: as many expire as
are recorded. The first fifth of the run, and a fifth after the last kill for what it restarts, is warm-up; behind it,
a line is fitted to each series. Writes `results/soak.json` and a table beside it; returns 0 if every target passes.
"""

import json
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import results
from benchmarks.common.cli import add_repository, make_parser
from benchmarks.common.faults import verdict
from benchmarks.common.faults.gateway import GatewayUnderTest, run_gateway
from benchmarks.common.faults.load import OK, SERVING, Outcome, count_lost_events, start_load
from benchmarks.common.load.calls import make_mixed_calls, read_items
from benchmarks.common.release_variants import copy_with_variants
from benchmarks.common.steps import open_repository
from benchmarks.common.targets import Result
from benchmarks.soak.disturbances import FAILED_SWAP, SWAP, Disturbances
from benchmarks.soak.load import KEPT, NOT_FORGOTTEN, RETENTION, SoakCaller, SoakLoad
from benchmarks.soak.report import format_report
from benchmarks.soak.samples import Sampler
from benchmarks.soak.series import SeriesTrend, measure_series
from benchmarks.soak.slopes import Verdict
from portrait.server.rollout.traffic import Traffic

NAME = "soak"
_OPTIONS = ("--retain", "view=1d", "--text-cache-mib", "4", "--response-cache-mib", "4")
"""Caches that are full before the warm-up ends: until then they grow, as they should."""
_READS = 20_000
_LIFETIME, _SWAP, _SAMPLE = 1 / 12, 1 / 30, 1 / 720
"""Shares of the run: for which a view is kept, between two swaps, between two samples."""
_RECOVERY_SECONDS = 30.0
"""Seconds after a kill in which calls may fail."""
_DELETION_SECONDS = 150.0
"""Seconds in which an expired event has been deleted: each process looks once a minute."""
_MIN_HOURS, _MAX_HOURS = 0.05, 168.0


def measure(repository: Path, seconds: float) -> tuple[list[Result], dict[str, Any]]:
    """Run; return the results, and what was done and seen."""
    with tempfile.TemporaryDirectory() as name:
        folder, copy = Path(name) / "gateway", Path(name) / "model_repository"
        folder.mkdir()
        releases = copy_with_variants(repository, copy, 3)
        Traffic(releases[0]).write(copy)
        with run_gateway(copy, folder, *_OPTIONS) as harmed:
            load = SoakLoad(
                harmed.address, harmed.certificates.authority.read_bytes(), make_mixed_calls(copy, _READS),
                [item["item_id"] for item in read_items(copy)], seconds, _LIFETIME * seconds,
            )  # fmt: skip
            return _soak(harmed, copy, releases, load)


def _soak(
    harmed: GatewayUnderTest, repository: Path, releases: Sequence[int], load: SoakLoad
) -> tuple[list[Result], dict[str, Any]]:
    began, disturbances = time.monotonic(), Disturbances()
    sampler = Sampler(harmed, max(1.0, _SAMPLE * load.seconds))
    try:
        running = start_load(load, SoakCaller)
        disturbances.run(harmed, repository, releases, load.seconds, _SWAP * load.seconds)
        outcomes = running.get()
    finally:
        sampler.stop()
    seconds = time.monotonic() - began
    series = measure_series(sampler.samples, began, seconds, disturbances.kill_times, _SWAP * load.seconds)
    accepted = verdict.count_accepted_events(each for each in outcomes if each.kind == KEPT)
    lost = count_lost_events(harmed.address, load.root_certificates, accepted)
    rows = [
        *_judge_series(series),
        *_judge_calls(outcomes, disturbances),
        Result("kept events that are lost", lost, "events", f"{accepted.total():,} accepted", None, "value <= 0"),
        Result("expired events that are not deleted", _count_expired(harmed.state), "events",
            f"{_DELETION_SECONDS:.0f} s after their retention", None, "value <= 0"),
    ]  # fmt: skip
    return rows, {
        "seconds": round(seconds),
        "view_lifetime_seconds": round(load.lifetime),
        "samples": len(sampler.samples),
        "load_average": {"median": statistics.median(sampler.loads), "highest": max(sampler.loads)},
        "disturbances": dict(disturbances.done),
        "codes": verdict.count_codes(outcomes),
        "cores_used": {role: round(used / seconds, 4) for role, used in sampler.cpu_seconds.items()},
        "series": [each.to_json() for each in series],
    }


def _judge_series(series: Sequence[SeriesTrend]) -> list[Result]:
    found = {kind: [each.name for each in series if each.verdict == kind] for kind in Verdict}
    of = f"{len(series)} series"
    return [
        Result(f"series that are {kind}", len(found[kind]), "series", ", ".join(found[kind]) or of, None, "value <= 0")
        for kind in (Verdict.GROWING, Verdict.UNDECIDED)
    ]


def _judge_calls(outcomes: Sequence[Outcome], disturbances: Disturbances) -> list[Result]:
    kills = disturbances.kill_times
    failed = [
        each
        for each in outcomes
        if each.code not in (OK, SERVING)
        and not any(kill - each.seconds <= each.sent <= kill + _RECOVERY_SECONDS for kill in kills)
    ]
    done, of = disturbances.done, f"{len(outcomes):,} calls"
    return [
        Result(f"calls that failed, but not within {_RECOVERY_SECONDS:.0f} s after a kill", len(failed), "calls", of,
            None, "value <= 0"),
        Result("calls past their deadline", verdict.count_late_calls(outcomes), "calls", of, None, "value <= 0"),
        Result("withdrawals that did not count", verdict.count_lost_withdrawals(outcomes), "calls", of, None,
            "value <= 0"),
        Result("forgotten shoppers who were known", sum(each.code == NOT_FORGOTTEN for each in outcomes), "calls", of,
            None, "value <= 0"),
        Result("swaps that failed", done[FAILED_SWAP], "swaps", f"{done[SWAP]} done, {len(kills)} kills", None,
            "value <= 0"),
    ]  # fmt: skip


def _count_expired(state: Path) -> int:
    """Count the views that should have been deleted."""
    before = (time.time() - RETENTION.total_seconds() - _DELETION_SECONDS) * 1_000_000
    connection = sqlite3.connect(f"file:{state}?mode=ro", uri=True)
    try:
        [[count]] = connection.execute("SELECT count(*) FROM events WHERE type = 'view' AND time < ?", (before,))
    finally:
        connection.close()
    return int(count)


def main(arguments: list[str]) -> int:
    """Measure and write; return 0 if all targets pass."""
    parser = make_parser(NAME, __doc__)
    add_repository(parser)
    parser.add_argument("--hours", type=float, default=2.0, help="length of the load (2)")
    options = parser.parse_args(arguments)
    if not _MIN_HOURS <= options.hours <= _MAX_HOURS:
        parser.error(f"--hours {options.hours:g} is not within {_MIN_HOURS:g} to {_MAX_HOURS:g}")
    where = results.describe_circumstances(f"python -m benchmarks soak REPOSITORY --hours {options.hours:g}")
    rows, seen = measure(open_repository(options.repository), 3600 * options.hours)
    kept = {"circumstances": where, "rows": [json.loads(str(row)) for row in rows], **seen}
    results.write_results(NAME, kept, format_report(kept))
    print("\n".join(map(str, rows)), flush=True)
    sys.stderr.write(f"{sum(row.passed for row in rows)} of {len(rows)} targets passed\n")
    return 0 if all(row.passed for row in rows) else 1
