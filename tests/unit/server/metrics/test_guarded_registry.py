"""Metrics of collectors that fail, as a scraper gets them."""

import socket
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from structlog.testing import capture_logs

from portrait.server.metrics.endpoint import Probes, serve_endpoint
from portrait.server.metrics.guarded_registry import GuardedRegistry


class Broken(Collector):
    """Shows one family, then does what it is told to."""

    def __init__(self, then: Callable[[], GaugeMetricFamily]) -> None:
        self.then = then

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield GaugeMetricFamily("before", "What comes before the failure.", 1)
        yield self.then()


def raises() -> GaugeMetricFamily:
    raise RuntimeError("a secret of a shopper")


def no_number() -> GaugeMetricFamily:
    return GaugeMetricFamily("wrong", "No number.", value="x")  # type: ignore[arg-type]


def no_text() -> GaugeMetricFamily:
    family = GaugeMetricFamily("wrong", "A label that is no text.", labels=["name"])
    family.add_metric(["\udcff"], 1)
    return family


@contextmanager
def shown(registry: CollectorRegistry) -> Iterator[int]:
    port, stop = serve_endpoint(registry, Probes(lambda: None, lambda: None), "127.0.0.1", 0)
    yield port
    stop()


def scrape(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
        return str(answer.read().decode())


@pytest.mark.parametrize("failure", [raises, no_number, no_text])
def test_a_collector_that_fails_hides_no_other(failure: Callable[[], GaugeMetricFamily]) -> None:
    registry = GuardedRegistry()
    registry.register(Broken(failure))
    registry.register(registry.errors.counter)
    Counter("after", "A counter that is registered later.", registry=registry).inc()
    with shown(registry) as port:
        text = scrape(port)
    assert "before 1.0" in text
    assert "after_total 1.0" in text
    assert 'portrait_collector_errors_total{collector="broken"} 1.0' in text


def test_a_failure_is_logged_once_and_so_is_its_end() -> None:
    registry, broken = GuardedRegistry(), Broken(raises)
    registry.register(broken)
    with capture_logs() as lines:
        for _ in range(3):
            list(registry.collect())
        broken.then = lambda: GaugeMetricFamily("after", "It works.", 1)
        for _ in range(3):
            list(registry.collect())
    assert [line["event"] for line in lines] == ["collector_failed", "collector_recovered"]
    assert lines[0]["error"] == "RuntimeError"
    assert "secret" not in str(lines)


def test_two_collectors_of_one_name_are_refused() -> None:
    registry = GuardedRegistry()
    Counter("twice", "The first.", registry=registry)
    with pytest.raises(ValueError, match="Duplicated"):
        Counter("twice", "The second.", registry=registry)


def test_a_scraper_that_stalls_holds_up_no_other() -> None:
    registry = GuardedRegistry()
    Counter("counted", "A counter.", registry=registry)
    with shown(registry) as port, socket.create_connection(("127.0.0.1", port)) as stalled:
        stalled.sendall(b"GET /metrics HTTP/1.1\r\n")  # and no more
        assert "counted_total 0.0" in scrape(port)
