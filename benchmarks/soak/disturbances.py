"""The disturbances of a soak: releases in turn, and in the first half Triton and its models killed."""

import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.common.faults.faults import kill_stub, kill_triton
from benchmarks.common.faults.gateway import GatewayUnderTest
from benchmarks.common.gateway import run_release_command

KILLING = 0.45
"""Share of the run with kills. A Triton lives through the rest, so that its memory can be judged."""
_KILLS = {"Triton killed": kill_triton, "model process killed": kill_stub}
SWAP, FAILED_SWAP = "releases swapped", "swaps that failed"


@dataclass
class Disturbances:
    """The disturbances so far."""

    done: Counter[str] = field(default_factory=Counter)
    kill_times: list[float] = field(default_factory=list)
    """`time.monotonic()`."""

    def run(
        self, harmed: GatewayUnderTest, repository: Path, releases: Sequence[int], seconds: float, interval: float
    ) -> None:
        """Disturb for so many seconds: a swap in each interval and, at first, a kill in the middle of each third.

        Three releases in turn: one is loaded and another one unloaded at each swap.
        """
        rng, began = random.Random(1), time.monotonic()
        for number in range(1, int(seconds / interval)):
            if time.monotonic() > began + seconds - interval:  # slow swaps: the run is over, whatever is left to do
                break
            _sleep_until(began + number * interval)
            self._swap(harmed, repository, releases[number % len(releases)])
            if number % 3 == 1 and number * interval < KILLING * seconds:
                _sleep_until(began + (number + 0.5) * interval)
                self._kill(harmed, rng, list(_KILLS)[number // 3 % len(_KILLS)])
        _sleep_until(began + seconds)

    def _swap(self, harmed: GatewayUnderTest, repository: Path, release: int) -> None:
        try:
            run_release_command(harmed.metrics_url, repository, "promote", str(release))
        except subprocess.CalledProcessError:
            self.done[FAILED_SWAP] += 1
        else:
            self.done[SWAP] += 1
        _tell(SWAP, release=release)

    def _kill(self, harmed: GatewayUnderTest, rng: random.Random, name: str) -> None:
        self.kill_times.append(time.monotonic())
        if _KILLS[name](harmed, rng) is not None:
            self.done[name] += 1
        _tell(name)


def _tell(done: str, **details: int) -> None:
    sys.stderr.write(json.dumps({"done": done, **details, "time": datetime.now(UTC).isoformat("T", "seconds")}) + "\n")


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))
