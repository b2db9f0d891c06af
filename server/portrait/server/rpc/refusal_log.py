"""Log lines that say how many calls were refused: one a second and reason, however many they are."""

from collections import Counter
from collections.abc import Callable, Mapping

import structlog

from portrait.server.admission.costs import Workload
from portrait.server.admission.gate import Gate
from portrait.server.rpc.interceptors.open_calls import OpenCallLimits

POLL_SECONDS = 1.0
"""Between two looks."""

_log = structlog.get_logger(__name__)

Counts = Mapping[tuple[str, str], int]
"""Calls refused since the start, by the limit that they met and the reason."""


def count_refusals(gates: Mapping[Workload, Gate], rooms: OpenCallLimits) -> Counts:
    """Count the calls that gates and rooms have refused since the start."""
    refused = Counter(rooms.refused())
    for kind, gate in gates.items():
        for (_, reason), count in gate.refused.items():
            refused[kind, reason] += count
    return refused


class RefusalLog:
    """Logs what was refused since its last look. Nothing is done for a single call, so that refusing stays cheap.

    Args:
        counts: of the calls refused since the start.
    """

    def __init__(self, counts: Callable[[], Counts]) -> None:
        self._counts = counts
        self._before = dict(counts())

    async def write(self) -> None:
        """Write a line for each limit and reason that refused calls."""
        now = dict(self._counts())
        for (limit, reason), count in now.items():
            grown = count - self._before.get((limit, reason), 0)
            if grown:
                _log.warning("refused_calls", limit=limit, reason=reason, count=grown)
        self._before = now
