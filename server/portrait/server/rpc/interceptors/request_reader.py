"""The request is read here, so that one that never comes, or not as a whole, gets an answer too."""

from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import InvalidRequest, Violation
from portrait.server.rpc.context import Context, Handler, Method, Response


def read_request(method: Method, proceed: Handler) -> Handler:
    """Read the one message of a call, as bytes. Stands inside of `deadlines`, or of `ending`.

    Left to grpc.aio, a call without a whole message would get no answer, and be kept for as long as its caller keeps
    the connection.
    """
    if method.takes_stream:
        return proceed

    async def behaviour(unread: object, context: Context) -> Response:
        request = await context.read()
        if not isinstance(request, bytes):  # the end of the stream
            raise InvalidRequest(
                [Violation("", "no message was sent, or not the whole of it")], ErrorReason.REQUEST_UNREADABLE
            )
        return await proceed(request, context)

    return behaviour
