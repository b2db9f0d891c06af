"""The latency of calls of one method: without load, and at present."""

from collections import deque

TOLERANCE = 2.0
"""A call may take this many times its latency without load; "Performance Under Load" has a tolerance of this name."""
TOLERATED_SECONDS = 0.1
"""And at least this much: batches need some work that waits for them."""
TOLERATED_SHARE = 0.5
"""But no more than this share of the time until its deadline, unless it takes that long without load."""

_MAX_SAMPLES = 64
_FRESH_SECONDS = 1.0
"""Samples count while calls end at least this often."""
_SMOOTHING = 0.05


class LatencyTracker:
    """Tracks the latency of calls of one unit."""

    def __init__(self) -> None:
        self.unloaded: float | None = None
        """The average latency without load, in seconds; None until a call has ended."""
        self._latest: deque[float] = deque(maxlen=_MAX_SAMPLES)
        self._last_end = 0.0
        self._low = self._high = 0.0

    def record(self, now: float, seconds: float, unloaded: bool) -> None:
        """Record a call that has ended.

        Args:
            now: the time, in seconds.
            seconds: the latency of the call.
            unloaded: whether almost nothing else was running. Only such calls may raise the latency without load, or
                a long overload would come to be tolerated.
        """
        if self.unloaded is None:
            self.unloaded = seconds
        elif unloaded:
            self.unloaded += _SMOOTHING * (seconds - self.unloaded)
        if now - self._last_end > _FRESH_SECONDS:
            self._latest.clear()
        self._latest.append(seconds)
        self._last_end = now

    def update_quantiles(self) -> None:
        """Compute the quantiles of the latest calls, which costs more than recording one."""
        ordered = sorted(self._latest)
        if not ordered:
            return
        self._low, self._high = ordered[len(ordered) // 10], ordered[-1 - len(ordered) // 20]
        if self.unloaded is not None and len(ordered) == _MAX_SAMPLES:
            self.unloaded = min(self.unloaded, sum(ordered) / _MAX_SAMPLES)

    def tolerated_seconds(self, allowed: float) -> float:
        """Return the latency above which a call is a sign of overload, in seconds.

        Args:
            allowed: seconds between the start of the call and its deadline.
        """
        return max(TOLERANCE * (self.unloaded or 0.0), min(TOLERATED_SECONDS, TOLERATED_SHARE * allowed))

    def low_quantile(self, now: float) -> float:
        """Return the 10% quantile of the current latency, in seconds; 0 if too few calls or none have ended lately."""
        return self._low if now - self._last_end <= _FRESH_SECONDS else 0.0

    def high_quantile(self, now: float) -> float:
        """Return the 95% quantile of the current latency, in seconds; 0 if no call has ended lately."""
        return self._high if now - self._last_end <= _FRESH_SECONDS else 0.0
