"""A registry of metrics whose collectors may fail: the other collectors are still shown."""

import traceback
from collections.abc import Iterable, Iterator

import structlog
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

_log = structlog.get_logger(__name__)


class CollectorErrors:
    """Counts failures of collectors, and logs the first failure of a collector and its recovery."""

    def __init__(self) -> None:
        self.counter = Counter(
            "portrait_collector_errors",
            "Times that a collector of metrics failed, so that its metrics were left out.",
            ["collector"],
            registry=None,
        )
        self._failing: set[str] = set()

    def add(self, collector: str, error: Exception) -> None:
        """Count a failure, without logging the text of the error, which may quote what a shopper typed."""
        self.counter.labels(collector).inc()
        if collector not in self._failing:
            self._failing.add(collector)
            [*_, frame] = traceback.extract_tb(error.__traceback__)
            where = f"{frame.filename}:{frame.lineno} {frame.name}"
            _log.error("collector_failed", collector=collector, error=type(error).__name__, where=where)

    def clear(self, collector: str) -> None:
        """Record that a collector works."""
        if collector in self._failing:
            self._failing.discard(collector)
            _log.info("collector_recovered", collector=collector)


class GuardedRegistry(CollectorRegistry):
    """A registry that shows the families before a failure of a collector, and all other collectors."""

    def __init__(self) -> None:
        super().__init__()
        self.errors = CollectorErrors()
        """The errors of its collectors; their counter is not registered."""

    def register(self, collector: Collector) -> None:
        """Add a collector that may fail."""
        super().register(_Guarded(collector, self.errors))


class _Guarded(Collector):
    """Wraps a collector, and leaves out the families that it fails to make."""

    def __init__(self, collector: Collector, errors: CollectorErrors) -> None:
        self._collector, self._errors = collector, errors
        self._name = type(collector).__name__.strip("_").removesuffix("Collector").lower()

    def describe(self) -> Iterable[Metric]:
        """Announce the collector's families, so that the registry refuses a second one with the same name."""
        announce = getattr(self._collector, "describe", None)
        return announce() if announce else ()

    def collect(self) -> Iterator[Metric]:
        """Yield the families before the first that fails."""
        try:
            for family in self._collector.collect():
                _check(family)
                yield family
        except Exception as error:
            self._errors.add(self._name, error)
        else:
            self._errors.clear(self._name)


def _check(family: Metric) -> None:
    """Raise ValueError or TypeError for a family that can't be written out."""
    for sample in family.samples:
        float(sample.value)
        "".join(sample.labels.values()).encode()
