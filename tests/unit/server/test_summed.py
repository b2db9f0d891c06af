"""Metrics of several processes as one, over real endpoints."""

from collections.abc import Callable, Iterator

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from portrait.server.metrics import show
from portrait.server.processes.summed import Summed


class Process:
    """What one process counts, and shows."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self.rpcs = Counter("portrait_rpcs", "Calls.", ["code"], registry=registry)
        self.seconds = Histogram("portrait_rpc_seconds", "Seconds.", buckets=(1.0,), registry=registry)
        self.bytes = Gauge("portrait_text_cache_bytes", "Bytes.", registry=registry)
        self.release = Gauge("portrait_release", "Release.", registry=registry)
        port, self.stop = show(registry, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{port}/metrics"


@pytest.fixture
def two() -> Iterator[list[Process]]:
    processes = [Process(), Process()]
    yield processes
    for process in processes:
        process.stop()


def _shown(urls: Callable[[], dict[int, str]]) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(Summed(urls))
    return registry


def test_a_scrape_gives_sums(two: list[Process]) -> None:
    for place, process in enumerate(two):
        process.rpcs.labels("OK").inc(2 + place)
        process.seconds.observe(0.5 + place)
        process.bytes.set(100)
        process.release.set(7)
    two[1].rpcs.labels("NOT_FOUND").inc()
    registry = _shown(lambda: {place: process.url for place, process in enumerate(two)})
    assert registry.get_sample_value("portrait_rpcs_total", {"code": "OK"}) == 5
    assert registry.get_sample_value("portrait_rpcs_total", {"code": "NOT_FOUND"}) == 1
    assert registry.get_sample_value("portrait_rpc_seconds_bucket", {"le": "1.0"}) == 1
    assert registry.get_sample_value("portrait_rpc_seconds_count") == 2
    assert registry.get_sample_value("portrait_text_cache_bytes") == 200
    assert registry.get_sample_value("portrait_release") == 7
    text = generate_latest(registry).decode()
    assert '# TYPE portrait_rpcs_total counter\nportrait_rpcs_total{code="OK"} 5.0' in text
    assert "_created" not in text


def test_counters_never_fall_when_a_process_dies(two: list[Process]) -> None:
    urls = {place: process.url for place, process in enumerate(two)}
    for process in two:
        process.rpcs.labels("OK").inc(3)
        process.bytes.set(100)
    registry = _shown(lambda: urls)
    assert registry.get_sample_value("portrait_rpcs_total", {"code": "OK"}) == 6
    del urls[0]
    two[1].rpcs.labels("OK").inc()
    assert registry.get_sample_value("portrait_rpcs_total", {"code": "OK"}) == 7
    assert registry.get_sample_value("portrait_text_cache_bytes") == 100


def test_a_process_that_does_not_answer_is_passed_over(two: list[Process]) -> None:
    two[0].rpcs.labels("OK").inc()
    registry = _shown(lambda: {0: two[0].url, 1: "http://127.0.0.1:9/metrics"})
    assert registry.get_sample_value("portrait_rpcs_total", {"code": "OK"}) == 1
