"""Every call has an id: the caller's, or a new one. Log lines carry it, and so does the answer."""

import re
import secrets

import structlog

from portrait.server.rpc.context import Context, Handler, Method, Response

HEADER = "x-request-id"

_ACCEPTED = re.compile(r"[A-Za-z0-9._:-]{1,128}")


def assign_request_id(method: Method, proceed: Handler) -> Handler:
    """Take the id from the metadata `x-request-id`, and send it back in the trailing metadata."""

    async def behaviour(request: bytes, context: Context) -> Response:
        request_id = _sent(context) or secrets.token_hex(16)
        context.set_trailing_metadata(((HEADER, request_id),))
        # Nothing to unbind: grpc.aio runs each call in a task, whose context ends with it.
        structlog.contextvars.bind_contextvars(request_id=request_id)
        return await proceed(request, context)

    return behaviour


def _sent(context: Context) -> str | None:
    """The caller's id; None if there is none, or it is not fit for a log."""
    for key, value in context.invocation_metadata() or ():
        if key == HEADER and isinstance(value, str) and _ACCEPTED.fullmatch(value):
            return value
    return None
