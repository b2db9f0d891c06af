"""The request is read here, so that one that never comes, or not as a whole, gets an answer too."""

import asyncio

from portrait.server.errors import DeadlineExceeded, InvalidRequest, Violation
from portrait.server.interceptors.chain import Answer, Behaviour, Context, Interceptor, Method


def reading(seconds: float) -> Interceptor:
    """Read the one message of a call, as bytes.

    Left to grpc.aio, a call without a whole message would get no answer, and be kept for as long as its caller keeps
    the connection.

    Args:
        seconds: in which the message must have arrived, once the call has.
    """

    def intercept(method: Method, proceed: Behaviour) -> Behaviour:
        async def behaviour(unread: object, context: Context) -> Answer:
            try:
                async with asyncio.timeout(seconds):
                    request = await context.read()
            except TimeoutError:
                raise DeadlineExceeded(f"the request did not arrive within {seconds:.3g} s") from None
            if not isinstance(request, bytes):  # the end of the stream
                raise InvalidRequest([Violation("", "no message was sent, or not the whole of it")])
            return await proceed(request, context)

        return behaviour

    return intercept
