"""Prometheus metrics of the gateway.

Every name is written out in full, so that a test finds it, and holds it against docs/operations.
"""

import platform
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from prometheus_client import Counter, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from portrait.features.installation import DISTRIBUTION
from portrait.features.release.layout import MODELS, TRAIT_HEADS
from portrait.server.admission.costs import Workload
from portrait.server.admission.gate import Gate
from portrait.server.audiences.search import AudienceOutcome, AudienceSearch
from portrait.server.audiences.snapshots import TableSnapshots
from portrait.server.consent.consents import Permissions, Purpose
from portrait.server.engine import Engine
from portrait.server.inference.fallback import Cause
from portrait.server.metrics.file_collectors import (
    CertificateCollector,
    Certificates,
    LiveFileCollector,
    StateCollector,
)
from portrait.server.metrics.guarded_registry import GuardedRegistry
from portrait.server.response_cache import ResponseCache
from portrait.server.rollout.engine_registry import EngineRegistry
from portrait.server.rollout.gateway_status import CANARY, DELAYED, LOADED, PERCENT, REFUSED, SERVING
from portrait.server.rollout.rollout import Rollout
from portrait.server.runtime.live_file import LiveFile
from portrait.server.runtime.log_writer import DROPPED_LINES
from portrait.server.storage.durations import STORE_DURATION
from portrait.server.triton import EmbeddedTriton

_DURATION_BUCKETS_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """The metrics of one gateway or tenant, in a registry of its own, so that a process can hold several.

    Args:
        max_deadline_seconds: the longest that a call may take, the last bucket of durations.
    """

    def __init__(self, max_deadline_seconds: float) -> None:
        self.registry = GuardedRegistry()
        self.registry.register(self.registry.errors.counter)
        self.rpcs = Counter("portrait_rpcs", "Calls that ended.", ["method", "code"], registry=self.registry)
        self.rpc_duration_seconds = Histogram(
            "portrait_rpc_duration_seconds",
            "Duration of calls.",
            ["method"],
            buckets=[
                *(each for each in _DURATION_BUCKETS_SECONDS if each < max_deadline_seconds),
                max_deadline_seconds,
            ],
            registry=self.registry,
        )

    def register_process(self) -> None:
        """Register the metrics that a process has once, however many tenants it serves."""
        ProcessCollector(registry=self.registry)
        self.registry.register(DROPPED_LINES)
        self.registry.register(STORE_DURATION)
        self.registry.register(_BuildCollector())

    def register_releases(self, rollout: Rollout) -> None:
        """Register the metrics of releases, of engines and of their catalogues."""
        self.registry.register(_ReleaseCollector(rollout))
        self.registry.register(_EngineCollector(rollout.registry))
        self.registry.register(_CatalogueCollector(rollout.registry))

    def register_triton(self, triton: EmbeddedTriton) -> None:
        """Register the metrics of the embedded Triton."""
        self.registry.register(TritonCollector(triton))

    def register_state(self, state: Path) -> None:
        """Register the metrics of the state file and of its disk."""
        self.registry.register(StateCollector(state))

    def register_certificates(self, certificates: Certificates) -> None:
        """Register the metrics of the port's certificate."""
        self.registry.register(CertificateCollector(certificates))

    def register_live_files(self, files: Sequence[LiveFile[Any]]) -> None:
        """Register the metrics of the operator's files that are followed."""
        self.registry.register(LiveFileCollector(files))

    def register_admission(self, gates: Mapping[Workload, Gate]) -> None:
        """Register the metrics of admission control."""
        self.registry.register(_AdmissionCollector(gates))

    def register_response_cache(self, cache: ResponseCache) -> None:
        """Register the metrics of the response cache."""
        self.registry.register(_ResponseCacheCollector(cache))

    def register_audiences(self, search: AudienceSearch, snapshots: TableSnapshots, registry: EngineRegistry) -> None:
        """Register the metrics of searches for audiences, and of the table of shoppers."""
        self.registry.register(_AudienceCollector(search, snapshots, registry))

    def register_consents(self, permissions: Permissions) -> None:
        """Register the metrics of consents."""
        self.registry.register(_ConsentCollector(permissions))


class TritonCollector(Collector):
    """Reads the embedded Triton at every scrape."""

    def __init__(self, triton: EmbeddedTriton) -> None:
        self._triton = triton

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Count the restarts of Triton, and the deaths of processes of models."""
        yield CounterMetricFamily(
            "portrait_triton_restarts", "Times that Triton was started again.", self._triton.restarts
        )
        yield CounterMetricFamily(
            "portrait_model_process_deaths",
            "Processes of models that died while Triton ran.",
            self._triton.model_process_deaths,
        )


class _BuildCollector(Collector):
    """Tells the version that runs."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Tell the versions of Portrait and Python."""
        build = GaugeMetricFamily("portrait_build_info", "1, with the versions that run.", labels=["version", "python"])
        build.add_metric([version(DISTRIBUTION), platform.python_version()], 1)
        yield build


class _ResponseCacheCollector(Collector):
    """Reads the response cache at every scrape."""

    def __init__(self, cache: ResponseCache) -> None:
        self._cache = cache

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """Count hits and misses, and the memory of cached responses."""
        cache = self._cache
        yield CounterMetricFamily("portrait_response_cache_hits", "Responses from the cache.", cache.hits)
        yield CounterMetricFamily("portrait_response_cache_misses", "Responses that were computed.", cache.misses)
        yield GaugeMetricFamily("portrait_response_cache_bytes", "Memory of cached responses.", cache.bytes)


class _AudienceCollector(Collector):
    """Reads the search, and looks up the newest table of shoppers, at every scrape."""

    def __init__(self, search: AudienceSearch, snapshots: TableSnapshots, registry: EngineRegistry) -> None:
        self._search, self._snapshots, self._registry = search, snapshots, registry

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """Count searches by outcome, and tell size and age of the serving release's table, if it has one."""
        outcomes = CounterMetricFamily(
            "portrait_audience_searches", "Audiences that were searched for.", labels=["outcome"]
        )
        for outcome in AudienceOutcome:
            outcomes.add_metric([outcome], self._search.outcomes[outcome])
        yield outcomes
        table = self._snapshots.open_newest(self._registry.routes.serving.release.identity)
        if table is None:
            return
        yield GaugeMetricFamily(
            "portrait_audience_table_shoppers", "Shoppers in the audience table of the serving release.", len(table)
        )
        yield GaugeMetricFamily(
            "portrait_audience_table_oldest_timestamp_seconds",
            "Time of the oldest row of that table, in seconds since 1970.",
            table.description.oldest_as_of / 1e6,
        )


class _ConsentCollector(Collector):
    """Reads the permissions at every scrape."""

    def __init__(self, permissions: Permissions) -> None:
        self._permissions = permissions

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Count the denials by purpose."""
        denied = CounterMetricFamily(
            "portrait_consent_denied", "Times that a shopper did not allow a purpose.", labels=["purpose"]
        )
        for purpose in Purpose:
            denied.add_metric([purpose], self._permissions.refused[purpose])
        yield denied


class _ReleaseCollector(Collector):
    """Reads the rollout at every scrape."""

    def __init__(self, rollout: Rollout) -> None:
        self._rollout = rollout

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """Tell which release serves, which is the canary, which are in memory, and which could not be loaded."""
        rollout, traffic = self._rollout, self._rollout.registry.routes.traffic
        yield GaugeMetricFamily(SERVING, "The serving release.", traffic.serving)
        yield GaugeMetricFamily(CANARY, "The canary release, 0 for none.", traffic.canary or 0)
        yield GaugeMetricFamily(PERCENT, "Shoppers served by the canary, in percent.", traffic.percent)
        loaded = GaugeMetricFamily(LOADED, "1 for each release in memory.", labels=["release"])
        for release in tuple(rollout.registry.engines):
            loaded.add_metric([str(release)], 1)
        refused = GaugeMetricFamily(
            REFUSED, "1 for each configured release that could not be loaded.", labels=["release"]
        )
        for release in tuple(rollout.setbacks.refused):
            refused.add_metric([str(release)], 1)
        delayed = GaugeMetricFamily(
            DELAYED, "1 for each configured release that waits for Triton or another part.", labels=["release"]
        )
        for release in tuple(rollout.setbacks.delayed):
            delayed.add_metric([str(release)], 1)
        yield from (loaded, refused, delayed)
        yield GaugeMetricFamily(
            "portrait_traffic_file_invalid",
            "1 if releases/traffic.json, or what takes its place in Redis, is invalid.",
            int(rollout.misread),
        )
        yield CounterMetricFamily(
            "portrait_release_switches", "Changes of the serving or the canary release.", rollout.switches
        )


class _CatalogueCollector(Collector):
    """Reads the engines' catalogues at every scrape."""

    def __init__(self, registry: EngineRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """Count the items of each catalogue, and those outside of the index: every request compares all of these."""
        labels = ["release", "catalogue"]
        items = GaugeMetricFamily("portrait_catalogue_items", "Items of a catalogue.", labels=labels)
        unindexed = GaugeMetricFamily(
            "portrait_catalogue_unindexed_items",
            "Items of a catalogue that are not in the release's index.",
            labels=labels,
        )
        for release, engine in tuple(self._registry.engines.items()):
            snapshots = engine.snapshots.by_name
            # A catalogue name that a caller has invented must not stay in the metrics for ever.
            for name, snapshot in ((name, snapshot) for name, snapshot in snapshots.items() if snapshot.items):
                items.add_metric([str(release), name], snapshot.items)
                unindexed.add_metric([str(release), name], snapshot.added)
        yield from (items, unindexed)


class _EngineCollector(Collector):
    """Reads the engines at every scrape."""

    def __init__(self, registry: EngineRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """Count the work of the models, degraded responses, failed searches, and the texts of the embedding cache."""
        engines, counts = tuple(self._registry.engines.values()), self._registry.counts()
        yield from _model_families(engines, counts)
        degraded = CounterMetricFamily(
            "portrait_degraded_responses", "Responses that were made without the models.", labels=["cause"]
        )
        for cause in Cause:
            degraded.add_metric([cause], counts["degraded", cause])
        yield degraded
        yield CounterMetricFamily(
            "portrait_index_search_failures",
            "Searches of the nearest items that Milvus did not answer.",
            counts["index", "failures"],
        )
        yield from _server_families(self._registry.routes.serving, counts)
        hits, misses = counts["texts", "known"], counts["texts", "encoded"]
        yield CounterMetricFamily("portrait_text_cache_hits", "Texts whose embedding was cached.", hits)
        yield CounterMetricFamily("portrait_text_cache_misses", "Texts that were encoded.", misses)
        size = sum(engine.texts.cache.bytes for engine in engines)
        yield GaugeMetricFamily("portrait_text_cache_bytes", "Memory of cached embeddings, of all releases.", size)


def _server_families(
    serving: Engine, counts: Mapping[tuple[str, str], int]
) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
    """Tell which Triton servers answer, and count calls that went to another one."""
    up = GaugeMetricFamily(
        "portrait_triton_up", "1 if a Triton server answers with the models of the serving release.", labels=["triton"]
    )
    for server in serving.triton.servers:
        up.add_metric([server.url], int(not server.is_down))
    yield up
    yield CounterMetricFamily(
        "portrait_triton_failovers",
        "Batches that went to another Triton server, as one could not answer.",
        counts["triton", "failovers"],
    )
    yield CounterMetricFamily(
        "portrait_triton_hedges",
        "Batches that went to a second Triton server as well, as the first was slow.",
        counts["triton", "hedges"],
    )


def _model_families(
    engines: Sequence[Engine], counts: Mapping[tuple[str, str], int]
) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
    """Count batches, rows and units by model, and the rows that a model has not answered yet."""
    names = ["model"]
    batches = CounterMetricFamily("portrait_model_batches", "Batches that a model ran.", labels=names)
    rows = CounterMetricFamily(
        "portrait_model_rows", "Texts, histories or rankings that a model processed.", labels=names
    )
    units = CounterMetricFamily(
        "portrait_model_units", "Tokens, events or candidates in those rows, without padding.", labels=names
    )
    padded = CounterMetricFamily(
        "portrait_model_padded_units", "Tokens, events or candidates in those rows, with padding.", labels=names
    )
    pending = GaugeMetricFamily("portrait_model_pending_rows", "Rows that wait for a model or run in it.", labels=names)
    for model in (*MODELS, TRAIT_HEADS):
        batches.add_metric([model], counts["batches", model])
        rows.add_metric([model], counts["rows", model])
        units.add_metric([model], counts["units", model])
        padded.add_metric([model], counts["padded_units", model])
        batchers = [engine.batchers[model] for engine in engines if model in engine.batchers]
        pending.add_metric([model], sum(batcher.pending for batcher in batchers))
    yield from (batches, rows, units, padded, pending)


class _AdmissionCollector(Collector):
    """Reads the admission gates at every scrape."""

    def __init__(self, gates: Mapping[Workload, Gate]) -> None:
        self._gates = gates

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """Tell the limits and the running units, and count accepted and refused calls."""
        by_workload, by_priority = ["workload"], ["workload", "priority"]
        limit = GaugeMetricFamily(
            "portrait_admission_limit_units", "Units of work that may run at the same time.", labels=by_workload
        )
        running = GaugeMetricFamily("portrait_admission_running_units", "Units of work that run.", labels=by_workload)
        admitted = CounterMetricFamily("portrait_admission_admitted", "Calls that were accepted.", labels=by_priority)
        refused = CounterMetricFamily(
            "portrait_admission_refused", "Calls that were refused.", labels=[*by_priority, "reason"]
        )
        units = CounterMetricFamily("portrait_admission_units", "Units of calls that have ended.", labels=by_priority)
        for workload, gate in self._gates.items():
            limit.add_metric([workload], gate.limit)
            running.add_metric([workload], gate.under_way)
            for priority, count in tuple(gate.admitted.items()):
                admitted.add_metric([workload, priority], count)
            for (priority, reason), count in tuple(gate.refused.items()):
                refused.add_metric([workload, priority, reason], count)
            for priority, count in gate.units.items():
                units.add_metric([workload, priority], count)
        yield from (limit, running, admitted, refused, units)
