"""Cost of a call beside an empty one: `python -m benchmarks serving.rpcs REPOSITORY`.

An empty echo server, the gateway, and the load generator share the machine; all are measured in one run. Warm means
that a thousand shoppers come again and again, cold that every history is a new one.
"""

import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from benchmarks.common.cli import run_part
from benchmarks.common.gateway import Gateway, run_gateway
from benchmarks.common.load.calls import PROFILE_PATH, RECOMMEND_PATH, read_items
from benchmarks.common.load.generator import OK, Call, CallResult, Load, run_load
from benchmarks.common.targets import Result
from benchmarks.serving import echo, h2load
from benchmarks.serving.curves import Curve, keep_curves
from benchmarks.serving.parts import PARTS
from portrait.client.channels import proxy_options
from portrait.v1 import event_pb2, shopper_pb2
from portrait.v1.event_service_pb2 import RecordEventsRequest
from portrait.v1.event_service_pb2_grpc import EventServiceStub
from portrait.v1.profile_service_pb2 import GetProfileRequest
from portrait.v1.recommendation_service_pb2 import RecommendRequest, RecommendResponse
from portrait.v1.recommendation_service_pb2_grpc import RecommendationServiceStub

SHOPPERS, EVENTS = 1_000, 20
IN_FLIGHT = 16
CLIENTS = (1, 4, 16, 64, 256)
LENGTHS = (5, 20, 50, 200, 500)
NORMAL_LOAD_SHARE = 0.7
_DEADLINE = 10.0
_CACHE_SECONDS = 60.0
"""Default lifetime of a response in the gateway's cache, in seconds."""
_HITS, _MISSES = "portrait_response_cache_hits_total", "portrait_response_cache_misses_total"

CallFactory = Callable[[shopper_pb2.ShopperRef], Call]


def make_profile_call(shopper: shopper_pb2.ShopperRef) -> Call:
    """Make a call for the default fields of `GetProfile`: all but the embedding."""
    return Call(PROFILE_PATH, GetProfileRequest(shopper=shopper).SerializeToString())


def make_embedding_call(shopper: shopper_pb2.ShopperRef) -> Call:
    """Make a call for a profile with its embedding, which needs the profile encoder."""
    fields = {"paths": ["interests", "keywords", "price_bands", "embedding"]}
    return Call(PROFILE_PATH, GetProfileRequest(shopper=shopper, fields=fields).SerializeToString())


def make_recommend_call(shopper: shopper_pb2.ShopperRef) -> Call:
    """Make a call for the ten best items, which needs the profile encoder and the ranker."""
    return Call(RECOMMEND_PATH, RecommendRequest(shopper=shopper, k=10).SerializeToString())


class ShopperFactory:
    """A factory of shoppers who visit a release's items, the latest a minute ago, the earliest about a year ago.

    Args:
        repository: holds the release.
        seed: other shoppers for another one.
    """

    def __init__(self, repository: Path, seed: int) -> None:
        self._items, self._rng, self._now = read_items(repository), random.Random(seed), time.time()

    def events(self, count: int) -> list[event_pb2.Event]:
        """Make a history of views, oldest first."""
        ages = sorted((60.0 * 500_000 ** self._rng.random() for _ in range(count)), reverse=True)
        return [
            event_pb2.Event(
                event_id=f"{self._rng.getrandbits(64):016x}",
                type=event_pb2.EVENT_TYPE_VIEW,
                time=Timestamp(seconds=int(self._now - age)),
                item_id=item["item_id"],
            )
            for age, item in zip(ages, self._rng.choices(self._items, k=count), strict=True)
        ]

    def inline(self, count: int) -> shopper_pb2.ShopperRef:
        """Make a shopper whose history is in the request."""
        return shopper_pb2.ShopperRef(history={"events": self.events(count)})


def measure(repository: Path, seconds: float) -> list[Result]:
    """Run everything; return the results of the targets, and print everything else to stderr."""
    shoppers = ShopperFactory(repository, 1)
    warm = [shoppers.inline(EVENTS) for _ in range(SHOPPERS)]
    rows = []
    with echo.run_echo_server() as empty, run_gateway(repository) as gateway:
        for name, make, share in (("GetProfile", make_profile_call, 0.25), ("Recommend", make_recommend_call, 0.15)):
            calls = [make(shopper) for shopper in warm]
            rows += _compare_with_empty(gateway, empty, name, calls, f"ratio >= {share}", seconds)
            if name == "GetProfile":
                rows += [_measure_tail(gateway, empty, calls, rows[-1], seconds, even) for even in (False, True)]
        stored = _store_shoppers(gateway, shoppers)
        for name, make in (("GetProfile", make_profile_call), ("Recommend", make_recommend_call)):
            _measure_warm(gateway, f"{name}, stored shoppers", [make(shopper) for shopper in stored], seconds)
        for name, make in (
            ("GetProfile", make_profile_call),
            ("GetProfile with embedding", make_embedding_call),
            ("Recommend", make_recommend_call),
        ):
            _measure_cold(gateway, name, [make(shoppers.inline(EVENTS)) for _ in range(4 * SHOPPERS)], seconds)
            rows.append(_measure_growth(gateway, name, make, shoppers))
        _measure_clients(gateway, [make_profile_call(shopper) for shopper in warm], seconds)
        _measure_drift(gateway, shoppers)
    return rows


def _compare_with_empty(
    gateway: Gateway, empty: str, name: str, calls: Sequence[Call], required: str, seconds: float
) -> list[Result]:
    """Compare the rates of gateway and empty server, by h2load with one of the calls, and by our load generator."""
    nothing = _compute_rate(run_load(Load(empty, [echo.CALL], seconds, _DEADLINE, in_flight=IN_FLIGHT)))
    rows = [_make_result(f"warm {name}", _measure_warm(gateway, name, calls, seconds), nothing, required)]
    nothing_by_h2load = h2load.measure_rate(empty, echo.CALL, seconds, IN_FLIGHT)
    by_h2load = h2load.measure_rate(gateway.address, calls[0], seconds, IN_FLIGHT)
    if by_h2load is not None and nothing_by_h2load is not None:
        rows.insert(0, _make_result(f"warm {name}, one shopper, by h2load", by_h2load, nothing_by_h2load, required))
    return rows


def _measure_warm(gateway: Gateway, name: str, calls: Sequence[Call], seconds: float) -> float:
    """Measure answers a second to repeated calls."""
    run_load(Load(gateway.address, calls, 120.0, _DEADLINE, in_flight=IN_FLIGHT, count=len(calls)))
    before = gateway.metrics()
    answered = run_load(Load(gateway.address, calls, seconds, _DEADLINE, in_flight=IN_FLIGHT))
    after = gateway.metrics()
    hits, misses = (after[each] - before[each] for each in (_HITS, _MISSES))
    _log(
        f"warm {name}",
        rate=round(_compute_rate(answered)),
        hit_rate=round(hits / (hits + misses), 4),
        **_summarise(answered),
    )
    return _compute_rate(answered)


def _measure_tail(
    gateway: Gateway, empty: str, calls: Sequence[Call], warm: Result, seconds: float, even: bool
) -> Result:
    """Measure the p99 latency in an open loop, and that of the empty server at the same share of its own rate.

    At random times, a server that is as good as can be, whose calls all take the same time, comes to 4.3 times the
    median (a queue M/D/1 at 70%): the target is stricter, so calls at even distances are measured too.
    """
    run_load(Load(gateway.address, calls, 120.0, _DEADLINE, in_flight=IN_FLIGHT, count=len(calls)))
    answered = run_load(
        Load(gateway.address, calls, seconds, _DEADLINE, rate=NORMAL_LOAD_SHARE * warm.value, even=even)
    )
    p50, p99 = _compute_percentiles(answered)
    spacing = "even" if even else "random"
    what = f"{warm.target}: p99 at {100 * NORMAL_LOAD_SHARE:.0f}% of capacity, calls at {spacing} distances"
    _log(what, rate=round(_compute_rate(answered)), **_summarise(answered))
    its_own = NORMAL_LOAD_SHARE * warm.value / (warm.ratio or 1.0)
    nothing = run_load(Load(empty, [echo.CALL], seconds, _DEADLINE, rate=its_own, even=even))
    _log("empty server, the same", rate=round(_compute_rate(nothing)), **_summarise(nothing))
    empty_p50, empty_p99 = _compute_percentiles(nothing)
    beside = f"p50, {1000 * p50:.2f} ms (empty server at 70% of its own: {empty_p99 / empty_p50:.1f})"
    return Result(what, 1000 * p99, "ms", beside, p99 / p50, "ratio <= 4")


def _store_shoppers(gateway: Gateway, shoppers: ShopperFactory) -> list[shopper_pb2.ShopperRef]:
    """Record events of shoppers; return the shoppers by id."""
    names = [f"shopper-{place}" for place in range(SHOPPERS)]
    with grpc.insecure_channel(gateway.address, proxy_options(gateway.address)) as channel:
        stub = EventServiceStub(channel)
        for name in names:
            events = [{"shopper_id": name, "event": event} for event in shoppers.events(EVENTS)]
            stub.RecordEvents(RecordEventsRequest(events=events))
    return [shopper_pb2.ShopperRef(shopper_id=name) for name in names]


def _measure_cold(gateway: Gateway, name: str, calls: Sequence[Call], seconds: float) -> None:
    """Measure calls that never came before."""
    answered = run_load(Load(gateway.address, calls, seconds, _DEADLINE, in_flight=IN_FLIGHT, count=len(calls)))
    _log(f"cold {name}", rate=round(_compute_rate(answered)), **_summarise(answered))


def _measure_growth(gateway: Gateway, name: str, make: CallFactory, shoppers: ShopperFactory) -> Result:
    """Measure the latency of one cold call at a time, as histories grow."""
    p50 = {}
    for length in LENGTHS:
        calls = [make(shoppers.inline(length)) for _ in range(120)]
        answered = run_load(Load(gateway.address, calls, 60.0, _DEADLINE, in_flight=1, count=len(calls)))
        p50[length], _ = _compute_percentiles(answered[20:])
    _log(f"cold {name} by events", **{f"p50_ms_{length}": round(1000 * each, 2) for length, each in p50.items()})
    points = [(length, 1000 * each) for length, each in p50.items()]
    keep_curves([Curve("Latency of cold calls by history", name, "events", "ms, p50", points)])
    what = f"cold {name}: latency with 500 events"
    return Result(what, 1000 * p50[500], "ms", f"50 events, {1000 * p50[50]:.2f} ms", p50[500] / p50[50], "ratio <= 4")


def _measure_clients(gateway: Gateway, calls: Sequence[Call], seconds: float) -> None:
    """Measure answers a second by number of clients."""
    points = []
    for clients in CLIENTS:
        answered = run_load(Load(gateway.address, calls, seconds / 2, _DEADLINE, in_flight=clients))
        points.append((clients, _compute_rate(answered)))
        _log(f"warm GetProfile, {clients} clients", rate=round(_compute_rate(answered)), **_summarise(answered))
    keep_curves([Curve("Rate by clients", "warm GetProfile", "calls in flight", "answers/s", points)])


def _measure_drift(gateway: Gateway, shoppers: ShopperFactory) -> None:
    """Measure how the ten best items change in the lifetime of a cached response."""
    now = int(time.time())
    requests = [RecommendRequest(shopper=shoppers.inline(EVENTS), k=10) for _ in range(200)]
    with grpc.insecure_channel(gateway.address, proxy_options(gateway.address)) as channel:
        ask = RecommendationServiceStub(channel).Recommend
        lists = [
            _list_top_items(ask, request, moment) for request in requests for moment in (now, now + int(_CACHE_SECONDS))
        ]
    pairs = list(zip(lists[::2], lists[1::2], strict=True))
    same_order = statistics.mean(first == second for first, second in pairs)
    same_items = statistics.mean(len({*first} & {*second}) / len(first) for first, second in pairs)
    _log(f"top 10 after {_CACHE_SECONDS:.0f} s", lists_unchanged=same_order, items_unchanged=same_items)


def _list_top_items(
    ask: Callable[[RecommendRequest], RecommendResponse], request: RecommendRequest, moment: int
) -> list[str]:
    request.as_of.FromSeconds(moment)
    return [ranked.item.item_id for ranked in ask(request).items]


def _make_result(target: str, rate: float, empty: float, required: str) -> Result:
    return Result(target, rate, "answers/s", f"empty server, {empty:.0f} answers/s", rate / empty, required)


def _compute_rate(answered: Sequence[CallResult]) -> float:
    good = [each for each in answered if each.code == OK]
    return len(good) / (max(each.sent + each.seconds for each in good) - min(each.sent for each in good))


def _compute_percentiles(answered: Sequence[CallResult]) -> tuple[float, float]:
    """Compute the median and the 99th percentile in seconds."""
    good = sorted(each.seconds for each in answered if each.code == OK)
    return good[len(good) // 2], good[len(good) * 99 // 100]


def _summarise(answered: Sequence[CallResult]) -> dict[str, object]:
    p50, p99 = _compute_percentiles(answered)
    failed = sum(each.code != OK for each in answered)
    return {"p50_ms": round(1000 * p50, 2), "p99_ms": round(1000 * p99, 2), "failed": failed}


def _log(what: str, **told: object) -> None:
    sys.stderr.write(json.dumps({"what": what, **told}) + "\n")


def main(arguments: list[str]) -> int:
    """Run this part by itself; return the exit code."""
    return run_part("serving.rpcs", __doc__, measure, PARTS["rpcs"].options, arguments)
