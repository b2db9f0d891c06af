"""Metrics of calls."""

import time
from functools import cache

from portrait.server.metrics.collectors import Metrics
from portrait.server.rpc.context import Context, Handler, Interceptor, Method, Response
from portrait.server.rpc.interceptors.chain import status_name
from portrait.server.runtime.tracing import current_trace_id


def record_metrics(metrics: Metrics) -> Interceptor:
    """Count calls by method and status, and record their duration by method."""

    def intercept(method: Method, call_next: Handler) -> Handler:
        seconds = metrics.rpc_duration_seconds.labels(method.name)
        # Looking a series up by its labels takes longer than to count.
        count = cache(lambda status: metrics.rpcs.labels(method.name, status))

        async def handle(request: object, context: Context) -> Response:
            started = time.perf_counter()
            error: BaseException | None = None
            try:
                return await call_next(request, context)
            except BaseException as raised:
                error = raised
                raise
            finally:
                if not method.is_endless:  # an endless stream may have been open for days
                    seconds.observe(time.perf_counter() - started, _exemplar())
                count(status_name(context, error)).inc()

        return handle

    return intercept


def _exemplar() -> dict[str, str] | None:
    """Name the trace of a call, so that a dashboard leads from a slow one to its trace."""
    trace_id = current_trace_id()
    return None if trace_id is None else {"trace_id": trace_id}
