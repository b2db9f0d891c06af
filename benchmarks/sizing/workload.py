"""The shop that is sized, and the prices: assumptions, each an option of the command line."""

import argparse
from dataclasses import dataclass, field, fields
from typing import Any

from benchmarks.common.errors import BenchmarkError

_DAY_SECONDS = 86_400


def _assume(default: float, meaning: str) -> Any:
    return field(default=default, metadata={"meaning": meaning})


@dataclass(frozen=True)
class Workload:
    """The demands of the shop on Portrait, and the prices of its machines."""

    shoppers: int = _assume(100_000_000, "shoppers with events")
    items: int = _assume(10_000_000, "items of the catalogue")
    requests: int = _assume(50_000, "requests a second at the peak")
    profile_share: float = _assume(0.3, "share of them that ask for a profile")
    search_share: float = _assume(0.1, "share of them that are recommendations for a query; the rest has none")
    visit_requests: float = _assume(6.0, "requests of a visit, on average")
    gap_seconds: float = _assume(20.0, "seconds between two requests of a visit, on average")
    events_a_request: float = _assume(0.5, "chance that an event of the shopper follows a request")
    peak_to_mean: float = _assume(3.0, "the peak's rate over the mean rate of a month")
    retention_days: float = _assume(90.0, "days for which events are kept")
    changes: float = _assume(50.0, "items that are added, changed or removed, a second")
    queries: int = _assume(100_000_000, "different queries that shoppers may send")
    utilisation: float = _assume(0.6, "share of the processors that may be busy at the peak")
    fill: float = _assume(0.7, "share of Redis' memory that may be full")
    replicas: int = _assume(1, "copies of the state beside the first")
    master_gib: float = _assume(64.0, "memory of one Redis server that can still be copied to a new replica in minutes")
    core_hour: float = _assume(0.04, "price of a core for an hour")
    gib_hour: float = _assume(0.005, "price of a GiB of memory for an hour")

    @property
    def events_a_second(self) -> float:
        """Events of a second, on average over a month."""
        return self.requests * self.events_a_request / self.peak_to_mean

    @property
    def events_kept(self) -> float:
        """Events of all shoppers in the state."""
        return self.events_a_second * self.retention_days * _DAY_SECONDS


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add an option for each assumption."""
    for each in fields(Workload):
        name = f"--{each.name.replace('_', '-')}"
        parser.add_argument(
            name, type=_positive(each.type), default=each.default, help=f"{_meaning(each)} (%(default)s)"
        )


def read_options(options: argparse.Namespace) -> Workload:
    """Read the assumptions from parsed arguments.

    Raises:
        BenchmarkError: a share is above 1, or a visit has less than one request.
    """
    workload = Workload(**{each.name: getattr(options, each.name) for each in fields(Workload)})
    for name in ("events_a_request", "utilisation", "fill"):
        if getattr(workload, name) > 1.0:
            raise BenchmarkError(f"--{name.replace('_', '-')} is a share: at most 1")
    if workload.visit_requests < 1.0:
        raise BenchmarkError("--visit-requests is at least 1")
    if workload.profile_share + workload.search_share > 1.0:
        raise BenchmarkError("--profile-share and --search-share are shares of all requests: together at most 1")
    return workload


def list_assumptions(workload: Workload) -> list[tuple[str, float, str]]:
    """List option, value and meaning of each assumption."""
    return [
        (f"--{each.name.replace('_', '-')}", getattr(workload, each.name), _meaning(each)) for each in fields(workload)
    ]


def _meaning(each: Any) -> str:
    return str(each.metadata["meaning"])


def _positive(kind: Any) -> Any:
    def parse(text: str) -> float:
        value = float(text)
        if not 0.0 < value < float("inf") or (kind is int and value < 1.0):
            raise argparse.ArgumentTypeError(f"{text} is not above 0")
        return int(value) if kind is int else value

    return parse
