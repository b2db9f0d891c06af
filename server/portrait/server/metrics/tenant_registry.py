"""The metrics of a gateway with tenants: those of the process, and those of each tenant with a label of its name."""

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric

TENANT = "tenant"
"""Name of the label."""


class TenantRegistry(CollectorRegistry):
    """Shows several registries as one. A family that several have is shown once, with the samples of all.

    Args:
        process: has what no tenant owns, for example refused calls of callers without a tenant.
        by_tenant: the registry of each tenant.
    """

    def __init__(self, process: CollectorRegistry, by_tenant: Mapping[str, CollectorRegistry]) -> None:
        super().__init__()
        self._sources = [({}, process), *(({TENANT: name}, registry) for name, registry in by_tenant.items())]

    def collect(self) -> Iterator[Metric]:
        """Yield the families of all registries."""
        families: dict[str, Metric] = {}
        for labels, registry in self._sources:
            for family in registry.collect():
                merged = families.setdefault(
                    family.name, Metric(family.name, family.documentation, family.type, family.unit)
                )
                merged.samples += [sample._replace(labels=labels | sample.labels) for sample in family.samples]
        yield from families.values()
