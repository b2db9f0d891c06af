"""Deadlines: every call has one, and a call whose deadline has passed is not started."""

import asyncio

from portrait.server.errors import DeadlineExceeded
from portrait.server.rpc.context import Context, Handler, Interceptor, Method, Response, set_deadline


def enforce_deadline(default: float, maximum: float) -> Interceptor:
    """Stop every call at its deadline.

    Args:
        default: seconds for a call without a deadline.
        maximum: seconds for a call with a later deadline.
    """

    def intercept(method: Method, call_next: Handler) -> Handler:
        async def handle(request: object, context: Context) -> Response:
            remaining = context.time_remaining()
            seconds = min(default if remaining is None else remaining, maximum)
            if seconds <= 0:
                raise DeadlineExceeded("the deadline had passed when the call arrived")
            try:
                async with asyncio.timeout(seconds) as timeout:
                    set_deadline(timeout.when())
                    return await call_next(request, context)
            except TimeoutError:
                if timeout.expired():
                    raise DeadlineExceeded(f"not done within {seconds:.3g} s") from None
                raise

        return handle

    return intercept
