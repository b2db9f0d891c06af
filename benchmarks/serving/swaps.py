"""Releases swapped and Triton killed, under load: `python -m benchmarks serving.swaps REPOSITORY`.

Another release is made of the given one, with other weights in every graph and other vectors of items. What each of
them answers is asked before, so that under load every answer is compared with what the release that it names says:
one that was made of two releases is neither's.
"""

import asyncio
import json
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import grpc
import numpy as np
from numpy.typing import NDArray

from benchmarks.common.cli import run_part
from benchmarks.common.gateway import run_gateway, run_release_command
from benchmarks.common.load.calls import PROFILE_PATH, make_mixed_calls, make_search_calls
from benchmarks.common.load.generator import Call
from benchmarks.common.load.lost_events import count_lost_events
from benchmarks.common.release_variants import copy_with_variants
from benchmarks.common.targets import Result
from benchmarks.serving.callers import OK, CallerAnswer, CallerGroup, start_callers
from benchmarks.serving.parts import PARTS
from portrait.client.channels import proxy_options
from portrait.features.release import layout as release_layout
from portrait.server.rollout.traffic import Traffic
from portrait.server.triton import EmbeddedTriton
from portrait.v1 import event_pb2
from portrait.v1.catalogue_service_pb2 import UpsertItemsRequest
from portrait.v1.event_service_pb2 import RecordEventsRequest, RecordEventsResponse
from portrait.v1.profile_service_pb2 import GetProfileRequest, GetProfileResponse
from portrait.v1.recommendation_service_pb2 import RecommendResponse

DEADLINE = 5.0
HUNG_SECONDS = DEADLINE + 1.0
IN_FLIGHT, DISTINCT_CALLS = 8, 200
MAX_RELATIVE_DISTANCE = 0.2
"""Maximum relative distance of an answer from its release's own answer; a larger one mixes releases.
Answers of one release differ by up to 0.05 of it: bfloat16 rounds a text otherwise in another batch."""
SHOPPERS = 50
RECORD_PATH = "/portrait.v1.EventService/RecordEvents"
UPSERT_PATH = "/portrait.v1.CatalogueService/UpsertItems"
_STARTS, _SETTLING = 3, 3.0

_KILL_SECONDS = 15.0
"""Seconds from one kill of Triton to the next."""

Numbers = NDArray[np.float64]
ReleaseAnswers = dict[int, list[Numbers]]
"""By release: its answer to each of the calls."""


def measure(repository: Path, seconds: float = 60.0, swaps: int = 20, kills: int = 5) -> list[Result]:
    """Run all phases."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "model_repository"
        releases = copy_with_variants(repository, copy, 3)
        return [*_measure_swaps(copy, releases, seconds, swaps), *_measure_kills(copy, releases, kills)]


def _measure_swaps(repository: Path, releases: list[int], seconds: float, swaps: int) -> list[Result]:
    one, two, three = releases
    calls = [_request_release(call) for call in make_mixed_calls(repository, DISTINCT_CALLS)]
    order = random.Random(1).choices(range(DISTINCT_CALLS), k=20_000)
    callers = [
        CallerGroup("readers", [calls[place] for place in order], IN_FLIGHT),
        CallerGroup("writers", _make_writes(repository), 1, pause=0.05),
    ]
    Traffic(one).write(repository)
    # Too little for all texts and answers: some are known, others made anew, on either release.
    with run_gateway(repository, "--text-cache-mib", "1", "--response-cache-ttl-seconds", "0.2") as gateway:
        said: ReleaseAnswers = {}
        for release in (three, two, one):
            run_release_command(gateway.metrics_url, repository, "promote", str(release))
            said[release] = asyncio.run(_collect_answers(gateway.address, calls, release))
        steady = start_callers(gateway.address, callers, 10.0, DEADLINE).get()
        # `two` served before `one` and is kept: a swap is a switch.
        running = start_callers(gateway.address, callers, seconds + 5.0, DEADLINE)
        time.sleep(_SETTLING)
        began = time.monotonic()
        for place in range(1, swaps + 1):
            run_release_command(gateway.metrics_url, repository, "rollback")
            time.sleep(max(0.0, began + place * seconds / swaps - time.monotonic()))
        took = time.monotonic() - began
        swapped = running.get()
        # With three releases in turn, a swap loads one and unloads another.
        running = start_callers(gateway.address, callers, seconds, DEADLINE)
        began, loads = time.monotonic(), 0
        while time.monotonic() < began + 0.8 * seconds:
            run_release_command(gateway.metrics_url, repository, "promote", str((three, two, one)[loads % 3]))
            loads += 1
        loaded = running.get()
    told = {"steady load": steady, "swaps": swapped, f"swaps that load and unload ({loads})": loaded}
    rows = [row for name, answers in told.items() for row in _make_results(name, answers, calls, order, said)]
    return [Result("swaps", swaps, "swaps", f"{took:.1f} s of load", None, "value >= 20"), *rows]


def _make_results(
    name: str, answers: Sequence[CallerAnswer], calls: Sequence[Call], order: Sequence[int], said: ReleaseAnswers
) -> list[Result]:
    failed = sum(answer.code != OK for answer in answers)
    mixes, farthest, seen = 0, 0.0, Counter[int]()
    for answer in answers:
        if answer.callers == "readers" and answer.code == OK:
            call = order[answer.call]
            release, numbers = _parse_answer(calls[call], answer.response)
            far = relative_distance(release, numbers, {each: said[each][call] for each in said})
            seen[release] += 1
            farthest = max(farthest, far)
            mixes += far > MAX_RELATIVE_DISTANCE
    of = ", ".join(f"{count} of release {release}" for release, count in sorted(seen.items()))
    _log(name, **_summarise(answers), farthest=round(farthest, 4))
    return [
        Result(f"{name}: failed requests", failed, "requests", f"{len(answers)} requests", None, "value <= 0"),
        Result(f"{name}: answers that mix releases", mixes, "answers", of, None, "value <= 0"),
    ]


def relative_distance(release: int, numbers: Numbers, said: Mapping[int, Numbers]) -> float:
    """Return the distance of an answer from its release's own, relative to the nearest other release's distance."""
    own = said[release]
    apart = min(_distance(own, other) for number, other in said.items() if number != release)
    return _distance(numbers, own) / apart


def _distance(one: Numbers, other: Numbers) -> float:
    return float(np.linalg.norm(one - other)) if one.shape == other.shape else np.inf


def _parse_answer(call: Call, response: bytes) -> tuple[int, Numbers]:
    """Parse an answer: the release that it names, and the numbers of its models."""
    if call.path == PROFILE_PATH:
        profile = GetProfileResponse.FromString(response).profile
        return profile.release, np.array(profile.embedding.values)
    ranking = RecommendResponse.FromString(response)
    return ranking.release, np.array([ranked.score for ranked in ranking.items])


def _request_release(call: Call) -> Call:
    """Add the release to the fields that a call requests."""
    if call.path != PROFILE_PATH:
        return call
    request = GetProfileRequest.FromString(call.request)
    request.fields.paths.append("release")
    return Call(call.path, request.SerializeToString())


async def _collect_answers(address: str, calls: Sequence[Call], release: int) -> list[Numbers]:
    """Collect the answer of a release to each call while it is the only one that serves."""
    said = []
    async with grpc.aio.insecure_channel(address, proxy_options(address)) as channel:
        for call in calls:
            named, numbers = _parse_answer(call, await channel.unary_unary(call.path, bytes, bytes)(call.request))
            assert named == release
            said.append(numbers)
    return said


def _make_writes(repository: Path, events_each: int = 5) -> list[Call]:
    """Make calls that record events with unique ids, and some that upsert an item of another catalogue."""
    path = release_layout.release_folder(repository, release_layout.list_releases(repository)[0]) / release_layout.ITEMS
    items = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    rng, now, calls = random.Random(2), datetime.now(UTC), []
    for place in range(5_000):
        shopper = f"shopper-{place % SHOPPERS}"
        view = {"type": event_pb2.EVENT_TYPE_VIEW, "time": now}
        views = [
            {"event_id": f"{place}-{nth}", "item_id": item["item_id"], **view}
            for nth, item in enumerate(rng.choices(items, k=events_each))
        ]
        events = [{"shopper_id": shopper, "event": view} for view in views]
        calls.append(Call(RECORD_PATH, RecordEventsRequest(events=events).SerializeToString()))
        if place % 20 == 19:
            title = rng.choice(items)["title"]
            item = {"item_id": f"ad-{place % 200}", "title": title}
            calls.append(Call(UPSERT_PATH, UpsertItemsRequest(catalogue="ads", items=[item]).SerializeToString()))
    return calls


def _measure_kills(repository: Path, releases: list[int], kills: int) -> list[Result]:
    one, two, _ = releases
    own = statistics.median(asyncio.run(_measure_start(repository, two)) for _ in range(_STARTS))
    records = [call for call in _make_writes(repository) if call.path == RECORD_PATH]
    callers = [
        CallerGroup("readers", make_mixed_calls(repository, 20_000), IN_FLIGHT),
        CallerGroup("writers", records, 1, pause=0.05),
        # Words that nobody used before: no answer without Triton.
        CallerGroup("prober", make_search_calls(repository, 20_000), 1, patience=0.05),
    ]
    Traffic(one).write(repository)
    with run_gateway(repository) as gateway:
        run_release_command(gateway.metrics_url, repository, "promote", str(two))
        running = start_callers(gateway.address, callers, (kills + 1) * _KILL_SECONDS, DEADLINE)
        time.sleep(_SETTLING + 2.0)
        killed = []
        for _ in range(kills):
            os.kill(gateway.triton_pid, signal.SIGKILL)
            killed.append(time.monotonic())
            time.sleep(_KILL_SECONDS)
        answers = running.get()
        # The release that did not serve is back too.
        run_release_command(gateway.metrics_url, repository, "rollback")
        lost = asyncio.run(_count_lost(gateway.address, answers, records))
    probes = [answer for answer in answers if answer.callers == "prober" and answer.code == OK]
    recovered = [min(each.sent + each.seconds for each in probes if each.sent > death) - death for death in killed]
    _log("kills", **_summarise(answers), own_start=round(own, 2), recovered=[round(each, 2) for each in recovered])
    hung = sum(answer.seconds > HUNG_SECONDS for answer in answers)
    of = f"{len(answers)} requests, {kills} deaths"
    started = f"its own start, {own:.2f} s"
    return [
        Result("Triton killed: hung requests", hung, "requests", of, None, "value <= 0"),
        Result("Triton killed: accepted events lost", lost, "events", f"{len(records)} at most", None, "value <= 0"),
        Result("Triton killed: longest recovery", max(recovered), "s", started, max(recovered) / own,
            f"value <= {own + 1.0:.2f}"),
    ]  # fmt: skip


async def _measure_start(repository: Path, release: int) -> float:
    """Measure the seconds that an otherwise idle Triton takes to start and load a release."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        async with EmbeddedTriton(repository, Path(folder) / "triton.log") as triton:
            await triton.load(release)
            return time.monotonic() - began


async def _count_lost(address: str, answers: Iterable[CallerAnswer], records: Sequence[Call]) -> int:
    """Count the events that were accepted and that the exports do not have."""
    accepted = Counter[str]()
    for answer in answers:
        if answer.callers == "writers" and answer.code == OK:
            [shopper] = {
                each.shopper_id for each in RecordEventsRequest.FromString(records[answer.call].request).events
            }
            accepted[shopper] += RecordEventsResponse.FromString(answer.response).accepted
    async with grpc.aio.insecure_channel(address, proxy_options(address)) as channel:
        lost = await count_lost_events(channel, accepted)
    _log("events", accepted=accepted.total(), lost=lost)
    return lost


def _summarise(answers: Sequence[CallerAnswer]) -> dict[str, object]:
    good = sorted(answer.seconds for answer in answers if answer.code == OK and answer.callers == "readers")
    return {
        "codes": dict(Counter(answer.code for answer in answers)),
        "rate": round(len(good) / (max(e.sent for e in answers) - min(e.sent for e in answers)), 1),
        "p50_ms": round(1000 * good[len(good) // 2], 1),
        "p99_ms": round(1000 * good[len(good) * 99 // 100], 1),
        "longest_s": round(max(answer.seconds for answer in answers), 2),
    }


def _log(phase: str, **told: object) -> None:
    sys.stderr.write(json.dumps({"phase": phase, **told}) + "\n")


def main(arguments: list[str]) -> int:
    """Run this part by itself; return the exit code."""
    return run_part("serving.swaps", __doc__, measure, PARTS["swaps"].options, arguments)
