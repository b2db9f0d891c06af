"""The processes of a gateway with several, as `portrait serve --processes N` starts them."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from support.gateway import RunningGateway

T = TypeVar("T")


def list_processes(served: RunningGateway) -> list[int]:
    """Ids of the gateway processes."""
    return _list_children(served, "portrait.server.worker")


def find_triton(served: RunningGateway, repository: Path) -> int:
    """Process id of the Triton that the gateway started for a repository."""
    [triton] = _list_children(served, f"--model-repository={repository}\0")
    return triton


def count_connections(pid: int, port: int) -> int:
    """Connections that a process has at a port."""
    tables = (Path(f"/proc/{pid}/net/{table}").read_text(encoding="utf-8") for table in ("tcp", "tcp6"))
    rows = [line.split() for table in tables for line in table.splitlines()[1:]]
    established = {row[9] for row in rows if row[3] == "01" and int(row[1].rpartition(":")[2], 16) == port}
    held = set()
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            held.add(os.readlink(file))
    return sum(f"socket:[{inode}]" in held for inode in established)


def open_for_each(served: RunningGateway, open_one: Callable[[], T]) -> dict[int, T]:
    """Open connections until each process has one: the kernel chooses which process gets it.

    Args:
        served: the gateway.
        open_one: opens a connection of its own, and waits until it is there.

    Returns:
        one for each process, by its id.
    """
    port = int(served.address.rpartition(":")[2])
    opened: dict[int, T] = {}
    while len(opened) < len(list_processes(served)):
        before = {pid: count_connections(pid, port) for pid in list_processes(served)}
        one = open_one()
        reached = [pid for pid, count in before.items() if count_connections(pid, port) > count]
        if len(reached) == 1:
            opened.setdefault(reached[0], one)
    return opened


def _list_children(served: RunningGateway, words: str) -> list[int]:
    """Ids of the processes that a gateway has started, by words of their command."""
    pid = served.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()
    return [int(each) for each in children if words in Path(f"/proc/{each}/cmdline").read_text(encoding="utf-8")]
