"""A `portrait` command in a process of its own, with what it used; and free ports for servers."""

import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.common.errors import BenchmarkError

_KIB_PER_UNIT = 1 / 1024 if sys.platform == "darwin" else 1
"""Linux counts the peak of memory in KiB, macOS in bytes."""


@dataclass(frozen=True)
class Used:
    """Resources that a process took."""

    seconds: float
    cpu_seconds: float
    peak_gib: float
    """Resident memory at its highest."""


def run_portrait(*arguments: str) -> Used:
    """Run a command of `portrait` and measure it; its output goes to this process's.

    Raises:
        BenchmarkError: the command failed.
    """
    program = Path(sys.executable).parent / "portrait"
    begun = time.perf_counter()
    process = subprocess.Popen([program, *arguments])
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise BenchmarkError(f"`portrait {' '.join(arguments)}` ended with exit code {process.returncode}")
    return Used(
        round(time.perf_counter() - begun, 1),
        round(usage.ru_utime + usage.ru_stime, 1),
        round(usage.ru_maxrss * _KIB_PER_UNIT / 2**20, 2),
    )


def find_free_port() -> int:
    """Find a port of 127.0.0.1 that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])
