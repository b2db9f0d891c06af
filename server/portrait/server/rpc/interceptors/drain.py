"""The drain of streams that have no end of their own."""

import asyncio

from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import Unavailable
from portrait.server.rpc.context import Context, Handler, Interceptor, Method, Response

_LAST_MESSAGE_SECONDS = 0.25
"""Time in which a stream may send a last message, as health does, and end by itself."""
_RETRY_SECONDS = 1.0


def end_on_drain(draining: asyncio.Event) -> Interceptor:
    """End a stream when the server drains, whether its caller reads, writes and closes it or not.

    Args:
        draining: the event that is set when the drain begins.
    """

    def intercept(method: Method, call_next: Handler) -> Handler:
        async def handle(request: object, context: Context) -> Response:
            responding = asyncio.ensure_future(call_next(request, context))
            drained = asyncio.ensure_future(draining.wait())
            try:
                await asyncio.wait({responding, drained}, return_when=asyncio.FIRST_COMPLETED)
                if not responding.done():
                    await asyncio.wait({responding}, timeout=_LAST_MESSAGE_SECONDS)
                if responding.done():
                    return await responding
            finally:
                responding.cancel()
                drained.cancel()
            raise Unavailable("the server ends", _RETRY_SECONDS, ErrorReason.GATEWAY_STOPPING)

        return handle

    return intercept
