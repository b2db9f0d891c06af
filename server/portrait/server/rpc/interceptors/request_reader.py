"""The reading of requests: a call whose request never arrives, or not completely, gets a response too."""

from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import InvalidRequest, Violation
from portrait.server.rpc.context import Context, Handler, Method, Request, Response


def read_request(method: Method, call_next: Handler) -> Handler:
    """Read the one message of a call, as bytes. It stands inside of `enforce_deadline`, or of `end_on_drain`.

    If grpc.aio read the message itself, a call without a complete one would get no response, and would stay open for
    as long as its caller keeps the connection.
    """
    if method.takes_stream:
        return call_next

    async def handle(unread: object, context: Context) -> Response:
        wire = await context.read()
        if not isinstance(wire, bytes):  # the end of the stream
            raise InvalidRequest(
                [Violation("", "no message was sent, or not the whole of it")], ErrorReason.REQUEST_UNREADABLE
            )
        return await call_next(Request(wire, method.parse), context)

    return handle
