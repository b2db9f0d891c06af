"""Who has how much under way, so that nobody takes all while others want some."""

from collections import OrderedDict

MAX_CALLERS = 1_000
"""Callers remembered; beyond them, all others count as one."""
ACTIVE_SECONDS = 1.0
"""How long a caller counts as wanting after it asked."""

_REST = ""


class _Caller:
    __slots__ = ("last_request", "units")

    def __init__(self) -> None:
        self.units = 0
        self.last_request = 0.0


class Callers:
    """Counts each caller's units; memory is bounded.

    Args:
        share: of the limit, that one caller may have while others want some, 0 to 1.
    """

    def __init__(self, share: float) -> None:
        self._share = share
        self._known: OrderedDict[str, _Caller] = OrderedDict()
        """The one that asked last stands last."""

    def __len__(self) -> int:
        return len(self._known)

    def note_request(self, name: str, now: float) -> str:
        """Note that a caller wants something.

        Returns:
            the name that it is counted under.
        """
        if name not in self._known:
            self._forget(now)
            if len(self._known) >= MAX_CALLERS:
                name = _REST
        caller = self._known.setdefault(name, _Caller())
        caller.last_request = now
        self._known.move_to_end(name)
        return name

    def _forget(self, now: float) -> None:
        """Make room: those who asked first, and have nothing under way, go."""
        while self._known:
            name, caller = next(iter(self._known.items()))
            if caller.units or now - caller.last_request <= ACTIVE_SECONDS:
                return
            del self._known[name]

    def allows(self, name: str, units: int, limit: float, now: float, held: int = 0) -> bool:
        """Whether a caller that asked just now may have so many units more. One call is granted to everybody.

        Args:
            name: of the caller.
            units: how many.
            limit: units of all callers.
            now: seconds.
            held: units that the same call has already.
        """
        mine = self._known[name].units
        return mine == held or mine + units <= self._share * limit or not self._others_want(now)

    def _others_want(self, now: float) -> bool:
        """Whether somebody else than the one who asked last has asked of late."""
        latest = reversed(self._known.values())
        next(latest)
        other = next(latest, None)
        return other is not None and now - other.last_request <= ACTIVE_SECONDS

    def acquire(self, name: str, units: int) -> None:
        """Count units as under way."""
        self._known[name].units += units

    def release(self, name: str, units: int) -> None:
        """Count units as ended."""
        self._known[name].units -= units
