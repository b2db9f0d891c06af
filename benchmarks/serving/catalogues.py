"""Cost by size of the catalogue: `python -m benchmarks serving.catalogues REPOSITORY`.

Catalogues are made of the newest release of the repository; see `benchmarks.common.synthetic_catalogue`. Gateway,
Triton and caller share the machine; calls come one by one.
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import grpc

from benchmarks.common import synthetic_catalogue as synthetic
from benchmarks.common.cli import run_part
from benchmarks.common.gateway import Gateway, run_gateway
from benchmarks.common.load.calls import make_recommend_calls
from benchmarks.common.load.generator import OK, Load, run_load
from benchmarks.common.targets import Result
from benchmarks.serving.curves import Curve, keep_curves
from benchmarks.serving.memory import measure_resident_memory
from benchmarks.serving.parts import PARTS
from portrait.client.channels import proxy_options
from portrait.v1 import item_pb2, shopper_pb2
from portrait.v1.catalogue_service_pb2 import UpsertItemsRequest
from portrait.v1.catalogue_service_pb2_grpc import CatalogueServiceStub
from portrait.v1.recommendation_service_pb2 import RecommendRequest
from portrait.v1.recommendation_service_pb2_grpc import RecommendationServiceStub

SIZES = (10_000, 100_000, 1_000_000)
DIMENSION = 384
"""Dimension of the vectors whose memory is measured: that of the default base model."""
UPSERT_SIZES = (1, 500)
_CALLS, _WARM = 2_000, 300
_TRIES = 5


@dataclass(frozen=True)
class CatalogueCost:
    """The cost of one size of catalogue."""

    items: int
    retrieval: str
    recall_at_100: float
    start_seconds: float
    """Seconds from the start of the process, with Triton, to the first answer."""
    p50_ms: float
    p99_ms: float
    rss_mib: float
    """Memory of the gateway's process after the load."""
    upsert_seconds: dict[int, float]
    """By number of items in the request: median seconds; most of them go to the text encoder."""
    shown_seconds: dict[int, float]
    """By number of items in the request: median seconds from the answer until all of them are recommended."""


def measure(repository: Path, sizes: Sequence[int] = SIZES) -> list[Result]:
    """Measure all sizes; the curve goes to stderr, a line of JSON for each size."""
    points = []
    with tempfile.TemporaryDirectory(dir=repository.parent, prefix=".catalogues-") as name:
        for size in sizes:
            points.append(_measure_size(repository, Path(name) / str(size), size))
            _log(asdict(points[-1]))
        by_size = [(point.items, point.p50_ms) for point in points]
        keep_curves([Curve("Latency by catalogue", "Recommend", "items", "ms, p50", by_size)])
        wide = Path(name) / "wide"
        synthetic.write_synthetic_release(repository, wide, sizes[-1], DIMENSION)
        return _make_results(points, measure_resident_memory(wide) / 2**20)


def _measure_size(source: Path, repository: Path, size: int) -> CatalogueCost:
    told = synthetic.write_synthetic_release(source, repository, size)
    began = time.monotonic()
    with run_gateway(repository) as gateway:
        started = time.monotonic() - began
        load = Load(
            gateway.address, make_recommend_calls(repository, _WARM, seed=2), 60.0, 10.0, in_flight=1, count=_WARM
        )
        run_load(load)
        calls = make_recommend_calls(repository, _CALLS)
        answered = run_load(Load(gateway.address, calls, 60.0, 10.0, in_flight=1, count=_CALLS))
        if any(each.code != OK for each in answered):
            raise RuntimeError("not every call was answered")
        quantiles = statistics.quantiles([1000 * each.seconds for each in answered], n=100)
        rss = gateway.rss / 2**20
        upserts = {count: _measure_upsert(gateway, count) for count in UPSERT_SIZES}
    stored, shown = ({count: each[part] for count, each in upserts.items()} for part in (0, 1))
    return CatalogueCost(size, told.kind, told.recall_at_100, started, quantiles[49], quantiles[98], rss, stored, shown)


def _measure_upsert(gateway: Gateway, count: int) -> tuple[float, float]:
    with grpc.insecure_channel(gateway.address, proxy_options(gateway.address)) as channel:
        tried = [_time_until_shown(channel, f"{count}-{number}", count) for number in range(_TRIES)]
    return statistics.median(each[0] for each in tried), statistics.median(each[1] for each in tried)


def _time_until_shown(channel: grpc.Channel, name: str, count: int) -> tuple[float, float]:
    """Upsert items of a new category, and recommend in it until they are shown; return the seconds of both."""
    items = [
        item_pb2.Item(item_id=f"{name}-{place}", title=f"Novelty {name}, number {place}", category_path=[f"new {name}"])
        for place in range(count)
    ]
    request = RecommendRequest(shopper=shopper_pb2.ShopperRef(history={}), k=count)
    request.filter.categories.add(names=[f"new {name}"])
    began = time.monotonic()
    CatalogueServiceStub(channel).UpsertItems(UpsertItemsRequest(items=items), timeout=60)
    recommend = RecommendationServiceStub(channel).Recommend
    stored = time.monotonic()
    while len(recommend(request, timeout=60).items) < count:
        pass
    return stored - began, time.monotonic() - stored


def _make_results(points: Sequence[CatalogueCost], wide_mib: float) -> list[Result]:
    small, large = points[0], points[-1]
    named = f"{large.items:,} items"
    return [
        Result(f"catalogue: Recommend of {named}", large.p50_ms, "ms", f"{small.items:,} items, {small.p50_ms:.2f} ms",
            large.p50_ms / small.p50_ms, "ratio <= 3"),
        Result(f"catalogue: memory, {named}, {DIMENSION} numbers each, all read", wide_mib, "MiB", "", None,
            "value <= 2048"),
        Result(f"catalogue: memory of the gateway, {named}", large.rss_mib, "MiB", "", None, "value <= 2048"),
        Result(f"catalogue: recall@100, {named}", large.recall_at_100, "share", "exact search", None, "value >= 0.95"),
        *(
            Result(f"catalogue: {count} upserted to {named} are shown", seconds, "s after the answer", "", None,
                "value <= 1")
            for count, seconds in large.shown_seconds.items()
        ),
        Result(f"catalogue: start with {named}", large.start_seconds, "s", "", None, "value <= 60"),
    ]  # fmt: skip


def _log(told: dict[str, object]) -> None:
    sys.stderr.write(json.dumps(told) + "\n")


def main(arguments: list[str]) -> int:
    """Run this part by itself; return the exit code."""
    return run_part("serving.catalogues", __doc__, measure, PARTS["catalogues"].options, arguments)
