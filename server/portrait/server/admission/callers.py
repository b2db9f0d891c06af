"""The units that run for each caller, so that no caller takes everything while others are active."""

from collections import OrderedDict

MAX_CALLERS = 1_000
"""Number of callers that are counted separately; all further callers count as one."""
ACTIVE_SECONDS = 1.0
"""Seconds that a caller counts as active after its last request."""

_OTHERS = ""
"""The name that all further callers are counted under."""


class _Caller:
    __slots__ = ("last_request", "units")

    def __init__(self) -> None:
        self.units = 0
        self.last_request = 0.0


class Callers:
    """Counts the units of each caller, in bounded memory.

    Args:
        share: share of the limit that one caller may use while others are active, 0 to 1.
    """

    def __init__(self, share: float) -> None:
        self._share = share
        self._known: OrderedDict[str, _Caller] = OrderedDict()
        """Callers in the order of their last request."""

    def __len__(self) -> int:
        return len(self._known)

    def note_request(self, name: str, now: float) -> str:
        """Record a request of a caller.

        Returns:
            the name that the caller is counted under.
        """
        if name not in self._known:
            self._evict_inactive(now)
            if len(self._known) >= MAX_CALLERS:
                name = _OTHERS
        caller = self._known.setdefault(name, _Caller())
        caller.last_request = now
        self._known.move_to_end(name)
        return name

    def _evict_inactive(self, now: float) -> None:
        """Forget inactive callers for which nothing runs, the least recent first."""
        while self._known:
            name, caller = next(iter(self._known.items()))
            if caller.units or now - caller.last_request <= ACTIVE_SECONDS:
                return
            del self._known[name]

    def allows(self, name: str, units: int, limit: float, now: float, held: int = 0) -> bool:
        """Tell whether a caller that has just asked may use more units. Every caller may run one call.

        Args:
            name: the name that the caller is counted under.
            units: the additional units.
            limit: the limit of all callers together, in units.
            now: the time, in seconds.
            held: the units that the same call uses already.
        """
        used = self._known[name].units
        return used == held or used + units <= self._share * limit or not self._others_active(now)

    def _others_active(self, now: float) -> bool:
        """Tell whether any caller but the latest is active."""
        latest = reversed(self._known.values())
        next(latest)
        other = next(latest, None)
        return other is not None and now - other.last_request <= ACTIVE_SECONDS

    def acquire(self, name: str, units: int) -> None:
        """Count units as running."""
        self._known[name].units += units

    def release(self, name: str, units: int) -> None:
        """Count units as ended."""
        self._known[name].units -= units
