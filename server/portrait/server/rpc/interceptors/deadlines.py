"""No call goes on for ever, and none is begun that nobody waits for."""

import asyncio
from contextvars import ContextVar

from portrait.server.errors import DeadlineExceeded
from portrait.server.rpc.interceptors.chain import Answer, Behaviour, Context, Interceptor, Method

_current: ContextVar[float | None] = ContextVar("deadline", default=None)


def current_deadline() -> float | None:
    """When the time of the call that is being served is up, by `loop.time()`; None outside of calls."""
    return _current.get()


def deadlines(default: float, maximum: float) -> Interceptor:
    """Hold every call to its deadline.

    Args:
        default: seconds for a call that brings no deadline.
        maximum: seconds for a call that brings a later one.
    """

    def intercept(method: Method, proceed: Behaviour) -> Behaviour:
        async def behaviour(request: bytes, context: Context) -> Answer:
            remaining = context.time_remaining()
            seconds = min(default if remaining is None else remaining, maximum)
            if seconds <= 0:
                raise DeadlineExceeded("the deadline had passed when the call arrived")
            try:
                async with asyncio.timeout(seconds) as timeout:
                    _current.set(timeout.when())
                    return await proceed(request, context)
            except TimeoutError:
                if timeout.expired():
                    raise DeadlineExceeded(f"not done within {seconds:.3g} s") from None
                raise

        return behaviour

    return intercept
