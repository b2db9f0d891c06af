"""Load shedding: under overload most calls are refused, at the lowest cost."""

from collections.abc import Mapping
from functools import lru_cache

import grpc

from portrait.server.admission.costs import Workload, cost_of
from portrait.server.admission.gate import Gate
from portrait.server.admission.scheduler import CooperativeScheduler
from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import InvalidRequest, Overloaded
from portrait.server.metrics.collectors import Metrics
from portrait.server.response_cache import ResponseCache
from portrait.server.rpc.context import Context, Handler, Interceptor, Method, Response
from portrait.server.rpc.contract.statuses import Status, status_from_error
from portrait.server.rpc.interceptors.errors import abort
from portrait.server.rpc.interceptors.identity import read_identity


def shed_load(
    gates: Mapping[Workload, Gate], scheduler: CooperativeScheduler, cache: ResponseCache, metrics: Metrics
) -> Interceptor:
    """Refuse a call that `admit_calls` would refuse because the gate is full, before any other work for it.

    It stands outside of the access log and the metrics: it counts the refused calls itself, and does not log them.

    Args:
        gates: the gates of `admit_calls`.
        scheduler: is told of every call that arrives.
        cache: while many calls hit it, every call is read.
        metrics: counts refused calls.
    """

    def intercept(method: Method, call_next: Handler) -> Handler:
        cost = cost_of(method.name)
        if cost is None:
            return call_next
        gate = gates[cost.workload]
        refused_rpcs = metrics.rpcs.labels(method.name, grpc.StatusCode.RESOURCE_EXHAUSTED.name)

        async def handle(unread: object, context: Context) -> Response:
            scheduler.note_arrival()
            if not gate.is_full or cache.is_effective:
                return await call_next(unread, context)
            try:
                priority, caller = read_identity(context)
            except InvalidRequest:
                return await call_next(unread, context)  # `map_errors` reports the error
            refusal = gate.shed(priority, caller)
            refused_rpcs.inc()
            return await abort(context, _status(str(refusal), round(refusal.retry_after, 2), refusal.reason))

        return handle

    return intercept


@lru_cache(512)
def _status(message: str, retry_after: float, reason: ErrorReason) -> Status:
    """Make the status of many refused calls at once; so its details have no request id."""
    return status_from_error(Overloaded(message, retry_after, reason), None)
