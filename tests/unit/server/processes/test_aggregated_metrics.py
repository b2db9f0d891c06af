"""Metrics of several processes as one, over real endpoints."""

import http.server
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from portrait.server.metrics.endpoint import Probes, serve_endpoint
from portrait.server.metrics.guarded_registry import GuardedRegistry
from portrait.server.processes.aggregated_metrics import AggregatedMetrics


class Process:
    """Metrics of one process, and the port that shows them."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        self.rpcs = Counter("portrait_rpcs", "Calls.", ["code"], registry=registry)
        self.seconds = Histogram("portrait_rpc_duration_seconds", "Seconds.", buckets=(1.0,), registry=registry)
        self.bytes = Gauge("portrait_text_cache_bytes", "Bytes.", registry=registry)
        self.release = Gauge("portrait_release", "Release.", registry=registry)
        port, self.stop = serve_endpoint(registry, Probes(lambda: None, lambda: None), "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{port}/metrics"


@pytest.fixture
def two() -> Iterator[list[Process]]:
    processes = [Process(), Process()]
    yield processes
    for process in processes:
        process.stop()


def _shown(urls: Callable[[], dict[int, str]]) -> CollectorRegistry:
    registry = GuardedRegistry()
    registry.register(AggregatedMetrics(urls, registry.errors, [registry.errors.counter]))
    return registry


@contextmanager
def answering(status: int, content: bytes) -> Iterator[str]:
    """A process that answers something else than metrics."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/metrics"
    server.shutdown()
    server.server_close()
    thread.join()


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
    assert registry.get_sample_value("portrait_rpc_duration_seconds_bucket", {"le": "1.0"}) == 1
    assert registry.get_sample_value("portrait_rpc_duration_seconds_count") == 2
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


def test_counters_never_fall_when_a_process_can_not_say_one_of_them(two: list[Process]) -> None:
    for process in two:
        process.rpcs.labels("OK").inc(3)
        process.seconds.observe(0.5)
    registry = _shown(lambda: {place: process.url for place, process in enumerate(two)})
    assert registry.get_sample_value("portrait_rpcs_total", {"code": "OK"}) == 6
    two[0].registry.unregister(two[0].rpcs)  # as where a collector fails
    assert registry.get_sample_value("portrait_rpcs_total", {"code": "OK"}) == 6
    two[1].registry.unregister(two[1].rpcs)
    assert registry.get_sample_value("portrait_rpcs_total", {"code": "OK"}) == 6
    two[0].registry.register(two[0].rpcs)
    two[0].rpcs.labels("OK").inc()
    assert registry.get_sample_value("portrait_rpcs_total", {"code": "OK"}) == 7


def test_counters_never_fall_while_no_process_serves(two: list[Process]) -> None:
    urls = {place: process.url for place, process in enumerate(two)}
    two[0].rpcs.labels("OK").inc(3)
    registry = _shown(lambda: urls)
    assert registry.get_sample_value("portrait_rpcs_total", {"code": "OK"}) == 3
    urls.clear()
    assert registry.get_sample_value("portrait_rpcs_total", {"code": "OK"}) == 3
    urls[0] = two[1].url  # the system gives a process's id again
    two[1].rpcs.labels("OK").inc()
    assert registry.get_sample_value("portrait_rpcs_total", {"code": "OK"}) == 4


def test_a_process_that_does_not_answer_is_passed_over(two: list[Process]) -> None:
    two[0].rpcs.labels("OK").inc()
    registry = _shown(lambda: {0: two[0].url, 1: "http://127.0.0.1:9/metrics"})
    assert registry.get_sample_value("portrait_rpcs_total", {"code": "OK"}) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("status", "content"),
    [
        (200, b"\xff\xfe\x00"),
        (200, b"<html>no metrics</html>"),
        (200, b'portrait_rpcs_total{code="OK" 1'),
        (200, b"portrait_rpcs_total{code} x"),
        (500, b"a fault"),
    ],
)
def test_a_process_that_answers_garbage_hides_no_other(two: list[Process], status: int, content: bytes) -> None:
    two[0].rpcs.labels("OK").inc()
    with answering(status, content) as url:
        registry = _shown(lambda: {0: two[0].url, 1: url})
        port, stop = serve_endpoint(registry, Probes(lambda: None, lambda: None), "127.0.0.1", 0)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
            text = answer.read().decode()
        stop()
    assert 'portrait_rpcs_total{code="OK"} 1.0' in text
    assert 'portrait_collector_errors_total{collector="process"} 1.0' in text
