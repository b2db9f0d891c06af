"""Interceptors as functions round the next one, and the adapter that grpc.aio wants."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias, cast

import grpc
from google.protobuf.message import Message

from portrait.server.admission.costs import EXEMPT_PREFIXES
from portrait.server.rpc.context import Context, Handler, Interceptor, Method

RpcMethodHandler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
_Found: TypeAlias = "grpc.RpcMethodHandler[Any, Any] | None"


class InterceptorChain(grpc.aio.ServerInterceptor):  # type: ignore[type-arg] # generic in its stubs only
    """Runs interceptors round every method of one request.

    To grpc every method takes a stream, which on the wire is the same: `reading` takes its one message, so that a call
    without one is answered too. The innermost gets the request as bytes (see `requests`). A method of ours that answers
    with a stream writes it to its context; so do health and reflection, whose streams have no end of their own.

    Args:
        interceptors: the outermost first.
        endless: those of methods that are endless.
    """

    def __init__(self, interceptors: Sequence[Interceptor], endless: Sequence[Interceptor] = ()) -> None:
        self._interceptors, self._endless = interceptors, endless
        self._handlers: dict[str, RpcMethodHandler] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[_Found]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> RpcMethodHandler:
        """Find the handler of a method; it is wrapped at the method's first call."""
        path = handler_call_details.method
        if path not in self._handlers:
            handler = await continuation(handler_call_details)
            if handler is None:  # there is no such method
                return cast("RpcMethodHandler", handler)
            self._handlers[path] = self._wrap(path, handler)
        return self._handlers[path]

    def _wrap(self, path: str, handler: RpcMethodHandler) -> RpcMethodHandler:
        parse = cast("Callable[[bytes], Message]", handler.request_deserializer)
        is_endless = handler.response_streaming and path.removeprefix("/").startswith(EXEMPT_PREFIXES)
        method = Method(path.removeprefix("/"), parse, handler.request_streaming, is_endless)
        call = cast("Handler", handler.unary_unary or handler.unary_stream or handler.stream_stream)
        for intercept in reversed(self._endless if is_endless else self._interceptors):
            call = intercept(method, call)
        if handler.response_streaming:
            return grpc.stream_stream_rpc_method_handler(call, None, _serialise)
        return grpc.stream_unary_rpc_method_handler(call, None, _serialise)


def _serialise(response: Message | bytes) -> bytes:
    return response if isinstance(response, bytes) else response.SerializeToString()


def status_name(context: Context, error: BaseException | None) -> str:
    """Name of the status that a call ended with, as seen from outside of the interceptor of errors."""
    code = cast("grpc.StatusCode | None", context.code())  # None until something else than OK is set
    if code is not None:
        return code.name
    if error is None:
        return grpc.StatusCode.OK.name
    # Cancelled from outside: the caller went away, or its deadline passed, or the server ended.
    remaining = context.time_remaining()
    expired = remaining is not None and remaining <= 0
    return (grpc.StatusCode.DEADLINE_EXCEEDED if expired else grpc.StatusCode.CANCELLED).name
