"""Under overload most calls are refused: then each costs as little as can be."""

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
    gates: Mapping[Workload, Gate], turns: CooperativeScheduler, given: ResponseCache, metrics: Metrics
) -> Interceptor:
    """Refuse a call that `admission` would refuse for want of room, before anything else is done for it.

    Stands outside of all but the ids; it counts what it refuses, and no log line says so.

    Args:
        gates: those of `admission`.
        turns: told of every call.
        given: while many of its answers are given again, all calls are read.
        metrics: where refused calls are counted.
    """

    def intercept(method: Method, proceed: Handler) -> Handler:
        cost = cost_of(method.name)
        if cost is None:
            return proceed
        gate = gates[cost.workload]
        ended = metrics.rpcs.labels(method.name, grpc.StatusCode.RESOURCE_EXHAUSTED.name)

        async def behaviour(unread: object, context: Context) -> Response:
            turns.note_arrival()
            if not gate.is_full or given.is_effective:
                return await proceed(unread, context)
            try:
                priority, caller = read_identity(context)
            except InvalidRequest:
                return await proceed(unread, context)  # is told so inside of `errors`
            refused = gate.shed(priority, caller)
            ended.inc()
            return await abort(context, _status(str(refused), round(refused.retry_after, 2), refused.reason))

        return behaviour

    return intercept


@lru_cache(512)
def _status(message: str, retry_after: float, reason: ErrorReason) -> Status:
    """The same of many calls: its details are made once, and so do not say the request's id."""
    return status_from_error(Overloaded(message, retry_after, reason), None)
