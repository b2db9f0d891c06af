"""Streams without an end of their own end when the server drains."""

import asyncio

from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import Unavailable
from portrait.server.rpc.context import Context, Handler, Interceptor, Method, Response

_LAST_WORD_SECONDS = 0.25
"""What a stream gets to say a last word, as health does, and to end by itself."""
_RETRY_SECONDS = 1.0


def end_on_drain(draining: asyncio.Event) -> Interceptor:
    """End a stream once the server drains, whether its caller reads, writes and closes it or not.

    Args:
        draining: set when that is so.
    """

    def intercept(method: Method, proceed: Handler) -> Handler:
        async def behaviour(request: object, context: Context) -> Response:
            answering = asyncio.ensure_future(proceed(request, context))
            drained = asyncio.ensure_future(draining.wait())
            try:
                await asyncio.wait({answering, drained}, return_when=asyncio.FIRST_COMPLETED)
                if not answering.done():
                    await asyncio.wait({answering}, timeout=_LAST_WORD_SECONDS)
                if answering.done():
                    return await answering
            finally:
                answering.cancel()
                drained.cancel()
            raise Unavailable("the server ends", _RETRY_SECONDS, ErrorReason.GATEWAY_STOPPING)

        return behaviour

    return intercept
