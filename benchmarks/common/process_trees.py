"""A command with all processes that it starts: time, CPU time and memory of the whole tree."""

import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
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
    used, _ = run_tree([str(Path(sys.executable).parent / "portrait"), *arguments], environment)
    return used


def run_tree(command: Sequence[str], environment: Mapping[str, str]) -> tuple[UsedByTree, dict[int, float]]:
    """Run a command and watch its processes.

    Returns:
        What they used together, and by process id the GiB that each had for itself (anonymous pages), at their highest.

    Raises:
        BenchmarkError: the command failed.
    """
    begun = time.perf_counter()
    process = subprocess.Popen(command, env=dict(environment))
    watch = _Watch(process.pid)
    code = process.wait()
    seconds = time.perf_counter() - begun
    watch.stop()
    if code:
        raise BenchmarkError(f"`{' '.join(command)}` ended with exit code {code}")
    used = UsedByTree(round(seconds, 1), round(watch.cpu_seconds, 1), round(watch.peak_kib / 2**20, 2))
    return used, {pid: round(kib / 2**20, 2) for pid, kib in watch.own_kib.items()}


class _Watch:
    """Looks at a tree of processes now and then."""

    def __init__(self, pid: int) -> None:
        self.peak_kib = 0
        self.own_kib: defaultdict[int, int] = defaultdict(int)
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
                    proportional, own = _read_kib(pid)
                    held += proportional
                    self.own_kib[pid] = max(self.own_kib[pid], own)
                    self._milliseconds[pid] = read_milliseconds(pid)
                except OSError:
                    continue
            self.peak_kib = max(self.peak_kib, held)


def _read_kib(pid: int) -> tuple[int, int]:
    """Read the proportional set size of a process, and its anonymous pages."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    sizes = {name: int(size.split()[0]) for name, _, size in (line.partition(":") for line in lines[1:])}
    return sizes.get("Pss", 0), sizes.get("Anonymous", 0)
