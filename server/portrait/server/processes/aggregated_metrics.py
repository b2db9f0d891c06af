"""The metrics of several processes, merged into one."""

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
from portrait.server.rollout.gateway_status import CANARY, DELAYED, LOADED, PERCENT, REFUSED, SERVING
from portrait.server.runtime.direct_http import open_url

_MERGED_BY_MAX = {
    LOADED, REFUSED, DELAYED, "portrait_traffic_file_invalid", "portrait_file_invalid", "portrait_catalogue_items",
    "portrait_catalogue_unindexed_items",
    "portrait_audience_table_shoppers", "portrait_audience_table_oldest_timestamp_seconds",
    "process_start_time_seconds", "process_max_fds", "portrait_build_info", "portrait_state_bytes",
    "portrait_state_disk_free_bytes", "portrait_triton_up", "portrait_tls_certificate_expiry_timestamp_seconds",
}  # fmt: skip
"""Gauges whose sum means nothing: the largest value is shown."""
_MERGED_IF_EQUAL = {SERVING, CANARY, PERCENT}
"""Gauges for which the largest means nothing either: the value is shown if all processes have the same, else 0."""
_TIMEOUT_SECONDS = 2.0

_Labels = tuple[tuple[str, str], ...]
_Samples = dict[tuple[str, _Labels], float]
_Process = tuple[int, str]
"""Process id and URL of the metrics: the system may reuse either of them, but not both."""


class AggregatedMetrics(Collector):
    """Reads the metrics of each process at every scrape, and shows their sums.

    The last known counts of a process that has ended, or does not answer, stay in the sums: a counter never falls.

    Args:
        urls: returns the URL of the metrics of each process, by process id.
        errors: counts responses that are no metrics; such a process is skipped.
        own: counters of this process, which are part of the sums.
    """

    def __init__(
        self, urls: Callable[[], Mapping[int, str]], errors: CollectorErrors, own: Iterable[Collector] = ()
    ) -> None:
        self._urls, self._errors, self._own = urls, errors, tuple(own)
        self._lock = threading.Lock()
        self._counted: dict[_Process, dict[str, Metric]] = {}
        """The counters and histograms that each process showed last, by name."""

    def collect(self) -> Iterator[Metric]:
        """Yield the sums."""
        seen = self._read_all()
        seen[os.getpid(), ""] = [family for collector in self._own for family in collector.collect()]
        # Several scrapes may run at the same time.
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
            merge = _MERGES.get(family.name, operator.add)
            _add(samples.setdefault(family.name, {}), _values(family), merge)
        for name, metric in sums.items():
            for (sample, labels), value in samples[name].items():
                metric.add_sample(sample, dict(labels), value)
        return [*sums.values()]


def _is_count(family: Metric) -> bool:
    return family.type in ("counter", "histogram")


def _values(family: Metric) -> _Samples:
    """Return the values by sample name and labels, without the creation times of metrics."""
    return {
        (each.name, tuple(sorted(each.labels.items()))): each.value
        for each in family.samples
        if not each.name.endswith("_created")
    }


def _add(sums: _Samples, values: _Samples, merge: Callable[[float, float], float]) -> None:
    for key, value in values.items():
        sums[key] = merge(sums[key], value) if key in sums else value


def _equal_or_zero(first: float, second: float) -> float:
    return first if first == second else 0.0


_MERGES: dict[str, Callable[[float, float], float]] = {
    **dict.fromkeys(_MERGED_BY_MAX, max),
    **dict.fromkeys(_MERGED_IF_EQUAL, _equal_or_zero),
}


def _read(url: str) -> list[Metric] | None:
    """Read the metrics of one process, without their creation times; None if the process has just died."""
    try:
        with open_url(url, _TIMEOUT_SECONDS) as response:
            text = response.read().decode()
    except HTTPError:
        raise
    except (OSError, HTTPException):
        return None
    return [family for family in text_string_to_metric_families(text) if not family.name.endswith("_created")]
