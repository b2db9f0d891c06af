"""A command with all processes that it starts: time, CPU time and memory of the whole tree."""

import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.common.cpu_times import list_tree, read_milliseconds
from benchmarks.common.errors import BenchmarkError

_INTERVAL = 0.2
"""Seconds between two looks: what happens between them is not seen."""


@dataclass(frozen=True)
class UsedByTree:
    """Resources that a process and its descendants took."""

    seconds: float
    cpu_seconds: float
    peak_gib: float
    """Proportional set sizes, summed up, at their highest: pages that several processes share count once."""


def run_portrait_tree(*arguments: str, environment: Mapping[str, str]) -> UsedByTree:
    """Run a command of `portrait` and watch its processes.

    Raises:
        BenchmarkError: the command failed.
    """
    begun = time.perf_counter()
    process = subprocess.Popen([Path(sys.executable).parent / "portrait", *arguments], env=dict(environment))
    watch = _Watch(process.pid)
    code = process.wait()
    seconds = time.perf_counter() - begun
    watch.stop()
    if code:
        raise BenchmarkError(f"`portrait {' '.join(arguments)}` ended with exit code {code}")
    return UsedByTree(round(seconds, 1), round(watch.cpu_seconds, 1), round(watch.peak_kib / 2**20, 2))


class _Watch:
    """Looks at a tree of processes now and then."""

    def __init__(self, pid: int) -> None:
        self.peak_kib = 0
        self._pid = pid
        self._milliseconds: dict[int, float] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    @property
    def cpu_seconds(self) -> float:
        return sum(self._milliseconds.values()) / 1000

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopped.wait(_INTERVAL):
            held = 0
            try:
                tree = list_tree(self._pid)
            except OSError:  # one of them has ended
                continue
            for pid in tree:
                try:
                    held += _read_proportional_kib(pid)
                    self._milliseconds[pid] = read_milliseconds(pid)
                except OSError:
                    continue
            self.peak_kib = max(self.peak_kib, held)


def _read_proportional_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
