"""The HTTP endpoint: probes that say why, beside the metrics."""

import urllib.request
from collections.abc import Iterator
from urllib.error import HTTPError

import pytest
from prometheus_client import CollectorRegistry, Counter

from portrait.server.metrics.endpoint import Probes, serve_endpoint
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
        try:
            with urllib.request.urlopen(self.url + path, timeout=5) as answer:
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
