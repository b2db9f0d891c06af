"""One log line a call. It holds no ids of shoppers and no words of theirs."""

import logging
import time

import grpc
import structlog

from portrait.server.rpc.context import Context, Handler, Method, Response
from portrait.server.rpc.interceptors.chain import status_name

_REFUSED = grpc.StatusCode.RESOURCE_EXHAUSTED.name

_log = structlog.get_logger(__name__)


def log_access(method: Method, proceed: Handler) -> Handler:
    """Log method, status and duration, and the counts that the service has bound to the call's context."""
    # Load balancers ask for health all day long.
    level = logging.DEBUG if method.name.startswith("grpc.health.") else logging.INFO

    async def behaviour(request: bytes, context: Context) -> Response:
        started = time.perf_counter()
        error: BaseException | None = None
        try:
            return await proceed(request, context)
        except BaseException as raised:
            error = raised
            raise
        finally:
            code = status_name(context, error)
            milliseconds = round(1000 * (time.perf_counter() - started), 3)
            # Under overload most calls are refused: the metrics count them, and a line each would cost more than they.
            _log.log(
                logging.DEBUG if code == _REFUSED else level,
                "rpc",
                method=method.name,
                code=code,
                milliseconds=milliseconds,
            )

    return behaviour
