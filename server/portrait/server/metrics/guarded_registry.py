"""A registry of metrics in which one collector that fails takes nothing away from the others."""

import traceback
from collections.abc import Iterable, Iterator

import structlog
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

_log = structlog.get_logger(__name__)


class CollectorErrors:
    """Counts the failures of collectors, and logs when one begins to fail and when it works again."""

    def __init__(self) -> None:
        self.counter = Counter(
            "portrait_collector_errors",
            "Times that a collector of metrics failed; what it shows was left out.",
            ["collector"],
            registry=None,
        )
        self._failing: set[str] = set()

    def add(self, collector: str, error: Exception) -> None:
        """Count a failure. The text of the error is not logged: it may quote what a shopper typed."""
        self.counter.labels(collector).inc()
        if collector not in self._failing:
            self._failing.add(collector)
            [*_, frame] = traceback.extract_tb(error.__traceback__)
            where = f"{frame.filename}:{frame.lineno} {frame.name}"
            _log.error("collector_failed", collector=collector, error=type(error).__name__, where=where)

    def clear(self, collector: str) -> None:
        """Note that a collector works."""
        if collector in self._failing:
            self._failing.discard(collector)
            _log.info("collector_recovered", collector=collector)


class GuardedRegistry(CollectorRegistry):
    """A registry whose collectors may fail: the families before the failure, and all other collectors, are shown."""

    def __init__(self) -> None:
        super().__init__()
        self.errors = CollectorErrors()
        """Of its collectors; the counter is not registered."""

    def register(self, collector: Collector) -> None:
        """Add a collector, guarded."""
        super().register(_Guarded(collector, self.errors))


class _Guarded(Collector):
    """Asks a collector, and leaves out what it can't say."""

    def __init__(self, collector: Collector, errors: CollectorErrors) -> None:
        self._collector, self._errors = collector, errors
        self._name = type(collector).__name__.strip("_").lower()

    def describe(self) -> Iterable[Metric]:
        """The families that the collector announces, so that two with one name are refused."""
        announce = getattr(self._collector, "describe", None)
        return announce() if announce else ()

    def collect(self) -> Iterator[Metric]:
        """The families up to the first that fails."""
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
