"""The parts that a shop needs, their cost a month, and the limits in the order in which they are met."""

import math
from dataclasses import dataclass

from benchmarks.sizing.costs import PROCESSES, MeasuredCosts, extrapolate
from benchmarks.sizing.workload import Workload
from portrait.server.storage.redis.keys import BUCKETS

_GIB = 1 << 30
_MONTH_HOURS = 730
_CORES_A_MACHINE = 32
_DAY_SECONDS = 86_400
_AUDIENCE_SECONDS = 2.0
"""The promise of README.md for a million shoppers."""
_UPSERTED_BYTES = 2_500
"""An item that was changed since the release: 2 to 3 KB in every process (docs/operations/scaling.md)."""


@dataclass(frozen=True)
class Component:
    """One part of the system."""

    name: str
    cores: float
    gib: float
    basis: str
    """The terms of the numbers."""

    def cost_month(self, workload: Workload) -> float:
        """The cost of a month by the prices of the workload."""
        return _MONTH_HOURS * (self.cores * workload.core_hour + self.gib * workload.gib_hour)


@dataclass(frozen=True)
class Limit:
    """Something that stops at some size."""

    what: str
    bearable: float
    needed: float
    unit: str
    basis: str

    @property
    def excess(self) -> float:
        """The number of times that what is needed exceeds what is bearable."""
        return self.needed / self.bearable


def list_components(workload: Workload, costs: MeasuredCosts, hit_rate: float) -> list[Component]:
    """List the parts that serve the peak.

    Args:
        workload: the assumptions.
        costs: what was measured.
        hit_rate: share of all requests that the response cache answers, 0 to 1; searches are never among them.
    """
    gateway_cores = _gateway_cores(workload, costs, hit_rate)
    machines = math.ceil(gateway_cores / _CORES_A_MACHINE)
    per_machine = (workload.items * costs.gateway_mib_per_item + _CORES_A_MACHINE * costs.process_mib) / 1024
    graphs = sum(_ms(workload, costs, process, hit_rate) for process in PROCESSES if process != "gateway")
    state = workload.events_kept * costs.event_bytes / _GIB * (1 + workload.replicas) / workload.fill
    servers = math.ceil(state / workload.master_gib)
    ingest = workload.events_a_second * workload.peak_to_mean * costs.record_ms / 1_000 / workload.utilisation
    table = workload.shoppers / 1_000_000 * costs.table_mib / 1024
    return [
        Component(
            "gateways",
            gateway_cores,
            machines * per_machine,
            f"{machines:,} machines of {_CORES_A_MACHINE} cores, {per_machine:.0f} GiB used on each",
        ),
        Component("Triton and graphs, on processors", _cores(workload, graphs), 0.0, f"{graphs:.1f} ms a request"),
        Component("state in Redis", servers, state, f"{servers:,} servers, {workload.events_kept:,.0f} events kept"),
        Component("storing events", ingest, 0.0, f"{costs.record_ms:.3f} ms an event"),
        Component("audience table", 0.0, table, f"{costs.table_mib:.0f} MiB for a million shoppers"),
    ]


def _gateway_cores(workload: Workload, costs: MeasuredCosts, hit_rate: float) -> float:
    return _cores(workload, _ms(workload, costs, "gateway", hit_rate))


def count_processes(workload: Workload, costs: MeasuredCosts) -> int:
    """Count the gateway processes, one for each core, if no response is cached."""
    return math.ceil(_gateway_cores(workload, costs, 0.0))


def _cores(workload: Workload, ms: float) -> float:
    return workload.requests * ms / 1_000 / workload.utilisation


def _ms(workload: Workload, costs: MeasuredCosts, process: str, hit_rate: float) -> float:
    """Processor time of one process for the average request, in ms."""
    cold, search = (extrapolate(costs.calls(kind), workload.items, process) for kind in ("Recommend", "search"))
    in_gateway = process == "gateway"
    profile = costs.profile_ms if in_gateway else 0.0
    state = costs.redis_gateway_ms if in_gateway else 0.0
    warm = costs.warm_ms if in_gateway else 0.0
    recommend_share = 1.0 - workload.profile_share - workload.search_share
    missed = recommend_share * (cold + state) + workload.profile_share * (profile + state)
    other_share = 1.0 - workload.search_share
    hit_share = hit_rate / other_share if other_share else 0.0
    return (1.0 - hit_share) * missed + hit_rate * warm + workload.search_share * (search + state)


def list_limits(workload: Workload, costs: MeasuredCosts) -> list[Limit]:
    """List what stops, the most exceeded first."""
    events = workload.events_kept
    changed = workload.items * -math.expm1(-workload.changes * _DAY_SECONDS / workload.items)
    limits = [
        Limit(
            "response cache: any change of an item makes all responses invalid",
            1.0 / workload.gap_seconds, workload.changes, "changes/s",
            "one change between two requests of a visit leaves nothing to hit",
        ),
        Limit(
            "audiences: the slowest search", _AUDIENCE_SECONDS, costs.find_seconds * workload.shoppers / 1_000_000,
            "s", "linear in the shoppers; measured with a million",
        ),
        Limit(
            "audience table: building it anew", _DAY_SECONDS, workload.shoppers / costs.tabulated_per_second,
            "s on two cores", "linear in the shoppers",
        ),
        Limit(
            "training on all events that are kept", _DAY_SECONDS,
            events * (costs.prepare_seconds_per_event + costs.train_seconds_per_event),
            "s on two cores", "linear in the events; measured up to ten million",
        ),
        Limit(
            "Redis: a bucket of shoppers can't be split over servers", workload.master_gib * workload.fill,
            events * costs.event_bytes / _GIB / BUCKETS, "GiB a bucket", f"{BUCKETS} buckets",
        ),
        Limit(
            "items changed since the release, of a day, in each process", 1.0, changed * _UPSERTED_BYTES / _GIB,
            "GiB", "every request compares all of them",
        ),
    ]  # fmt: skip
    return sorted(limits, key=lambda limit: -limit.excess)
