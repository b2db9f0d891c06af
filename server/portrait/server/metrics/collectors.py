"""Prometheus metrics of the gateway, and the HTTP endpoint that shows them."""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from portrait.features.release.layout import MODELS, TRAIT_HEADS
from portrait.server.admission.costs import Workload
from portrait.server.admission.gate import Gate
from portrait.server.audiences.search import AudienceOutcome, AudienceSearch
from portrait.server.audiences.snapshots import TableSnapshots
from portrait.server.consent.consents import Permissions, Purpose
from portrait.server.inference.fallback import Cause
from portrait.server.metrics.guarded_registry import GuardedRegistry
from portrait.server.response_cache import ResponseCache
from portrait.server.rollout.engine_registry import EngineRegistry
from portrait.server.rollout.gateway_status import CANARY, LOADED, PERCENT, REFUSED, SERVING
from portrait.server.rollout.rollout import Rollout
from portrait.server.runtime.addresses import name_address_in_errors
from portrait.server.runtime.log_writer import DROPPED_LINES
from portrait.server.triton import EmbeddedTriton

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The metrics of one gateway, in a registry of its own, so that a process can hold several."""

    def __init__(self) -> None:
        self.registry = GuardedRegistry()
        ProcessCollector(registry=self.registry)
        self.registry.register(self.registry.errors.counter)
        self.registry.register(DROPPED_LINES)
        self.rpcs = Counter("portrait_rpcs", "Calls that ended.", ["method", "code"], registry=self.registry)
        self.rpc_duration_seconds = Histogram(
            "portrait_rpc_duration_seconds",
            "How long calls took.",
            ["method"],
            buckets=_SECONDS,
            registry=self.registry,
        )

    def register_releases(self, rollout: Rollout) -> None:
        """Show what is loaded, which release serves whom, and what the engines count."""
        self.registry.register(_Releases(rollout))
        self.registry.register(_Engines(rollout.registry))
        self.registry.register(_Catalogues(rollout.registry))

    def register_triton(self, triton: EmbeddedTriton) -> None:
        """Show how often Triton, or the process of a model, died."""
        self.registry.register(TritonCollector(triton))

    def register_admission(self, gates: Mapping[Workload, Gate]) -> None:
        """Show what the gates let in and refuse."""
        self.registry.register(_Gates(gates))

    def register_response_cache(self, given: ResponseCache) -> None:
        """Show how often an answer was given again."""
        self.registry.register(_Answers(given))

    def register_audiences(self, finder: AudienceSearch, snapshots: TableSnapshots, registry: EngineRegistry) -> None:
        """Show what became of audiences, and the shopper table that they are found in."""
        self.registry.register(_Audiences(finder, snapshots, registry))

    def register_consents(self, permissions: Permissions) -> None:
        """Show how often shoppers did not allow what was asked for."""
        self.registry.register(_Permissions(permissions))

    def serve(self, host: str, port: int) -> tuple[int, Callable[[], None]]:
        """Show the metrics; see `serve_metrics`."""
        return serve_metrics(self.registry, host, port)


def serve_metrics(registry: CollectorRegistry, host: str, port: int) -> tuple[int, Callable[[], None]]:
    """Show metrics at `http://host:port/metrics`, from a thread of its own.

    Returns:
        the port, and what ends it.

    Raises:
        OSError: the port is taken.
    """
    with name_address_in_errors(host, port):
        server, thread = start_http_server(port, addr=host, registry=registry)

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return server.server_port, stop


class TritonCollector(Collector):
    """Reads the embedded Triton when it is asked."""

    def __init__(self, triton: EmbeddedTriton) -> None:
        self._triton = triton

    def collect(self) -> Iterator[CounterMetricFamily]:
        """How often it was started again, and how many models' processes died under it."""
        yield CounterMetricFamily("portrait_triton_restarts", "Times Triton was started again.", self._triton.restarts)
        yield CounterMetricFamily(
            "portrait_model_process_deaths",
            "Processes of models that died while Triton ran.",
            self._triton.model_process_deaths,
        )


class _Answers(Collector):
    """Reads the answers that are kept when it is asked."""

    def __init__(self, given: ResponseCache) -> None:
        self._given = given

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """How often an answer was given again, and the memory of answers."""
        name, given = "portrait_response_cache", self._given
        yield CounterMetricFamily(f"{name}_hits", "Answers that were given again.", given.hits)
        yield CounterMetricFamily(f"{name}_misses", "Answers that had to be made.", given.misses)
        yield GaugeMetricFamily(f"{name}_bytes", "Memory of answers.", given.bytes)


class _Audiences(Collector):
    """Reads the finder, and looks for the newest shopper table, when it is asked."""

    def __init__(self, finder: AudienceSearch, snapshots: TableSnapshots, registry: EngineRegistry) -> None:
        self._finder, self._snapshots, self._registry = finder, snapshots, registry

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """Audiences by what became of them; size and age of the serving release's shopper table, if it has one."""
        outcomes = CounterMetricFamily(
            "portrait_audience_searches", "Audiences that were looked for.", labels=["outcome"]
        )
        for outcome in AudienceOutcome:
            outcomes.add_metric([outcome], self._finder.outcomes[outcome])
        yield outcomes
        table = self._snapshots.open_newest(self._registry.routes.serving.release.identity)
        if table is None:
            return
        name, description = "portrait_shopper_table", table.description
        yield GaugeMetricFamily(f"{name}_shoppers", "Shoppers in the shopper table of the release.", len(table))
        oldest = description.oldest_as_of / 1e6
        yield GaugeMetricFamily(f"{name}_oldest_seconds", "Moment of its oldest row, in seconds since 1970.", oldest)


class _Permissions(Collector):
    """Reads the permissions when it is asked."""

    def __init__(self, permissions: Permissions) -> None:
        self._permissions = permissions

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Refusals by purpose."""
        refused = CounterMetricFamily(
            "portrait_consent_denied", "Times that a shopper did not allow a purpose.", labels=["purpose"]
        )
        for purpose in Purpose:
            refused.add_metric([purpose], self._permissions.refused[purpose])
        yield refused


class _Releases(Collector):
    """Reads the rollout when it is asked."""

    def __init__(self, rollout: Rollout) -> None:
        self._rollout = rollout

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """Which release serves whom, what else is loaded, and what could not be."""
        rollout, traffic = self._rollout, self._rollout.registry.routes.traffic
        yield GaugeMetricFamily(SERVING, "The release that is served.", traffic.serving)
        yield GaugeMetricFamily(CANARY, "The release that is tried on some shoppers, 0 for none.", traffic.canary or 0)
        yield GaugeMetricFamily(PERCENT, "How many shoppers it is tried on, in percent.", traffic.percent)
        loaded = GaugeMetricFamily(LOADED, "1 for each release in memory.", labels=["release"])
        for release in tuple(rollout.registry.engines):
            loaded.add_metric([str(release)], 1)
        refused = GaugeMetricFamily(REFUSED, "1 for each wanted release that could not be loaded.", labels=["release"])
        for release in tuple(rollout.refused):
            refused.add_metric([str(release)], 1)
        yield from (loaded, refused)
        yield GaugeMetricFamily(
            "portrait_traffic_file_invalid", "1 if releases/traffic.json is not what it may be.", int(rollout.misread)
        )
        yield CounterMetricFamily(
            "portrait_release_switches", "Changes of which release serves whom.", rollout.switches
        )


class _Catalogues(Collector):
    """Reads the engines' catalogues when it is asked."""

    def __init__(self, registry: EngineRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """Items of each catalogue that has any, and how many of them every request looks at."""
        labels = ["release", "catalogue"]
        items = GaugeMetricFamily("portrait_catalogue_items", "Items that can be shown.", labels=labels)
        added = GaugeMetricFamily(
            "portrait_catalogue_unindexed_items", "Of these, not in the release's index.", labels=labels
        )
        for release, engine in tuple(self._registry.engines.items()):
            snapshots = engine.snapshots.by_name
            # A name that callers have made up must not stay for ever.
            for name, snapshot in ((name, snapshot) for name, snapshot in snapshots.items() if snapshot.items):
                items.add_metric([str(release), name], snapshot.items)
                added.add_metric([str(release), name], snapshot.added)
        yield from (items, added)


class _Engines(Collector):
    """Reads the engines when it is asked."""

    def __init__(self, registry: EngineRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """Batches and rows that models ran, what waits for them, answers without them, and known texts."""
        batches = CounterMetricFamily("portrait_model_batches", "Batches that a model ran.", labels=["model"])
        rows = CounterMetricFamily("portrait_model_rows", "Texts, histories, rankings in them.", labels=["model"])
        places = CounterMetricFamily(
            "portrait_model_padded_units", "Tokens, events, candidates in them, padding included.", labels=["model"]
        )
        filled = CounterMetricFamily("portrait_model_units", "The same without padding.", labels=["model"])
        unanswered = GaugeMetricFamily("portrait_model_pending_rows", "Rows that wait or run.", labels=["model"])
        degraded = CounterMetricFamily("portrait_degraded_responses", "Answers without the models.", labels=["cause"])
        engines, counts = tuple(self._registry.engines.values()), self._registry.counts()
        for model in (*MODELS, TRAIT_HEADS):
            batches.add_metric([model], counts["batches", model])
            rows.add_metric([model], counts["rows", model])
            places.add_metric([model], counts["padded_units", model])
            filled.add_metric([model], counts["units", model])
            held = [engine.batchers[model] for engine in engines if model in engine.batchers]
            unanswered.add_metric([model], sum(batcher.pending for batcher in held))
        for cause in Cause:
            degraded.add_metric([cause], counts["degraded", cause])
        yield from (batches, rows, places, filled, unanswered, degraded)
        name = "portrait_text_cache"
        yield CounterMetricFamily(f"{name}_hits", "Texts whose embedding was known.", counts["texts", "known"])
        yield CounterMetricFamily(f"{name}_misses", "Texts that were encoded.", counts["texts", "encoded"])
        size = sum(engine.texts.cache.bytes for engine in engines)
        yield GaugeMetricFamily(f"{name}_bytes", "Memory of known embeddings, of all releases.", size)


class _Gates(Collector):
    """Reads the gates when it is asked."""

    def __init__(self, gates: Mapping[Workload, Gate]) -> None:
        self._gates = gates

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """Limit, what is under way, and what was let in and refused since the start."""
        name = "portrait_admission"
        limit = GaugeMetricFamily(f"{name}_limit_units", "Units of work that may be under way.", labels=["workload"])
        under_way = GaugeMetricFamily(f"{name}_running_units", "Units of work under way.", labels=["workload"])
        admitted = CounterMetricFamily(f"{name}_admitted", "Calls that were let in.", labels=["workload", "priority"])
        refused = CounterMetricFamily(
            f"{name}_refused", "Calls that were refused.", labels=["workload", "priority", "reason"]
        )
        units = CounterMetricFamily(f"{name}_units", "Units of calls that have ended.", labels=["workload", "priority"])
        for kind, gate in self._gates.items():
            limit.add_metric([kind], gate.limit)
            under_way.add_metric([kind], gate.under_way)
            for priority, count in tuple(gate.admitted.items()):
                admitted.add_metric([kind, priority], count)
            for (priority, reason), count in tuple(gate.refused.items()):
                refused.add_metric([kind, priority, reason], count)
            for priority, count in gate.units.items():
                units.add_metric([kind, priority], count)
        yield from (limit, under_way, admitted, refused, units)
