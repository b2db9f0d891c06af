"""Processes that hang or die until the end of a block.

The kernel stops and ends a process some time after the signal: on a busy machine its other threads go on for so long
that they answer a call. So a block begins once none of them runs.
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SECONDS = 30.0
_STOPPED, _DEAD = "T", "ZX"
"""States of a thread, as the kernel names them."""


@contextmanager
def paused(*pids: int) -> Iterator[None]:
    """Let processes accept connections and answer nothing; one that is killed meanwhile is left alone."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        for pid in pids:
            _wait(pid, _STOPPED + _DEAD)
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


@contextmanager
def killed(pid: int) -> Iterator[None]:
    """Kill a process before the block; whoever looks after it may start another one."""
    os.kill(pid, signal.SIGKILL)
    _wait(pid, _DEAD)
    yield


def _wait(pid: int, states: str) -> None:
    """Wait until each thread of a process is in one of some states, or has ended."""
    until = time.monotonic() + _SECONDS
    while not all(_read_state(thread) in states for thread in _list_threads(pid)):
        assert time.monotonic() < until, f"a thread of process {pid} goes on"
        time.sleep(0.001)


def _list_threads(pid: int) -> list[Path]:
    """List the threads of a process; none once its parent has read that it is dead."""
    try:
        return list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return []


def _read_state(thread: Path) -> str:
    try:
        return (thread / "stat").read_text(encoding="utf-8").rpartition(") ")[2][0]
    except OSError:
        return _DEAD[0]
