"""The measured costs: read from the result files of other benchmarks, with their dates."""

import json
import math
import re
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks.common.errors import BenchmarkError
from benchmarks.common.results import RESULTS

PROCESSES = ("gateway", "Triton", "graphs", "text encoder")
_CORES = re.compile(r"(\d+) cores")
_PART = re.compile(r"(gateway|Triton|graphs|text encoder) ([\d.]+)")


@dataclass(frozen=True)
class CallCost:
    """Processor time of a cold call in ms, by process, in a catalogue of a size."""

    items: int
    by_process: Mapping[str, float]


class MeasuredCosts:
    """Costs from result files.

    Args:
        results: folder of the result files.
    """

    def __init__(self, results: Path = RESULTS) -> None:
        self._results = results

    def calls(self, kind: str) -> list[CallCost]:
        """Processor time of a cold call by the size of the catalogue, small ones first; kind is Recommend or search."""
        pattern = re.compile(rf"cold {kind}, ([\d,]+) items: CPU beside the text encoder")
        found = [
            CallCost(
                int(match[1].replace(",", "")), {name: float(ms) for name, ms in _PART.findall(row["compared_to"])}
            )
            for row in self._serving
            if (match := pattern.fullmatch(row["target"]))
        ]
        if len(found) < 2 or any(cost.by_process.keys() != set(PROCESSES) for cost in found):
            raise BenchmarkError(f"{self._results / 'serving.json'} lacks the processor time of cold {kind} calls")
        return sorted(found, key=lambda cost: cost.items)

    @property
    def profile_ms(self) -> float:
        """Time of a cold `GetProfile` of 50 events with its embedding, alone: the gateway computes no longer."""
        row = self._find_row("cold GetProfile with embedding: latency with 500 events")
        return float(row["value"]) / float(row["ratio"])

    @property
    def warm_ms(self) -> float:
        """Processor time that a cached answer takes at most: all cores over the rate, load generator included."""
        row = self._find_row("warm Recommend")
        return 1_000 * _cores(row["circumstances"]["machine"]) / float(row["value"])

    @property
    def gateway_mib_per_item(self) -> float:
        """Memory of a gateway with a million items, over the items: at most what an item takes."""
        row = self._find_row("catalogue: memory of the gateway, 1,000,000 items")
        return float(row["value"]) / 1_000_000

    @property
    def process_mib(self) -> float:
        """Memory of a gateway process with a small catalogue, under load."""
        row = self._find_row("overload: memory")
        return float(row["value"])

    @property
    def redis_ms(self) -> float:
        """Processor time of Redis for the state of one call."""
        return self._median("Redis", "recommend_redis_ms")

    @property
    def redis_gateway_ms(self) -> float:
        """Processor time that the gateway takes more of with Redis than with the file, for one call."""
        return self._median("Redis", "recommend_gateway_ms") - self._median("SQLite file", "recommend_gateway_ms")

    @property
    def record_ms(self) -> float:
        """Processor time of all parts to store an event in Redis, at most: all cores over the rate."""
        cores = _cores(self._shared_state["circumstances"]["machine"])
        return 1_000 * cores / self._median("Redis", "record_rate")

    @property
    def event_bytes(self) -> float:
        """Memory of an event in Redis."""
        return self._median("Redis", "bytes_an_event")

    @property
    def find_seconds(self) -> float:
        """The slowest audience among a million shoppers."""
        return max(float(answer["find_seconds"]) for answer in self._audiences["answers"]) / self._millions

    @property
    def table_mib(self) -> float:
        """The audience table of a million shoppers."""
        return float(self._audiences["table_mib"]) / self._millions

    @property
    def tabulated_per_second(self) -> float:
        """Shoppers whose row of the audience table is built in a second, on two cores."""
        return float(self._audiences["tabulated_per_second"])

    @property
    def prepare_seconds_per_event(self) -> float:
        """Time of `portrait prepare` by the largest log that was measured, over its events; two cores."""
        return self._largest_log["prepare"]["seconds"] / self._largest_log["events"]

    @property
    def train_seconds_per_event(self) -> float:
        """Time that `portrait train` takes for each event more, between the two largest logs; two cores."""
        *_, small, large = sorted(self._training["sizes"], key=lambda size: size["events"])
        return (large["train"]["seconds"] - small["train"]["seconds"]) / (large["events"] - small["events"])

    def list_sources(self) -> list[str]:
        """List the result files with date and machine."""
        cold = next(row for row in self._serving if row["benchmark"] == "cold")["circumstances"]
        where = {
            "serving": cold,
            "shared-state": self._shared_state["circumstances"],
            "audiences": self._audiences,
            "training-scale": self._training["circumstances"],
        }
        return [f"{name}: {each['date']}, {each['machine']}" for name, each in where.items()]

    def _find_row(self, target: str) -> dict[str, Any]:
        rows = [row for row in self._serving if row["target"] == target]
        if len(rows) != 1:
            raise BenchmarkError(f"{self._results / 'serving.json'} has {len(rows)} rows of {target!r}, not one")
        return rows[0]

    def _median(self, kind: str, name: str) -> float:
        return statistics.median(cost[name] for cost in self._shared_state["costs"] if cost["kind"] == kind)

    @property
    def _millions(self) -> float:
        return float(self._audiences["shoppers"]) / 1_000_000

    @property
    def _largest_log(self) -> Any:
        return max(self._training["sizes"], key=lambda size: size["events"])

    @cached_property
    def _serving(self) -> list[dict[str, Any]]:
        return list(self._read("serving"))

    @cached_property
    def _shared_state(self) -> Any:
        return self._read("shared-state")

    @cached_property
    def _audiences(self) -> Any:
        return self._read("audiences")

    @cached_property
    def _training(self) -> Any:
        return self._read("training-scale")

    def _read(self, name: str) -> Any:
        path = self._results / f"{name}.json"
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise BenchmarkError(f"{path} is missing: run the benchmark that writes it") from None


def _cores(machine: str) -> int:
    found = _CORES.search(machine)
    if found is None:
        raise BenchmarkError(f"{machine!r} names no number of cores")
    return int(found[1])


def extrapolate(costs: list[CallCost], items: int, process: str) -> float:
    """Extend the cost of a process to more items, in ms, by the power law through the two largest catalogues.

    Within what was measured, the cost is that of the smallest catalogue that has so many items.
    """
    for cost in costs:
        if items <= cost.items:
            return cost.by_process[process]
    small, large = costs[-2:]
    if not small.by_process[process]:
        return large.by_process[process]  # too little to be measured, and so is its growth
    growth = large.by_process[process] / small.by_process[process]
    return large.by_process[process] * growth ** math.log(items / large.items, large.items / small.items)
