"""Processes whose parents died: the kernel hands them to this process, and only their new parent can reap them.

After a Triton that was killed these are its model processes. In a container without an init process it is every
process whose parent has ended.
"""

import asyncio
import contextlib
import ctypes
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

_POLL_SECONDS = 1.0
_PR_SET_CHILD_SUBREAPER = 36


async def run_reaping_orphans(work: Coroutine[Any, Any, None]) -> None:
    """Do some work, and adopt and reap orphans meanwhile."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
    reaping = asyncio.create_task(_reap_all(), name="orphans")
    try:
        await work
    finally:
        reaping.cancel()


async def _reap_all() -> None:
    """Reap what ended and nobody here waits for, until cancelled.

    The event loop reaps its own children as soon as they end, so a child that is dead at two looks in a row is none.
    """
    seen: set[int] = set()
    while True:
        await asyncio.sleep(_POLL_SECONDS)
        ended = _ended_children()
        for pid in ended & seen:
            _reap(pid)
        seen = ended


def _reap(pid: int) -> None:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _ended_children() -> set[int]:
    """Ids of this process's children that ended and were not reaped."""
    children: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):  # a thread that has just ended
            children.update(map(int, (task / "children").read_text(encoding="ascii").split()))
    return {child for child in children if _has_ended(child)}


def _has_ended(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return stat.rpartition(b")")[2].split()[0] == b"Z"
