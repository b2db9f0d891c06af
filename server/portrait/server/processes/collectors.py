"""Metrics of several gateway processes on one port."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from portrait.server.metrics.collectors import TritonCollector
from portrait.server.metrics.guarded_registry import GuardedRegistry
from portrait.server.processes.aggregated_metrics import AggregatedMetrics
from portrait.server.processes.pool import ProcessPool
from portrait.server.runtime.log_writer import DROPPED_LINES
from portrait.server.triton import EmbeddedTriton


def build_registry(processes: ProcessPool, triton: EmbeddedTriton | None) -> CollectorRegistry:
    """The sums of all gateway processes, how many there are, and what became of the Triton that they share."""
    registry = GuardedRegistry()
    own = [registry.errors.counter, DROPPED_LINES]
    if triton is not None:
        registry.register(TritonCollector(triton))
    registry.register(AggregatedMetrics(lambda: processes.metrics_urls, registry.errors, own))
    registry.register(_Processes(processes))
    return registry


class _Processes(Collector):
    """Reads the processes when it is asked."""

    def __init__(self, processes: ProcessPool) -> None:
        self._processes = processes

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """How many serve, and how many had to be started again."""
        yield GaugeMetricFamily(
            "portrait_processes", "Gateway processes that serve.", len(self._processes.metrics_urls)
        )
        yield CounterMetricFamily(
            "portrait_process_restarts", "Processes that were started again.", self._processes.restarts
        )
