"""The chain of interceptors: each is a function that wraps the next one; grpc.aio sees one interceptor."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias, cast

import grpc
from google.protobuf.message import Message

from portrait.server.admission.costs import EXEMPT_PREFIXES
from portrait.server.rpc.context import Context, Handler, Interceptor, Method

RpcMethodHandler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
_Found: TypeAlias = "grpc.RpcMethodHandler[Any, Any] | None"


class InterceptorChain(grpc.aio.ServerInterceptor):  # type: ignore[type-arg] # generic in its stubs only
    """Wraps every method in its interceptors.

    For grpc every method takes a stream, which is the same on the wire: `read_request` reads its one message, so that a
    call without one gets a response too. `parse_request` hands the message to the method. A method that responds with a
    stream writes it to its context; so do health and reflection, whose streams have no end of their own.

    Args:
        interceptors: the interceptors of ordinary methods, the outermost first.
        endless: those of endless methods.
    """

    def __init__(self, interceptors: Sequence[Interceptor], endless: Sequence[Interceptor] = ()) -> None:
        self._interceptors, self._endless = interceptors, endless
        self._handlers: dict[str, RpcMethodHandler] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[_Found]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> RpcMethodHandler:
        """Find the handler of a method; the method's first call wraps it."""
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
        call = wrap(method, call, self._endless if is_endless else self._interceptors)
        if handler.response_streaming:
            return grpc.stream_stream_rpc_method_handler(call, None, _serialise)
        return grpc.stream_unary_rpc_method_handler(call, None, _serialise)


def wrap(method: Method, handler: Handler, interceptors: Sequence[Interceptor]) -> Handler:
    """Wrap the handler of a method in interceptors, the outermost first."""
    for intercept in reversed(interceptors):
        handler = intercept(method, handler)
    return handler


def _serialise(response: Message | bytes) -> bytes:
    return response if isinstance(response, bytes) else response.SerializeToString()


def status_name(context: Context, error: BaseException | None) -> str:
    """Name the status that a call ended with, as seen from outside of `map_errors`."""
    code = cast("grpc.StatusCode | None", context.code())  # None until something else than OK is set
    if code is not None:
        return code.name
    if error is None:
        return grpc.StatusCode.OK.name
    # Cancelled from outside: the caller has gone, its deadline has passed, or the server ends.
    remaining = context.time_remaining()
    expired = remaining is not None and remaining <= 0
    return (grpc.StatusCode.DEADLINE_EXCEEDED if expired else grpc.StatusCode.CANCELLED).name
