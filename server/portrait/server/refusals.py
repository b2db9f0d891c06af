"""Log lines that say how many calls were refused: one a second and reason, however many they are."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping

import structlog

from portrait.server.admission.costs import Kind
from portrait.server.admission.gate import Gate
from portrait.server.interceptors.open_calls import Rooms

_SECONDS = 1.0

_log = structlog.get_logger(__name__)

Counts = Mapping[tuple[str, str], int]
"""Calls refused since the start, by the limit that they met and the reason."""


def count_refusals(gates: Mapping[Kind, Gate], rooms: Rooms) -> Counts:
    """Count the calls that gates and rooms have refused since the start."""
    refused = Counter(rooms.refused())
    for kind, gate in gates.items():
        for (_, reason), count in gate.refused.items():
            refused[kind, reason] += count
    return refused


async def log_refusals(counts: Callable[[], Counts]) -> None:
    """Log what was refused, until cancelled. Nothing is done for a single call, so that refusing stays cheap."""
    before = dict(counts())
    while True:
        await asyncio.sleep(_SECONDS)
        now = dict(counts())
        for (limit, reason), count in now.items():
            grown = count - before.get((limit, reason), 0)
            if grown:
                _log.warning("calls_refused", limit=limit, reason=reason, count=grown)
        before = now
