"""The access log: one line a call, without ids of shoppers and without their words."""

import logging
import time

import grpc
import structlog

from portrait.server.rpc.context import Context, Handler, Method, Response
from portrait.server.rpc.interceptors.chain import status_name

_REFUSED = grpc.StatusCode.RESOURCE_EXHAUSTED.name

_log = structlog.get_logger(__name__)


def log_access(method: Method, call_next: Handler) -> Handler:
    """Log method, status and duration, and the counts that the service has bound to the call's log context."""
    # Load balancers call health all day long.
    level = logging.DEBUG if method.name.startswith("grpc.health.") else logging.INFO

    async def handle(request: object, context: Context) -> Response:
        started = time.perf_counter()
        error: BaseException | None = None
        try:
            return await call_next(request, context)
        except BaseException as raised:
            error = raised
            raise
        finally:
            code = status_name(context, error)
            milliseconds = round(1000 * (time.perf_counter() - started), 3)
            # Under overload most calls are refused. Metrics count them; a line for each would cost more than the call.
            _log.log(
                logging.DEBUG if code == _REFUSED else level,
                "rpc",
                method=method.name,
                code=code,
                milliseconds=milliseconds,
            )

    return handle
