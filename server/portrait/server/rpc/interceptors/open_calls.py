"""Limits of open calls: each group of methods has a limit of its own, so that no group shuts out another."""

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
"""Calls beyond those that admission lets in: their message has not arrived, or they are being refused."""
_MAX_HEALTH_CALLS = 1_000
_MAX_ENDLESS_CALLS = 1_000
"""Health watches and reflection, which are usually open for hours."""
_CALLER_SHARE = 0.5
"""Share of the limits of health and of endless calls that one caller may take, 0 to 1."""
_RETRY_SECONDS = 1.0


class Rejection(StrEnum):
    """The limit that a call met."""

    LIMIT = "limit"
    CALLER = "caller"


class OpenCallLimit:
    """Counts the open calls of one group of methods.

    Args:
        limit: calls that may be open at the same time.
        caller_limit: calls of one caller that may be open at the same time.
    """

    def __init__(self, limit: int, caller_limit: int) -> None:
        self._limit, self._caller_limit = limit, caller_limit
        self.distinguishes_callers = caller_limit < limit
        self._open: Counter[str] = Counter()
        self._total = 0
        self.refused: Counter[Rejection] = Counter()

    @property
    def open(self) -> int:
        """The number of open calls."""
        return self._total

    def enter(self, caller: str) -> Rejection | None:
        """Count a call as open, or return the limit that it meets."""
        rejection = None
        if self._total >= self._limit:
            rejection = Rejection.LIMIT
        elif self._open[caller] >= self._caller_limit:
            rejection = Rejection.CALLER
        if rejection is None:
            self._total += 1
            self._open[caller] += 1
        else:
            self.refused[rejection] += 1
        return rejection

    def leave(self, caller: str) -> None:
        """Count a call that has entered as ended."""
        self._total -= 1
        self._open[caller] -= 1
        if not self._open[caller]:
            del self._open[caller]  # or the counter would grow with every caller that ever came


class OpenCallLimits:
    """The limits of all groups of methods.

    Args:
        max_admitted: calls of all workloads that admission may let in at the same time.
    """

    def __init__(self, max_admitted: int) -> None:
        calls = max_admitted + _MAX_WAITING_CALLS
        self._by_group = {
            "calls": OpenCallLimit(calls, calls),  # admission divides them among callers
            "health": OpenCallLimit(_MAX_HEALTH_CALLS, int(_CALLER_SHARE * _MAX_HEALTH_CALLS)),
            "endless": OpenCallLimit(_MAX_ENDLESS_CALLS, int(_CALLER_SHARE * _MAX_ENDLESS_CALLS)),
        }

    def limit_for(self, method: Method) -> OpenCallLimit:
        """Find the limit of a method."""
        if method.is_endless:
            return self._by_group["endless"]
        return self._by_group["health" if method.name.startswith("grpc.") else "calls"]

    @property
    def running(self) -> int:
        """The number of open calls, without endless ones."""
        return sum(limit.open for group, limit in self._by_group.items() if group != "endless")

    def refused(self) -> dict[tuple[str, str], int]:
        """Count the calls refused since the start, by group and reason."""
        return {
            (group, reason): count for group, limit in self._by_group.items() for reason, count in limit.refused.items()
        }


def limit_open_calls(limits: OpenCallLimits, metrics: Metrics) -> Interceptor:
    """Refuse calls beyond the limit of open calls. It is the outermost interceptor, and counts the calls it refuses.

    gRPC's own limit neither logs nor counts the calls it refuses, and is one number for all methods.

    Args:
        limits: the limits, which every call enters and leaves.
        metrics: counts refused calls.
    """

    def intercept(method: Method, call_next: Handler) -> Handler:
        limit = limits.limit_for(method)
        refused = metrics.rpcs.labels(method.name, grpc.StatusCode.RESOURCE_EXHAUSTED.name)

        async def handle(request: object, context: Context) -> Response:
            # Only where needed: naming the caller costs as much as everything else here.
            caller = verified_caller(context) if limit.distinguishes_callers else ""
            rejection = limit.enter(caller)
            if rejection is not None:
                refused.inc()
                return await abort(context, _status(rejection))
            try:
                return await call_next(request, context)
            finally:
                limit.leave(caller)

        return handle

    return intercept


@lru_cache
def _status(rejection: Rejection) -> Status:
    message, reason = {
        Rejection.LIMIT: ("as many such calls are open as there is room for", ErrorReason.GATEWAY_FULL),
        Rejection.CALLER: ("this caller has as many such calls open as one may have", ErrorReason.CALLER_OVER_SHARE),
    }[rejection]
    return status_from_error(Overloaded(message, _RETRY_SECONDS, reason), None)
