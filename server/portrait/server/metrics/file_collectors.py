"""Collectors of the metrics of files: the state file, files of the operator that are followed, the certificate."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from portrait.server.runtime.live_file import LiveFile


class Certificates(Protocol):
    """The certificate of the port."""

    @property
    def expires_at(self) -> float | None:
        """Seconds since 1970; None if it can't be told."""
        ...


class StateCollector(Collector):
    """Looks at the state file at every scrape.

    Args:
        state: the file.
    """

    def __init__(self, state: Path) -> None:
        self._state = state

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Tell the size of the file with its write-ahead log, and the room that is left for them."""
        sizes = (_size(self._state.with_name(self._state.name + end)) for end in ("", "-wal"))
        yield GaugeMetricFamily("portrait_state_bytes", "Size of the state file and its write-ahead log.", sum(sizes))
        free = shutil.disk_usage(self._state.parent).free
        yield GaugeMetricFamily("portrait_state_disk_free_bytes", "Free space of the disk of the state file.", free)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


class LiveFileCollector(Collector):
    """Tells of each file that is followed whether its latest content is in force.

    Args:
        files: the files.
    """

    def __init__(self, files: Sequence[LiveFile[Any]]) -> None:
        self._files = files

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """Count the contents that took effect since the start, and tell which files can't be used now."""
        reloads = CounterMetricFamily(
            "portrait_file_reloads", "Changes of a followed file that were read and took effect.", labels=["file"]
        )
        invalid = GaugeMetricFamily(
            "portrait_file_invalid", "1 if a followed file can't be used: what was in force stays.", labels=["file"]
        )
        for file in self._files:
            reloads.add_metric([file.name], file.changes)
            invalid.add_metric([file.name], file.failure is not None)
        yield reloads
        yield invalid


class CertificateCollector(Collector):
    """Reads the certificate of the port at every scrape."""

    def __init__(self, certificates: Certificates) -> None:
        self._certificates = certificates

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Tell when the certificate expires."""
        expires_at = self._certificates.expires_at
        if expires_at is not None:
            yield GaugeMetricFamily(
                "portrait_tls_certificate_expiry_timestamp_seconds",
                "Time at which the certificate of the port expires, in seconds since 1970.",
                expires_at,
            )
