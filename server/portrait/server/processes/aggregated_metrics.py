"""Metrics of several processes as one."""

import operator
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from http.client import HTTPException
from urllib.error import HTTPError

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from portrait.server.metrics.guarded_registry import CollectorErrors
from portrait.server.rollout.gateway_status import CANARY, LOADED, PERCENT, REFUSED, SERVING
from portrait.server.runtime.direct_http import open_url

_LARGEST = {
    LOADED, REFUSED, "portrait_traffic_file_invalid", "portrait_catalogue_items", "portrait_catalogue_unindexed_items",
    "portrait_shopper_table_shoppers", "portrait_shopper_table_oldest_timestamp_seconds",
    "process_start_time_seconds", "process_max_fds",
}  # fmt: skip
"""What has no sum: the largest is shown."""
_AGREED = {SERVING, CANARY, PERCENT}
"""What has neither: it is shown while all processes say the same, else 0."""
_SECONDS = 2.0

_Labels = tuple[tuple[str, str], ...]
_Samples = dict[tuple[str, _Labels], float]
_Process = tuple[int, str]
"""Process id and address of the metrics: the system gives either again, but not both."""


class AggregatedMetrics(Collector):
    """Asks each process for its metrics when it is asked, and shows the sums.

    What a process had counted that is gone, or can't say it now, stays in the sums as far as it was seen: a counter
    never falls.

    Args:
        urls: of the metrics of each process, by process id.
        errors: count the answers that are no metrics; the process is passed over.
        own: counters of this process, which are in the sums.
    """

    def __init__(
        self, urls: Callable[[], Mapping[int, str]], errors: CollectorErrors, own: Iterable[Collector] = ()
    ) -> None:
        self._urls, self._errors, self._own = urls, errors, tuple(own)
        self._lock = threading.Lock()
        self._counted: dict[_Process, dict[str, Metric]] = {}
        """What each process last showed of each counter and histogram, by name."""

    def collect(self) -> Iterator[Metric]:
        """The sums now."""
        seen = self._read_all()
        seen[os.getpid(), ""] = [family for collector in self._own for family in collector.collect()]
        # Several may ask at one time.
        with self._lock:
            metrics = self._sum(seen)
        yield from metrics

    def _read_all(self) -> dict[_Process, list[Metric]]:
        """The metrics of each process that answers."""
        seen: dict[_Process, list[Metric]] = {}
        failure = None
        for pid, url in self._urls().items():
            try:
                families = _read(url)
            except Exception as error:  # the parser fails in many ways on what is no text of metrics
                failure = error
                continue
            if families is not None:
                seen[pid, url] = families
        if failure is None:
            self._errors.clear("process")
        else:
            self._errors.add("process", failure)
        return seen

    def _sum(self, seen: Mapping[_Process, list[Metric]]) -> list[Metric]:
        families = [family for shown in seen.values() for family in shown if not _is_count(family)]
        for process, shown in seen.items():
            self._counted.setdefault(process, {}).update({each.name: each for each in shown if _is_count(each)})
        families += [family for counted in self._counted.values() for family in counted.values()]
        sums: dict[str, Metric] = {}
        samples: dict[str, _Samples] = {}
        for family in families:
            sums.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            join = _JOINS.get(family.name, operator.add)
            _add(samples.setdefault(family.name, {}), _values(family), join)
        for name, metric in sums.items():
            for (sample, labels), value in samples[name].items():
                metric.add_sample(sample, dict(labels), value)
        return [*sums.values()]


def _is_count(family: Metric) -> bool:
    return family.type in ("counter", "histogram")


def _values(family: Metric) -> _Samples:
    """Values by sample and labels; times at which a metric was made are left out."""
    return {
        (each.name, tuple(sorted(each.labels.items()))): each.value
        for each in family.samples
        if not each.name.endswith("_created")
    }


def _add(sums: _Samples, values: _Samples, join: Callable[[float, float], float]) -> None:
    for key, value in values.items():
        sums[key] = join(sums[key], value) if key in sums else value


def _agreed(first: float, second: float) -> float:
    return first if first == second else 0.0


_JOINS: dict[str, Callable[[float, float], float]] = {
    **dict.fromkeys(_LARGEST, max),
    **dict.fromkeys(_AGREED, _agreed),
}


def _read(url: str) -> list[Metric] | None:
    """The metrics of one process; None of one that has just died. Times at which metrics were made are left out."""
    try:
        with open_url(url, _SECONDS) as answer:
            text = answer.read().decode()
    except HTTPError:
        raise
    except (OSError, HTTPException):
        return None
    return [family for family in text_string_to_metric_families(text) if not family.name.endswith("_created")]
