"""What calls of one method take: without load, and at present."""

from collections import deque

TOLERANCE = 2.0
"""A call may take so many times what it takes without load ("Performance Under Load" calls it that, too)."""
TOLERATED_SECONDS = 0.1
"""And this much in any case: batches need some work that waits for them."""
TOLERATED_SHARE = 0.5
"""But no more than this share of the time that its caller gave it, unless it takes that without load."""

_KEPT = 64
_FRESH_SECONDS = 1.0
_SMOOTHING = 0.05


class LatencyTracker:
    """Latencies of calls of one unit."""

    def __init__(self) -> None:
        self.unloaded: float | None = None
        """Seconds that a call takes without load, on average; None until one has ended."""
        self._latest: deque[float] = deque(maxlen=_KEPT)
        self._seen = 0.0
        self._fast = self._slow = 0.0

    def record(self, now: float, seconds: float, alone: bool) -> None:
        """Note a call.

        Args:
            now: seconds.
            seconds: what it took.
            alone: whether there was next to nothing else under way. Only such calls can make the gateway look slower
                without load than it looked before, or else a long overload would come to be tolerated.
        """
        if self.unloaded is None:
            self.unloaded = seconds
        elif alone:
            self.unloaded += _SMOOTHING * (seconds - self.unloaded)
        if now - self._seen > _FRESH_SECONDS:
            self._latest.clear()
        self._latest.append(seconds)
        self._seen = now

    def update_quantiles(self) -> None:
        """Read the latest calls; costs more than noting one."""
        ordered = sorted(self._latest)
        if not ordered:
            return
        self._fast, self._slow = ordered[len(ordered) // 10], ordered[-1 - len(ordered) // 20]
        if self.unloaded is not None and len(ordered) == _KEPT:
            self.unloaded = min(self.unloaded, sum(ordered) / _KEPT)

    def tolerated_seconds(self, allowed: float) -> float:
        """What a call may take, in seconds, before it speaks for too much work.

        Args:
            allowed: seconds that its caller gave it.
        """
        return max(TOLERANCE * (self.unloaded or 0.0), min(TOLERATED_SECONDS, TOLERATED_SHARE * allowed))

    def low_quantile(self, now: float) -> float:
        """Seconds that nine of ten calls take at least at present; 0 if too few or none has ended of late."""
        return self._fast if now - self._seen <= _FRESH_SECONDS else 0.0

    def high_quantile(self, now: float) -> float:
        """Seconds that nineteen of twenty calls take at most at present; 0 if none has ended of late."""
        return self._slow if now - self._seen <= _FRESH_SECONDS else 0.0
