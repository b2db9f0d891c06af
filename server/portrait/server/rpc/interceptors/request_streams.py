"""The reading of streams of requests: each request is parsed, checked against the limits, and counted."""

import asyncio
import itertools
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Literal

from portrait.features.generators import run_to_completion
from portrait.server.admission.request_units import count_units
from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import Unavailable
from portrait.server.rpc.context import Context, Handler, Interceptor, Method, Request, Response, StreamedRequest
from portrait.server.rpc.contract.validation import validate
from portrait.server.rpc.interceptors.request_parser import LONG_BYTES, Parser, refuse_broken
from portrait.server.runtime.cooperation import run_in_steps

_RETRY_SECONDS = 1.0


def read_request_streams(draining: asyncio.Event) -> Interceptor:
    """Give a method of the contract that takes a stream its requests, each read when the method asks for it.

    When the server drains, the stream ends behind the requests that were read, so that the caller can go on elsewhere.

    Args:
        draining: the event that is set when the drain begins.
    """

    def intercept(method: Method, call_next: Handler) -> Handler:
        if not method.takes_stream:
            return call_next

        async def handle(unread: object, context: Context) -> Response:
            drained = asyncio.ensure_future(draining.wait())
            try:
                async with aclosing(_read_requests(method, context, drained)) as requests:
                    return await call_next(requests, context)
            finally:
                drained.cancel()

        return handle

    return intercept


async def _read_requests(
    method: Method, context: Context, drained: "asyncio.Future[Literal[True]]"
) -> AsyncGenerator[StreamedRequest, None]:
    parser = Parser(method)
    for place in itertools.count():
        wire = await _read(context, drained)
        if not isinstance(wire, bytes):  # the end of the stream
            return
        path = f"requests[{place}]"
        message, size = parser.parse(Request(wire, method.parse), path), len(wire)
        checking = validate(message, path)
        refuse_broken(run_to_completion(checking) if size <= LONG_BYTES else await run_in_steps(checking))
        yield StreamedRequest(message, count_units(message, size) or 1)


async def _read(context: Context, drained: "asyncio.Future[Literal[True]]") -> object:
    """Read one message; the end of the stream is no bytes.

    Raises:
        Unavailable: the server drains.
    """
    reading = asyncio.ensure_future(context.read())
    try:
        await asyncio.wait({reading, drained}, return_when=asyncio.FIRST_COMPLETED)
        if reading.done():
            return reading.result()
    finally:
        reading.cancel()
    raise Unavailable("the server ends", _RETRY_SECONDS, ErrorReason.GATEWAY_STOPPING)
