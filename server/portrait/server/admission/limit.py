"""A limit of concurrent work that adapts to latency.

This is the Gradient limit of Netflix (E. Landau, W. Thurston and T. Bozarth, "Performance Under Load", 2018,
https://netflixtechblog.medium.com/performance-under-load-3e6fa9a60581):

    gradient = tolerated latency / latency
    limit    = limit * gradient + queue

where the queue is the square root of the limit. Two rules come from Netflix's library concurrency-limits: the gradient
is between a half and one (GradientLimit), and the limit does not change while less than half of it is used
(Gradient2Limit). Unlike there, rises are smoothed as well as drops. The tolerated latency is more than the latency
without load (see `latency`): batching makes calls slower and the whole faster, which must not look like a queue.
"""

import math

MIN_LIMIT = 4.0
INITIAL_LIMIT = 50.0
"""Rather too high for a moment than refused calls at the start of a gateway whose speed is not known yet."""

_WINDOW_SECONDS = 0.1
_MIN_SAMPLES = 10
"""A window lasts longer if fewer calls end within it."""
_MAX_WINDOW_SECONDS = 1.0
_MIN_GRADIENT = 0.5
_SMOOTHING = 0.5


class GradientLimit:
    """A limit of units of work.

    Args:
        maximum: the limit never rises above this.
    """

    def __init__(self, maximum: int) -> None:
        self._maximum = float(maximum)
        self.value = min(INITIAL_LIMIT, self._maximum)
        self._start_window(0.0)

    def _start_window(self, now: float) -> None:
        self._window_start, self._samples, self._sum, self._max_running = now, 0, 0.0, 0.0

    def sample(self, now: float, slowness: float, running: float) -> bool:
        """Learn from a call that has ended.

        Args:
            now: the time, in seconds.
            slowness: the latency of the call, divided by the tolerated latency.
            running: units of work that ran when the call ended, its own included.

        Returns:
            whether a window has ended with this call, after which the limit may have changed.
        """
        if now - self._window_start > _MAX_WINDOW_SECONDS:
            self._start_window(now)  # its first samples are too old to be averaged with this one
        self._samples += 1
        self._sum += slowness
        self._max_running = max(self._max_running, running)
        if now - self._window_start < _WINDOW_SECONDS or self._samples < _MIN_SAMPLES:
            return False
        self._adapt(self._sum / self._samples)
        self._start_window(now)
        return True

    def _adapt(self, slowness: float) -> None:
        if self._max_running < self.value / 2:
            return  # a limit that is not reached is neither too low nor the reason for slow calls
        gradient = min(1.0, max(_MIN_GRADIENT, 1.0 / max(slowness, 1e-9)))
        target = self.value * gradient + math.sqrt(self.value)
        self.value += _SMOOTHING * (target - self.value)
        self.value = min(self._maximum, max(MIN_LIMIT, self.value))
