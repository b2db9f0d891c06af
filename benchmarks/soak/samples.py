"""Samples of what a gateway holds: memory, open files and threads of each process, and the sizes of its files."""

import contextlib
import os
import re
import sqlite3
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.common.cpu_times import read_milliseconds
from benchmarks.common.faults.gateway import GatewayUnderTest

SUPERVISOR, WORKER, TRITON, MODELS = "supervisor", "gateway process", "Triton", "model processes"
MEMORY, OWN_MEMORY, FILES, THREADS = "memory", "memory of its own", "open files", "threads"
STATE, WAL, STORED = "state file", "write-ahead log", "rows that are kept"
RESTARTED = (TRITON, MODELS)
"""Processes that a kill of Triton ends."""
_KIB = re.compile(r"^(VmRSS|RssAnon|Threads):\s+(\d+)", re.MULTILINE)
_EXPIRING_TABLE = "events"
_STORED_BYTES = """
SELECT coalesce(sum(pgsize - unused), 0) FROM dbstat
WHERE name NOT IN (SELECT name FROM sqlite_schema WHERE tbl_name = ?)
"""


@dataclass(frozen=True)
class Sample:
    """The sizes and counts at one moment."""

    time: float
    """`time.monotonic()`."""
    values: dict[str, float]
    """By series: bytes, or a count."""


class Sampler:
    """Samples a gateway from a thread of its own until `stop`.

    Args:
        harmed: the gateway.
        interval: seconds between two samples.
    """

    def __init__(self, harmed: GatewayUnderTest, interval: float) -> None:
        self.samples: list[Sample] = []
        self.cpu_seconds: defaultdict[str, float] = defaultdict(float)
        """Processor time by process, as far as samples saw it."""
        self.loads: list[float] = []
        """Load average of the machine, with whatever else ran there."""
        self._harmed, self._interval = harmed, interval
        self._milliseconds: dict[int, float] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        """Stop, and wait for the last sample."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(self._interval):
            values: defaultdict[str, float] = defaultdict(float)
            for pid, role in self._name_processes():
                for name, value in self._read_process(pid, role):
                    values[f"{role}: {name}"] += value
            with contextlib.suppress(sqlite3.OperationalError):  # locked: the next sample will do
                values.update(read_files(self._harmed.state))
            self.loads.append(os.getloadavg()[0])
            self.samples.append(Sample(time.monotonic(), dict(values)))

    def _name_processes(self) -> Iterator[tuple[int, str]]:
        harmed = self._harmed
        yield harmed.process.pid, SUPERVISOR
        for number, pid in enumerate(harmed.workers(), start=1):
            yield pid, f"{WORKER} {number}"
        if (triton := harmed.triton()) is not None:
            yield triton, TRITON
        yield from ((pid, MODELS) for pid in harmed.stubs())

    def _read_process(self, pid: int, role: str) -> list[tuple[str, float]]:
        """Read what a process holds; nothing if it has ended."""
        try:
            found = dict(_KIB.findall(Path(f"/proc/{pid}/status").read_text(encoding="utf-8")))
            files = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
            milliseconds = read_milliseconds(pid)
        except OSError:
            return []
        if "VmRSS" not in found:  # it ends just now
            return []
        self.cpu_seconds[role] += (milliseconds - self._milliseconds.get(pid, 0.0)) / 1000
        self._milliseconds[pid] = milliseconds
        return [
            (MEMORY, 1024.0 * int(found["VmRSS"])),
            (OWN_MEMORY, 1024.0 * int(found["RssAnon"])),
            (FILES, float(files)),
            (THREADS, float(found["Threads"])),
        ]


def read_files(state: Path) -> dict[str, float]:
    """Read the sizes of a state file and its log, and how much of it nothing deletes: all but the events' tables."""
    connection = sqlite3.connect(f"file:{state}?mode=ro", uri=True)
    try:
        [[stored]] = connection.execute(_STORED_BYTES, (_EXPIRING_TABLE,)).fetchall()
    finally:
        connection.close()
    sizes = {name: Path(f"{state}{suffix}") for name, suffix in ((STATE, ""), (WAL, "-wal"))}
    return {name: float(path.stat().st_size) if path.exists() else 0.0 for name, path in sizes.items()} | {
        STORED: float(stored)
    }
