"""Counts and times every call for Prometheus."""

import time

from portrait.server.metrics.collectors import Metrics
from portrait.server.rpc.context import Answer, Behaviour, Context, Interceptor, Method
from portrait.server.rpc.interceptors.chain import outcome


def measuring(metrics: Metrics) -> Interceptor:
    """Count calls by method and status, and their seconds by method."""

    def intercept(method: Method, proceed: Behaviour) -> Behaviour:
        seconds = metrics.rpc_seconds.labels(method.name)

        async def behaviour(request: bytes, context: Context) -> Answer:
            started = time.perf_counter()
            error: BaseException | None = None
            try:
                return await proceed(request, context)
            except BaseException as raised:
                error = raised
                raise
            finally:
                if not method.is_endless:  # it may have been open for days
                    seconds.observe(time.perf_counter() - started)
                metrics.rpcs.labels(method.name, outcome(context, error)).inc()

        return behaviour

    return intercept
