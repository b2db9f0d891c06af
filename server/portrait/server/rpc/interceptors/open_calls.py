"""How many calls may be open: each group of methods has room of its own, so that none keeps another out."""

from collections import Counter
from enum import StrEnum
from functools import lru_cache

import grpc

from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import Overloaded
from portrait.server.metrics.collectors import Metrics
from portrait.server.rpc.context import Context, Handler, Interceptor, Method, Response
from portrait.server.rpc.contract.statuses import Status, status_from_error
from portrait.server.rpc.interceptors.errors import abort
from portrait.server.rpc.interceptors.identity import verified_caller

_MAX_WAITING_CALLS = 1_000
"""Room beyond what admission lets in: calls whose message has not come, or that are just being refused."""
_MAX_HEALTH_CALLS = 1_000
_MAX_ENDLESS_CALLS = 1_000
"""Watchers of health, and reflection: what is open for hours, as a rule."""
_CALLER_SHARE = 0.5
"""Of the room for health and for endless calls, that one caller may take."""
_RETRY_SECONDS = 1.0


class Rejection(StrEnum):
    """Why there is no room for a call."""

    LIMIT = "limit"
    CALLER = "caller"


class OpenCallLimit:
    """Counts the calls that are open.

    Args:
        limit: calls that may be open at one time.
        caller_limit: of these, so many may be of one caller.
    """

    def __init__(self, limit: int, caller_limit: int) -> None:
        self._limit, self._caller_limit = limit, caller_limit
        self.tells_callers_apart = caller_limit < limit
        self._open: Counter[str] = Counter()
        self._total = 0
        self.refused: Counter[Rejection] = Counter()

    @property
    def open(self) -> int:
        """Calls that are open."""
        return self._total

    def enter(self, caller: str) -> Rejection | None:
        """Count a call as open, unless there is no room for it; then the reason is returned."""
        excess = None
        if self._total >= self._limit:
            excess = Rejection.LIMIT
        elif self._open[caller] >= self._caller_limit:
            excess = Rejection.CALLER
        if excess is None:
            self._total += 1
            self._open[caller] += 1
        else:
            self.refused[excess] += 1
        return excess

    def leave(self, caller: str) -> None:
        """Count a call that had entered as ended."""
        self._total -= 1
        self._open[caller] -= 1
        if not self._open[caller]:
            del self._open[caller]  # or every caller that ever came would be kept


class OpenCallLimits:
    """The rooms of all methods.

    Args:
        max_admitted: calls that admission may let in at one time, all kinds together.
    """

    def __init__(self, max_admitted: int) -> None:
        calls = max_admitted + _MAX_WAITING_CALLS
        self._by_group = {
            "calls": OpenCallLimit(calls, calls),  # admission shares between callers
            "health": OpenCallLimit(_MAX_HEALTH_CALLS, int(_CALLER_SHARE * _MAX_HEALTH_CALLS)),
            "endless": OpenCallLimit(_MAX_ENDLESS_CALLS, int(_CALLER_SHARE * _MAX_ENDLESS_CALLS)),
        }

    def limit_for(self, method: Method) -> OpenCallLimit:
        """Find the room of a method."""
        if method.is_endless:
            return self._by_group["endless"]
        return self._by_group["health" if method.name.startswith("grpc.") else "calls"]

    @property
    def running(self) -> int:
        """Calls that are open and have an end."""
        return sum(room.open for group, room in self._by_group.items() if group != "endless")

    def refused(self) -> dict[tuple[str, str], int]:
        """Count what was refused since the start, by room and reason."""
        return {
            (group, reason): count for group, room in self._by_group.items() for reason, count in room.refused.items()
        }


def limit_open_calls(rooms: OpenCallLimits, metrics: Metrics) -> Interceptor:
    """Refuse a call for which there is no room. Stands outermost, and counts what it refuses.

    gRPC's own limit refuses without a trace, and knows one number for all methods.

    Args:
        rooms: which every call enters and leaves.
        metrics: where refused calls are counted.
    """

    def intercept(method: Method, proceed: Handler) -> Handler:
        room = rooms.limit_for(method)
        refused = metrics.rpcs.labels(method.name, grpc.StatusCode.RESOURCE_EXHAUSTED.name)

        async def behaviour(request: object, context: Context) -> Response:
            caller = (
                verified_caller(context) if room.tells_callers_apart else ""
            )  # to find it out costs as much as all else here
            excess = room.enter(caller)
            if excess is not None:
                refused.inc()
                return await abort(context, _status(excess))
            try:
                return await proceed(request, context)
            finally:
                room.leave(caller)

        return behaviour

    return intercept


@lru_cache
def _status(excess: Rejection) -> Status:
    message, reason = {
        Rejection.LIMIT: ("as many such calls are open as there is room for", ErrorReason.GATEWAY_FULL),
        Rejection.CALLER: ("this caller has as many such calls open as one may have", ErrorReason.CALLER_OVER_SHARE),
    }[excess]
    return status_from_error(Overloaded(message, _RETRY_SECONDS, reason), None)
