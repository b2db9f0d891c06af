"""The HTTP endpoint: probes that say why, beside the metrics."""

import io
import urllib.request
from collections.abc import Iterator
from functools import partial
from urllib.error import HTTPError

import pytest
from prometheus_client import CollectorRegistry, Counter

from portrait.server.metrics import endpoint
from portrait.server.metrics.endpoint import Probes, ask_ready, serve_endpoint
from portrait.server.processes.readiness import find_unready
from portrait.server.runtime.heartbeat import MAX_SILENT_SECONDS, Heartbeat


class Process:
    """The endpoint of a process whose probes say what a test sets."""

    def __init__(self) -> None:
        self.hangs: str | None = None
        self.unready: str | None = None
        registry = CollectorRegistry()
        Counter("calls", "Calls.", registry=registry).inc()
        probes = Probes(lambda: self.hangs, lambda: self.unready)
        port, self.stop = serve_endpoint(registry, probes, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{port}"

    def ask(self, path: str) -> tuple[int, str]:
        return ask_path(self.url, path)


def ask_path(url: str, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url + path, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


@pytest.fixture
def processes() -> Iterator[list[Process]]:
    started = [Process(), Process()]
    yield started
    for process in started:
        process.stop()


def test_probes_say_why(processes: list[Process]) -> None:
    process = processes[0]
    assert process.ask("/livez") == process.ask("/readyz") == (200, "ok\n")
    process.unready = "the models do not answer"
    assert process.ask("/livez") == (200, "ok\n")
    assert process.ask("/readyz") == (503, "the models do not answer\n")
    process.hangs = "the event loop has not run for 61 s"
    assert process.ask("/livez") == (503, "the event loop has not run for 61 s\n")
    assert "calls_total 1.0" in process.ask("/metrics")[1]


def test_several_processes_are_ready_when_each_is(processes: list[Process]) -> None:
    urls = {number: f"{process.url}/metrics" for number, process in enumerate(processes)}
    assert find_unready(lambda: urls) is None
    processes[1].unready = "draining"
    assert find_unready(lambda: urls) == "draining"
    assert find_unready(lambda: urls | {1: "http://127.0.0.1:9/metrics"}) is None  # one that has just died
    assert find_unready(dict) == "no gateway process serves"


async def test_a_loop_that_has_not_run_for_long_hangs() -> None:
    seconds = 0.0
    heartbeat = Heartbeat(lambda: seconds)
    seconds = MAX_SILENT_SECONDS
    assert heartbeat.find_problem() is None
    seconds += 1
    assert heartbeat.find_problem() == "the event loop has not run for 61 s"
    await heartbeat.beat()
    assert heartbeat.find_problem() is None


@pytest.mark.parametrize("tenant", ["shoes", "metrics", "metrics-shop"])
def test_a_tenant_has_its_own_metrics_and_readiness_and_no_other_name_has_any(tenant: str) -> None:
    whole, own = CollectorRegistry(), CollectorRegistry()
    Counter("calls", "Calls.", registry=own).inc()
    nothing = Probes(lambda: None, lambda: None)
    port, stop = serve_endpoint(whole, nothing, "127.0.0.1", 0, {tenant: (own, lambda: "its models are gone")})
    try:
        ask = partial(ask_path, f"http://127.0.0.1:{port}")
        assert "calls_total 1.0" in ask(f"/metrics/{tenant}")[1]
        assert (ask("/metrics"), ask("/readyz")) == ((200, ""), (200, "ok\n"))
        assert ask_ready(f"http://127.0.0.1:{port}/metrics/{tenant}", 5) == "its models are gone"
        assert ask_ready(f"http://127.0.0.1:{port}/metrics", 5) is None
        for path in ("/metrics/hats", "/readyz/hats", "/readyz/", f"/readyz/{tenant}/"):
            assert ask(path) == (404, "there is no such tenant\n")
    finally:
        stop()


@pytest.mark.parametrize(
    ("metrics", "ready"),
    [
        ("http://metrics/metrics", "http://metrics/readyz"),
        ("http://metrics.shop:1/metrics/metrics", "http://metrics.shop:1/readyz/metrics"),
        ("https://ops/gateway-7/metrics/shoes", "https://ops/gateway-7/readyz/shoes"),
        ("https://ops/metrics-7/metrics/", "https://ops/metrics-7/readyz"),
        ("http://127.0.0.1:9464", "http://127.0.0.1:9464/readyz"),
    ],
)
def test_readiness_is_asked_beside_the_metrics(metrics: str, ready: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(endpoint, "open_url", lambda url, _: asked.append(url) or io.StringIO())
    assert ask_ready(metrics, 5) is None
    assert asked == [ready]
