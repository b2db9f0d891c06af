"""No call goes on for ever, and none is begun that nobody waits for."""

import asyncio

from portrait.server.errors import DeadlineExceeded
from portrait.server.rpc.context import Context, Handler, Interceptor, Method, Response, set_deadline


def enforce_deadline(default: float, maximum: float) -> Interceptor:
    """Hold every call to its deadline.

    Args:
        default: seconds for a call that brings no deadline.
        maximum: seconds for a call that brings a later one.
    """

    def intercept(method: Method, proceed: Handler) -> Handler:
        async def behaviour(request: bytes, context: Context) -> Response:
            remaining = context.time_remaining()
            seconds = min(default if remaining is None else remaining, maximum)
            if seconds <= 0:
                raise DeadlineExceeded("the deadline had passed when the call arrived")
            try:
                async with asyncio.timeout(seconds) as timeout:
                    set_deadline(timeout.when())
                    return await proceed(request, context)
            except TimeoutError:
                if timeout.expired():
                    raise DeadlineExceeded(f"not done within {seconds:.3g} s") from None
                raise

        return behaviour

    return intercept
