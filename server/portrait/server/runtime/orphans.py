"""Orphans: processes whose parent died. The kernel makes this process their parent, and only a parent can reap them.

After Triton is killed, its model processes are orphans. In a container without an init process, every process whose
parent has ended is one.
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
"""Option of `prctl` (Linux) that makes this process the parent of its orphaned descendants."""


async def run_reaping_orphans(work: Coroutine[Any, Any, None]) -> None:
    """Run work, and adopt and reap orphans meanwhile."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
    reaping = asyncio.create_task(_reap_all(), name="orphans")
    try:
        await work
    finally:
        reaping.cancel()


async def _reap_all() -> None:
    """Reap ended orphans until cancelled.

    The event loop reaps its own children as soon as they end, so a child that is dead in two polls in a row is an
    orphan.
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
    """List the ids of this process's children that have ended and were not reaped (zombies)."""
    children: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):  # the thread has just ended
            children.update(map(int, (task / "children").read_text(encoding="ascii").split()))
    return {child for child in children if _has_ended(child)}


def _has_ended(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return stat.rpartition(b")")[2].split()[0] == b"Z"
