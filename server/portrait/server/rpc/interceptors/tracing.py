"""Traces: a span for each call that its caller traces, and for a share of all others."""

import random
from typing import cast

import grpc
import structlog

from portrait.server.rpc.context import Context, Handler, Interceptor, Method, Response
from portrait.server.rpc.interceptors.chain import status_name
from portrait.server.runtime import tracing

_FAULTS = {"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"}
"""Statuses that are a failure of the server, by OpenTelemetry's conventions for gRPC; others are the caller's."""


def trace_calls(ratio: float, tenant: str | None = None) -> Interceptor:
    """Trace calls.

    Args:
        ratio: the share of calls without a parent that is traced, 0 to 1. Whoever sends a parent decides by it.
        tenant: whose calls they are, which their spans tell; None for calls of no tenant.
    """
    own = {} if tenant is None else {"portrait.tenant": tenant}

    def intercept(method: Method, call_next: Handler) -> Handler:
        service, _, name = method.name.partition("/")
        attributes = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": name, **own}

        async def handle(request: object, context: Context) -> Response:
            carrier = _read_parent(context)
            if not carrier and random.random() >= ratio:  # noqa: S311 - nothing secret
                return await call_next(request, context)
            with tracing.trace_call(method.name, carrier, attributes) as span:
                structlog.contextvars.bind_contextvars(trace_id=tracing.current_trace_id())
                error: BaseException | None = None
                try:
                    return await call_next(request, context)
                except BaseException as raised:
                    error = raised
                    raise
                finally:
                    code = status_name(context, error)
                    span.set_attribute("rpc.grpc.status_code", grpc.StatusCode[code].value[0])
                    if code in _FAULTS:
                        tracing.mark_failed(span)

        return handle

    return intercept


def _read_parent(context: Context) -> dict[str, str]:
    headers = (tracing.PARENT_HEADER, tracing.STATE_HEADER)
    return {key: cast("str", value) for key, value in context.invocation_metadata() or () if key in headers}
