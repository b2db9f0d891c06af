"""The heartbeat of an event loop, by which a thread sees that the loop hangs."""

import time
from collections.abc import Callable

BEAT_SECONDS = 1.0
"""Seconds between two beats."""
MAX_SILENT_SECONDS = 60.0
"""A loop without a beat for so long hangs: the longest pauses that are known, of a busy machine, take seconds."""


class Heartbeat:
    """Remembers when the event loop last ran a task.

    Args:
        clock: the seconds of a clock that never goes back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = clock()

    async def beat(self) -> None:
        """Note that the loop runs; a background task calls it every `BEAT_SECONDS`."""
        self._last = self._clock()

    def find_problem(self) -> str | None:
        """Tell that the loop hangs; None if it runs. Threads may ask."""
        silent = self._clock() - self._last
        return None if silent <= MAX_SILENT_SECONDS else f"the event loop has not run for {silent:.0f} s"
