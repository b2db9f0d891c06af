"""A summary of refused calls for the log: at most one line per second for each limit and reason."""

from collections import Counter
from collections.abc import Callable, Mapping

import structlog

from portrait.server.admission.costs import Workload
from portrait.server.admission.gate import Gate

POLL_SECONDS = 1.0
"""Seconds between two summaries."""

_log = structlog.get_logger(__name__)

Counts = Mapping[tuple[str, str], int]
"""Number of calls refused since the start, by limit and reason."""


def count_refusals(gates: Mapping[Workload, Gate]) -> Counts:
    """Count the calls that the gates have refused since the start."""
    refused: Counter[tuple[str, str]] = Counter()
    for workload, gate in gates.items():
        for (_, reason), count in gate.refused.items():
            refused[workload, reason] += count
    return refused


class RefusalLog:
    """Logs how many calls were refused since the last summary. A single refusal logs nothing, so that it stays cheap.

    Args:
        counts: returns the refused calls since the start.
    """

    def __init__(self, counts: Callable[[], Counts]) -> None:
        self._counts = counts
        self._before = dict(counts())

    async def write(self) -> None:
        """Write a line for each limit and reason with new refusals."""
        now = dict(self._counts())
        for (limit, reason), count in now.items():
            grown = count - self._before.get((limit, reason), 0)
            if grown:
                _log.warning("refused_calls", limit=limit, reason=reason, count=grown)
        self._before = now
