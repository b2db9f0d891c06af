"""A call as interceptors and services see it: its context, its method, its deadline."""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc
from google.protobuf.message import Message

Context = grpc.aio.ServicerContext[Any, Any]
Response: TypeAlias = Message | bytes | None
"""A message, or one that is serialised already; None of a method that has written a stream of them."""
Handler = Callable[[Any, Context], Awaitable[Response]]
"""Answers a request."""


@dataclass(frozen=True)
class Method:
    """What is called."""

    name: str
    """Service and method, for example `portrait.v1.ProfileService/GetProfile`."""
    parse: Callable[[bytes], Message]
    """Reads a request from the wire."""
    takes_stream: bool = False
    """Whether what answers it reads its messages by itself."""
    is_endless: bool = False
    """Whether it answers with a stream that has no end of its own: watchers of health, and reflection."""


Interceptor = Callable[[Method, Handler], Handler]
"""Makes, of what answers a method, what does so with something done before or after."""

_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


def current_deadline() -> float | None:
    """The deadline of the current call, by `loop.time()`; None outside of calls."""
    return _deadline.get()


def set_deadline(deadline: float | None) -> None:
    """Set the deadline of the current call, by `loop.time()`."""
    _deadline.set(deadline)
