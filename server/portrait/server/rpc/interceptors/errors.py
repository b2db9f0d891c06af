"""The mapping of errors to statuses: no internal detail reaches the caller."""

import asyncio
import traceback
from typing import NoReturn

import grpc
import structlog

from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import PortraitError, Unavailable
from portrait.server.rpc.context import Context, Handler, Method, Response
from portrait.server.rpc.contract.statuses import DETAILS_KEY, Status, internal_status, is_expected, status_from_error

_RETRY_SECONDS = 1.0

_log = structlog.get_logger(__name__)


def map_errors(method: Method, call_next: Handler) -> Handler:
    """End a call with the status and details of an expected error; with INTERNAL and the request id of any other."""

    async def handle(request: object, context: Context) -> Response:
        try:
            return await call_next(request, context)
        except grpc.aio.AbortError:
            raise  # the handler has ended the call by itself, as health does
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise  # the caller has gone, or the server ends
            # Something that the call waited for was cancelled. Without a status, a caller without deadline would hang.
            status = status_from_error(
                Unavailable("the work was cancelled", _RETRY_SECONDS, ErrorReason.WORK_CANCELLED), _request_id()
            )
        except Exception as error:
            if isinstance(error, PortraitError) and is_expected(error):
                status = status_from_error(error, _request_id())
            else:
                _log_internal_error(method, error)
                status = internal_status(_request_id())
        return await abort(context, status)

    return handle


def _request_id() -> str:
    return str(structlog.contextvars.get_contextvars().get("request_id", ""))


async def abort(context: Context, status: Status) -> NoReturn:
    """End the call with a status. grpc's `abort_with_status` is not used, as it hides the status from tracing."""
    trailing = (*(context.trailing_metadata() or ()), *_pushback(context, status), (DETAILS_KEY, status.packed))
    await context.abort(status.code, status.message, trailing)


def _pushback(context: Context, status: Status) -> list[tuple[str, str]]:
    """Make the metadata that lets gRPC's own retries wait as long as `RetryInfo` says, or not retry past the deadline.

    Portrait's clients let gRPC retry UNAVAILABLE only; other clients may also let it retry RESOURCE_EXHAUSTED.

    See gRFC A6, https://github.com/grpc/proposal/blob/master/A6-client-retries.md.
    """
    if status.retry_after is None:
        return []
    left = context.time_remaining()
    worthwhile = left is None or left > status.retry_after
    return [("grpc-retry-pushback-ms", str(round(1000 * status.retry_after)) if worthwhile else "-1")]


def _log_internal_error(method: Method, error: Exception) -> None:
    """Log the place of the error, but not its text, which may quote what a shopper typed."""
    frames = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    _log.error("internal_error", method=method.name, exception=type(error).__qualname__, frames=frames)
