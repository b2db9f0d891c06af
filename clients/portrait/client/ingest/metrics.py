"""Prometheus metrics of an ingestion."""

from collections.abc import Iterator

from prometheus_client import REGISTRY, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from portrait.client.ingest.runner import Ingestion


class IngestCollector(Collector):
    """Reads an ingestion at every scrape."""

    def __init__(self, ingestion: Ingestion) -> None:
        self._ingestion = ingestion
        self.lag = 0
        """Messages that were not acknowledged when somebody last looked."""

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """Count the messages by outcome, and tell the lag."""
        counts = self._ingestion.counts
        messages = CounterMetricFamily(
            "portrait_ingest_messages", "Messages of the stream that are done with.", labels=["outcome"]
        )
        for outcome in ("accepted", "duplicates", "dead", "forgotten", "expired"):
            messages.add_metric([outcome], getattr(counts, outcome))
        yield messages
        yield CounterMetricFamily(
            "portrait_ingest_called_off_purchases",
            "Purchases that their messages say were called off, and that count as purchases.",
            counts.called_off,
        )
        yield GaugeMetricFamily(
            "portrait_ingest_lag_messages", "Messages of the stream that are not done with yet.", self.lag
        )


def serve_metrics(ingestion: Ingestion, port: int) -> IngestCollector:
    """Serve the metrics of an ingestion, and of the process, on a port of 127.0.0.1.

    Raises:
        OSError: the port is taken.
    """
    collector = IngestCollector(ingestion)
    REGISTRY.register(collector)
    start_http_server(port, addr="127.0.0.1")
    return collector
