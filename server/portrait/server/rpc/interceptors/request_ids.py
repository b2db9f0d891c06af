"""Request ids: every call has one, from its caller or new. Log lines carry it, and so does the response."""

import re
import secrets

import structlog

from portrait.server.rpc.context import Context, Handler, Method, Response

HEADER = "x-request-id"

_ACCEPTED = re.compile(r"[A-Za-z0-9._:-]{1,128}")


def assign_request_id(method: Method, call_next: Handler) -> Handler:
    """Take the id from the metadata `x-request-id`, or make one, and send it back in the trailing metadata."""

    async def handle(request: object, context: Context) -> Response:
        request_id = _read_request_id(context) or secrets.token_hex(16)
        context.set_trailing_metadata(((HEADER, request_id),))
        # Nothing to unbind: grpc.aio runs each call in a task of its own, and the log context ends with the task.
        structlog.contextvars.bind_contextvars(request_id=request_id)
        return await call_next(request, context)

    return handle


def _read_request_id(context: Context) -> str | None:
    """Read the caller's id; None if there is none, or if it is not safe to log."""
    for key, value in context.invocation_metadata() or ():
        if key == HEADER and isinstance(value, str) and _ACCEPTED.fullmatch(value):
            return value
    return None
