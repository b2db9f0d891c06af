"""The metrics endpoint of several gateway processes on one port."""

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


def build_registry(pool: ProcessPool, triton: EmbeddedTriton | None) -> CollectorRegistry:
    """Build a registry of the sums over all gateway processes, of their number, and of the Triton that they share."""
    registry = GuardedRegistry()
    own = [registry.errors.counter, DROPPED_LINES]
    if triton is not None:
        registry.register(TritonCollector(triton))
    registry.register(AggregatedMetrics(lambda: pool.metrics_urls, registry.errors, own))
    registry.register(_ProcessCollector(pool))
    return registry


class _ProcessCollector(Collector):
    """Reads the pool of processes at every scrape."""

    def __init__(self, pool: ProcessPool) -> None:
        self._pool = pool

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """Count the processes that serve, and the restarts."""
        yield GaugeMetricFamily("portrait_processes", "Gateway processes that serve.", len(self._pool.metrics_urls))
        yield CounterMetricFamily(
            "portrait_process_restarts", "Times that a gateway process was started again.", self._pool.restarts
        )
