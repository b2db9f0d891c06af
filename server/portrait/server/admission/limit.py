"""How much may be under way at one time, adapted to latency.

The Gradient limit of Netflix (E. Landau, W. Thurston and T. Bozarth, "Performance Under Load", 2018,
https://netflixtechblog.medium.com/performance-under-load-3e6fa9a60581):

    gradient = tolerated latency / latency
    limit    = limit * gradient + queue

where the queue is the square root of the limit. From Netflix's own code, the library concurrency-limits, come the
bounds of the gradient, a half and one (GradientLimit), and that a limit stays while less than half of it is used
(Gradient2Limit); unlike there, rises are smoothed as drops are. What is tolerated is not the latency without load
alone, see `latency`: batches make calls slower and the whole faster, and must not be taken for a queue.
"""

import math

MIN_LIMIT = 4.0
INITIAL_LIMIT = 50.0
"""Rather too much for a moment than calls refused at the start of a gateway that is not yet known."""

_WINDOW_SECONDS = 0.1
_SAMPLES = 10
"""A window is longer if fewer calls end within it."""
_LONGEST_WINDOW_SECONDS = 1.0
_STEEPEST = 0.5
_SMOOTHING = 0.5


class GradientLimit:
    """A limit of units of work.

    Args:
        maximum: it never rises above.
    """

    def __init__(self, maximum: int) -> None:
        self._maximum = float(maximum)
        self.value = min(INITIAL_LIMIT, self._maximum)
        self._begin(0.0)

    def _begin(self, now: float) -> None:
        self._began, self._samples, self._sum, self._most = now, 0, 0.0, 0.0

    def sample(self, now: float, slowness: float, under_way: float) -> bool:
        """Learn from a call that has ended.

        Args:
            now: seconds.
            slowness: its latency, in units of what is tolerated.
            under_way: units of work under way when it ended, its own included.

        Returns:
            whether a window has ended with it, after which the limit may be another.
        """
        if now - self._began > _LONGEST_WINDOW_SECONDS:
            self._begin(now)  # too old to be compared with
        self._samples += 1
        self._sum += slowness
        self._most = max(self._most, under_way)
        if now - self._began < _WINDOW_SECONDS or self._samples < _SAMPLES:
            return False
        self._adapt(self._sum / self._samples)
        self._begin(now)
        return True

    def _adapt(self, slowness: float) -> None:
        if self._most < self.value / 2:
            return  # a limit that is not used is neither too low nor what makes calls slow
        gradient = min(1.0, max(_STEEPEST, 1.0 / max(slowness, 1e-9)))
        wanted = self.value * gradient + math.sqrt(self.value)
        self.value += _SMOOTHING * (wanted - self.value)
        self.value = min(self._maximum, max(MIN_LIMIT, self.value))
