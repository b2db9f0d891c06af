"""CPU time of a process and its descendants, by what they are."""

import os
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

_MILLISECONDS_PER_TICK = 1000.0 / os.sysconf("SC_CLK_TCK")

GATEWAY, TRITON, GRAPHS, TEXT_ENCODER = "gateway", "Triton", "graphs", "text encoder"


def name_process(command: str) -> str:
    """Name a process of a gateway by its command line: the gateway, Triton, or what runs the graphs."""
    if "tritonserver" in command:
        return TRITON
    if "text_encoder" in command:
        return TEXT_ENCODER
    return GRAPHS if "profile_encoder" in command or "ranker" in command else GATEWAY


class CpuMeter:
    """Measures the CPU time from its creation on, of processes that exist then.

    Args:
        pid: process whose tree is measured.
        name: names a process by its command line; what has one name is added up.
    """

    def __init__(self, pid: int, name: Callable[[str], str]) -> None:
        self._names = {each: name(_read_command(each)) for each in list_tree(pid)}
        self._before = {each: read_milliseconds(each) for each in self._names}

    def read(self) -> dict[str, float]:
        """Read the milliseconds since, by name."""
        used: defaultdict[str, float] = defaultdict(float)
        for pid, before in self._before.items():
            used[self._names[pid]] += read_milliseconds(pid) - before
        return dict(used)


def list_tree(pid: int) -> list[int]:
    """List a process and its descendants."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    children = [int(child) for task in tasks for child in (task / "children").read_text(encoding="ascii").split()]
    return [pid, *(each for child in children for each in list_tree(child))]


def _read_command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8").replace("\0", " ")


def read_milliseconds(pid: int) -> float:
    """The CPU time of a process so far."""
    # Behind the name, which may have spaces: fields 14 and 15 are the times in user and in kernel mode.
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _MILLISECONDS_PER_TICK
