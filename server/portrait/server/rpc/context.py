"""A call as interceptors and services see it: its context, its method, its request and its deadline."""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import grpc
from google.protobuf.message import Message

Context = grpc.aio.ServicerContext[Any, Any]
Response: TypeAlias = Message | bytes | None
"""A message, or its serialised bytes; None if the method has written a stream of messages to its context."""
Handler = Callable[[Any, Context], Awaitable[Response]]
"""Answers a request. Handlers outside of `read_request` get the unread call, those inside of it a `Request`, and the
innermost, the method of a service, a message. A method that takes a stream gets an iterator of `StreamedRequest`."""


@dataclass(frozen=True)
class Method:
    """A method of a service."""

    name: str
    """Service and method, for example `portrait.v1.ProfileService/GetProfile`."""
    parse: Callable[[bytes], Message]
    """Deserialises a request."""
    takes_stream: bool = False
    """True if a call has any number of messages, which its handler reads one by one."""
    is_endless: bool = False
    """True if it responds with a stream that has no end of its own: health watches, and reflection."""


class Request:
    """The request of a call: its bytes, and its message, which is parsed once, when it is first asked for.

    Args:
        wire: the serialised message.
        parse: deserialises it.
    """

    def __init__(self, wire: bytes, parse: Callable[[bytes], Message]) -> None:
        self.wire, self._parse = wire, parse

    @cached_property
    def message(self) -> Message:
        """The message, which services may not change, as interceptors read it too.

        Raises:
            google.protobuf.message.DecodeError: the bytes are no message of the method.
        """
        return self._parse(self.wire)


@dataclass(frozen=True, slots=True)
class StreamedRequest:
    """One request of a stream, which keeps the contract."""

    message: Message
    units: int
    """Its units of work, for admission."""


Interceptor = Callable[[Method, Handler], Handler]
"""Wraps the handler of a method in one that does something before or after it."""

_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


def current_deadline() -> float | None:
    """Return the deadline of the current call, by `loop.time()`; None outside of calls."""
    return _deadline.get()


def set_deadline(deadline: float | None) -> None:
    """Set the deadline of the current call, by `loop.time()`."""
    _deadline.set(deadline)
