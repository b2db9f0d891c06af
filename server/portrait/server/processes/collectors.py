"""The metrics endpoint of several gateway processes on one port."""

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from portrait.server.metrics.collectors import TritonCollector
from portrait.server.metrics.guarded_registry import GuardedRegistry
from portrait.server.metrics.tenant_registry import TenantRegistry
from portrait.server.processes.aggregated_metrics import AggregatedMetrics
from portrait.server.processes.pool import ProcessPool
from portrait.server.runtime.log_writer import DROPPED_LINES
from portrait.server.triton import EmbeddedTriton


def build_registry(pool: ProcessPool, tritons: Mapping[str | None, EmbeddedTriton]) -> CollectorRegistry:
    """Build a registry of the sums over all gateway processes, of their number, and of the Tritons that they share.

    Args:
        pool: the processes, whose metrics have the label of the tenant that they are of.
        tritons: by tenant; without tenants at most one, under None.
    """
    registry = GuardedRegistry()
    own = [registry.errors.counter, DROPPED_LINES]
    registry.register(AggregatedMetrics(pool.list_metrics, registry.errors, own))
    registry.register(_ProcessCollector(pool))
    if None in tritons:
        registry.register(TritonCollector(tritons[None]))
    by_tenant = {tenant: _of_triton(triton) for tenant, triton in tritons.items() if tenant is not None}
    return TenantRegistry(registry, by_tenant) if by_tenant else registry


def build_tenant_registry(pool: ProcessPool, tenant: str, triton: EmbeddedTriton | None) -> CollectorRegistry:
    """Build a registry of the sums of one tenant over all gateway processes, and of its Triton.

    Args:
        pool: the processes.
        tenant: its name.
        triton: None if the tenant uses a Triton elsewhere.
    """
    registry = GuardedRegistry()
    registry.register(AggregatedMetrics(lambda: pool.list_metrics(tenant), registry.errors, [registry.errors.counter]))
    if triton is not None:
        registry.register(TritonCollector(triton))
    return registry


def _of_triton(triton: EmbeddedTriton) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(TritonCollector(triton))
    return registry


class _ProcessCollector(Collector):
    """Reads the pool of processes at every scrape."""

    def __init__(self, pool: ProcessPool) -> None:
        self._pool = pool

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """Count the processes that serve, and the restarts."""
        yield GaugeMetricFamily("portrait_processes", "Gateway processes that serve.", len(self._pool.list_metrics()))
        yield CounterMetricFamily(
            "portrait_process_restarts", "Times that a gateway process was started again.", self._pool.restarts
        )
