"""Durable writes of single events: `python -m benchmarks serving.event_writes REPOSITORY`.

Every call records one new event and is answered once the event is on the disk. The gateway, an empty echo server and
the load generator share the machine; all are measured in one run.
"""

import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

from google.protobuf.timestamp_pb2 import Timestamp

from benchmarks.common.cli import run_part
from benchmarks.common.gateway import run_gateway
from benchmarks.common.load.generator import OK, Call, CallResult, Load, run_load
from benchmarks.common.targets import Result
from benchmarks.serving import echo
from benchmarks.serving.parts import PARTS
from portrait.v1 import event_pb2
from portrait.v1.event_service_pb2 import RecordEventsRequest

RECORD_PATH = "/portrait.v1.EventService/RecordEvents"
MIN_RATES = {1: 0, 64: 3_000}
"""Required events a second, by number of callers."""
_DEADLINE = 10.0
_MAX_RATE = 8_000
"""Events prepared for each second: more than a gateway in Python can record."""
_SHOPPERS = 1_000


def measure(repository: Path, seconds: float) -> list[Result]:
    """Measure the rates by number of callers."""
    rows = []
    with echo.run_echo_server() as empty, run_gateway(repository) as gateway:
        for callers, required in MIN_RATES.items():
            nothing = run_load(Load(empty, [echo.CALL], seconds, _DEADLINE, in_flight=callers))
            calls = _make_calls(int(seconds * _MAX_RATE))
            answered = run_load(Load(gateway.address, calls, seconds, _DEADLINE, in_flight=callers, count=len(calls)))
            target = f"RecordEvents, {callers} callers x 1 event"
            _log(target, answered)
            rate, empty_rate = _compute_rate(answered), _compute_rate(nothing)
            beside = f"empty server, {empty_rate:.0f} answers/s"
            rows.append(Result(target, rate, "events/s", beside, rate / empty_rate, f"value >= {required}"))
    return rows


def _make_calls(count: int) -> list[Call]:
    now, run_id = Timestamp(seconds=int(time.time())), uuid4().hex
    return [
        Call(
            RECORD_PATH,
            RecordEventsRequest(
                events=[
                    {
                        "shopper_id": f"shopper-{place % _SHOPPERS}",
                        "event": event_pb2.Event(
                            event_id=f"{run_id}-{place}", type=event_pb2.EVENT_TYPE_VIEW, time=now, item_id="a-lamp"
                        ),
                    }
                ]
            ).SerializeToString(),
        )
        for place in range(count)
    ]


def _compute_rate(answered: Sequence[CallResult]) -> float:
    good = [each for each in answered if each.code == OK]
    return len(good) / (max(each.sent + each.seconds for each in good) - min(each.sent for each in good))


def _log(target: str, answered: Sequence[CallResult]) -> None:
    good = sorted(each.seconds for each in answered if each.code == OK)
    told = {"p50_ms": 1000 * good[len(good) // 2], "p99_ms": 1000 * good[len(good) * 99 // 100]}
    sys.stderr.write(json.dumps({"what": target, "codes": Counter(each.code for each in answered), **told}) + "\n")


def main(arguments: list[str]) -> int:
    """Run this part by itself; return the exit code."""
    return run_part("serving.event_writes", __doc__, measure, PARTS["event_writes"].options, arguments)
