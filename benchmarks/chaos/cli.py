"""Faults at random under mixed load: `python -m benchmarks chaos REPOSITORY [--seconds 600] [--seed 1]`.

Kills model processes, Triton, gateway processes and the reader of the log, stops Triton, locks the state file, steps
the clock (by a library that is built with `cc`) and swaps certificates, while four TLS connections read, write and ask
for health. Writes `results/chaos.json` and a table beside it; returns 0 if every target passes.
"""

import json
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.common import results
from benchmarks.common.cli import add_repository, make_parser
from benchmarks.common.faults import load, verdict
from benchmarks.common.faults.faults import FAULTS, MAX_LOCK_SECONDS
from benchmarks.common.faults.gateway import GatewayUnderTest, read_log_lines, run_gateway
from benchmarks.common.load.calls import make_search_calls, read_items
from benchmarks.common.steps import open_repository
from benchmarks.common.targets import Result, format_table

NAME = "chaos"
_READS = 50_000
_PAUSES = (6.0, 14.0)
"""Seconds from one fault to the next."""
_SETTLING_SECONDS = 15.0
"""Seconds without faults, at the beginning and at the end."""
_MAX_UNNOTICED_SECONDS = 5


def measure(repository: Path, seconds: float, seed: int) -> tuple[list[Result], dict[str, Any]]:
    """Run; return the results, and what was done and observed."""
    rng = random.Random(seed)
    item_ids = [str(item["item_id"]) for item in read_items(repository)]
    reads = make_search_calls(
        repository, _READS
    )  # each of words that nobody used before: none is answered without the models
    with tempfile.TemporaryDirectory() as name, run_gateway(repository, Path(name)) as harmed:
        authority = harmed.certificates.authority.read_bytes()
        running = load.start_load(load.MixedLoad(harmed.address, authority, reads, item_ids, seconds))
        done = _inject_faults(harmed, rng, time.monotonic() + seconds)
        outcomes = running.get()
        harmed.set_clock(0.0)
        alive = harmed.process.poll() is None
        lost = load.count_lost_events(harmed.address, authority, verdict.count_accepted_events(outcomes))
        logged = Counter(str(line.get("event")) for line in read_log_lines(Path(name)))
    seen = {"faults": dict(done), "codes": verdict.count_codes(outcomes), "log_lines": dict(logged.most_common(20))}
    of = f"{len(outcomes):,} calls, {done.total()} faults"
    accepted = verdict.count_accepted_events(outcomes).total()
    rows = [
        Result("accepted events that are lost", lost, "events", f"{accepted:,} accepted", None, "value <= 0"),
        Result("calls past their deadline", verdict.count_late_calls(outcomes), "calls", of, None, "value <= 0"),
        Result("withdrawals that did not count", verdict.count_lost_withdrawals(outcomes), "calls", of, None,
            "value <= 0"),
        Result("longest time that health was SERVING while calls failed", verdict.find_longest_unnoticed(outcomes),
            "s", of, None, f"value <= {_MAX_UNNOTICED_SECONDS}"),
        Result("the gateway's first process is alive", float(alive), "", of, None, "value >= 1"),
        Result("kinds of faults", float(len(done)), "kinds", ", ".join(FAULTS), None, f"value >= {len(FAULTS)}"),
    ]  # fmt: skip
    return rows, seen


def _inject_faults(harmed: GatewayUnderTest, rng: random.Random, end: float) -> Counter[str]:
    """Inject all faults in random order, again and again until shortly before the end."""
    done = Counter[str]()
    time.sleep(_SETTLING_SECONDS)
    waiting: list[str] = []
    while time.monotonic() < end - _SETTLING_SECONDS - MAX_LOCK_SECONDS:
        if not waiting:
            waiting = rng.sample(list(FAULTS), len(FAULTS))
        name = waiting.pop()
        told = FAULTS[name](harmed, rng)
        done[name] += told is not None
        sys.stderr.write(json.dumps({"fault": name, "done": told, "left_s": round(end - time.monotonic())}) + "\n")
        time.sleep(rng.uniform(*_PAUSES))
    return done


def main(arguments: list[str]) -> int:
    """Measure and write; return 0 if all targets pass."""
    parser = make_parser("chaos", __doc__)
    add_repository(parser)
    parser.add_argument("--seconds", type=float, default=600.0, help="length of the load (600)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the order of faults")
    options = parser.parse_args(arguments)
    command = f"python -m benchmarks chaos REPOSITORY --seconds {options.seconds:.0f} --seed {options.seed}"
    where = results.describe_circumstances(command)
    rows, seen = measure(open_repository(options.repository), options.seconds, options.seed)
    kept = {"circumstances": where, "rows": [json.loads(str(row)) for row in rows], **seen}
    lines = [
        "# Chaos",
        "",
        results.format_origin(where),
        "",
        *format_table(kept["rows"]),
        "",
        *_format_summary(seen),
        "",
    ]
    results.write_results(NAME, kept, "\n".join(lines))
    print("\n".join(map(str, rows)), flush=True)
    return 0 if all(row.passed for row in rows) else 1


def _format_summary(seen: dict[str, Any]) -> list[str]:
    faults = ", ".join(f"{name} {count}" for name, count in seen["faults"].items())
    calls = [
        f"| {kind} | {', '.join(f'{code} {count:,}' for code, count in found.items())} |"
        for kind, found in seen["codes"].items()
    ]
    return [f"Faults: {faults}.", "", "| calls | ended |", "|---|---|", *calls]
