"""Prometheus metrics of the gateway, and the HTTP endpoint that shows them."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from portrait.server.admission.costs import Kind
from portrait.server.admission.gate import Gate
from portrait.server.engine import Engine
from portrait.server.fallback import Cause

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The metrics of one gateway, in a registry of its own, so that a process can hold several."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.rpcs = Counter("portrait_rpcs", "Calls that ended.", ["method", "code"], registry=self.registry)
        self.rpc_seconds = Histogram(
            "portrait_rpc_seconds",
            "How long calls took.",
            ["method"],
            buckets=_SECONDS,
            registry=self.registry,
        )

    def watch(self, engine: Engine) -> None:
        """Show what the engine counts."""
        release = Gauge("portrait_release", "The release that is served.", registry=self.registry)
        release.set(engine.release.number)
        texts = engine.texts.cache
        hits = Gauge("portrait_text_cache_hits", "Texts whose embedding was known.", registry=self.registry)
        hits.set_function(lambda: texts.hits)
        misses = Gauge("portrait_text_cache_misses", "Texts that were encoded.", registry=self.registry)
        misses.set_function(lambda: texts.misses)
        size = Gauge("portrait_text_cache_bytes", "Memory of known embeddings.", registry=self.registry)
        size.set_function(lambda: texts.bytes)
        self.registry.register(_Models(engine))
        degraded = Gauge("portrait_degraded_answers", "Answers without the models.", ["cause"], registry=self.registry)
        for cause in Cause:
            degraded.labels(cause).set_function(partial(engine.fallback.answers.__getitem__, cause))

    def watch_gates(self, gates: Mapping[Kind, Gate]) -> None:
        """Show what the gates let in and refuse."""
        self.registry.register(_Gates(gates))

    def serve(self, host: str, port: int) -> tuple[int, Callable[[], None]]:
        """Show the metrics at `http://host:port/metrics`, from a thread of its own.

        Returns:
            the port, and what ends it.

        Raises:
            OSError: the port is taken.
        """
        server, thread = start_http_server(port, addr=host, registry=self.registry)

        def stop() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        return server.server_port, stop


class _Models(Collector):
    """Reads the batchers when it is asked."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """Batches and rows that models ran, and what waits for them."""
        batches = CounterMetricFamily("portrait_model_batches", "Batches that a model ran.", labels=["model"])
        rows = CounterMetricFamily("portrait_model_rows", "Texts, histories, rankings in them.", labels=["model"])
        unanswered = GaugeMetricFamily("portrait_unanswered", "Rows that wait or run.", labels=["model"])
        for model, batcher in self._engine.batchers.items():
            batches.add_metric([model], batcher.batches)
            rows.add_metric([model], batcher.items)
            unanswered.add_metric([model], batcher.unanswered)
        yield from (batches, rows, unanswered)


class _Gates(Collector):
    """Reads the gates when it is asked."""

    def __init__(self, gates: Mapping[Kind, Gate]) -> None:
        self._gates = gates

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """Limit, what is under way, and what was let in and refused since the start."""
        name = "portrait_admission"
        limit = GaugeMetricFamily(f"{name}_limit", "Units of work that may be under way.", labels=["kind"])
        under_way = GaugeMetricFamily(f"{name}_under_way", "Units of work under way.", labels=["kind"])
        admitted = CounterMetricFamily(f"{name}_admitted", "Calls that were let in.", labels=["kind", "priority"])
        refused = CounterMetricFamily(
            f"{name}_refused", "Calls that were refused.", labels=["kind", "priority", "reason"]
        )
        for kind, gate in self._gates.items():
            limit.add_metric([kind], gate.limit)
            under_way.add_metric([kind], gate.under_way)
            for priority, count in gate.admitted.items():
                admitted.add_metric([kind, priority], count)
            for (priority, reason), count in gate.refused.items():
                refused.add_metric([kind, priority, reason], count)
        yield from (limit, under_way, admitted, refused)
