"""The statuses of errors: one table from exception to gRPC status, and the details of each status."""

from dataclasses import dataclass
from functools import cached_property

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import (
    AlreadyExists,
    DeadlineExceeded,
    DiskFull,
    FailedPrecondition,
    InvalidRequest,
    NotFound,
    Overloaded,
    PermissionDenied,
    PortraitError,
    StateDamaged,
    Unauthenticated,
    Unavailable,
)

DOMAIN = "portrait"
DETAILS_KEY = "grpc-status-details-bin"

_CODES: dict[type[PortraitError], grpc.StatusCode] = {
    InvalidRequest: grpc.StatusCode.INVALID_ARGUMENT,
    NotFound: grpc.StatusCode.NOT_FOUND,
    AlreadyExists: grpc.StatusCode.ALREADY_EXISTS,
    FailedPrecondition: grpc.StatusCode.FAILED_PRECONDITION,
    Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    PermissionDenied: grpc.StatusCode.PERMISSION_DENIED,
    Overloaded: grpc.StatusCode.RESOURCE_EXHAUSTED,
    DiskFull: grpc.StatusCode.RESOURCE_EXHAUSTED,
    StateDamaged: grpc.StatusCode.DATA_LOSS,
    Unavailable: grpc.StatusCode.UNAVAILABLE,
    DeadlineExceeded: grpc.StatusCode.DEADLINE_EXCEEDED,
}
"""Every expected error. Any other is a fault of the gateway, and ends as INTERNAL."""

# Status and details travel as HTTP/2 headers, of which clients take 8 KiB by default.
_MAX_LISTED_VIOLATIONS = 20
_MAX_DESCRIBED_VIOLATIONS = 3


@dataclass(frozen=True)
class Status:
    """A gRPC status and its details."""

    code: grpc.StatusCode
    message: str
    details: tuple[Message, ...] = ()
    retry_after: float | None = None
    """Seconds after which a retry makes sense, as the details say too."""

    @cached_property
    def packed(self) -> bytes:
        """A serialised `google.rpc.Status`, the value of `grpc-status-details-bin`."""
        details = []
        for detail in self.details:
            details.append(any_pb2.Any())
            details[-1].Pack(detail)
        code: int = self.code.value[0]
        return status_pb2.Status(code=code, message=self.message, details=details).SerializeToString()


def is_expected(error: BaseException) -> bool:
    """Tell whether the caller may know the error; every other error is a fault of the gateway."""
    return type(error) in _CODES


def status_from_error(error: PortraitError, request_id: str | None) -> Status:
    """Make the status of an expected error; without a request id it serves for many calls."""
    known = {} if request_id is None else {"request_id": request_id}
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=known)
    retry_after = error.retry_after if isinstance(error, Unavailable | Overloaded | DiskFull) else None
    return Status(_CODES[type(error)], message_from_error(error), (info, *_details(error)), retry_after)


def internal_status(request_id: str) -> Status:
    """Make the status of a fault of the gateway: the caller gets the request id, under which the log has more."""
    info = error_details_pb2.ErrorInfo(reason=ErrorReason.INTERNAL, domain=DOMAIN, metadata={"request_id": request_id})
    return Status(grpc.StatusCode.INTERNAL, f"internal error; request id {request_id}", (info,))


def code_from_error(error: PortraitError) -> int:
    """Return the number of an expected error's status code, for an entry of a batch."""
    code: int = _CODES[type(error)].value[0]
    return code


def field_from_error(error: PortraitError) -> str:
    """Return the path of the first field that breaks a limit; empty if there is none."""
    match error:
        case InvalidRequest(violations=[first, *_]):
            return first.field
        case NotFound() | AlreadyExists() | FailedPrecondition():
            return error.field
    return ""


def message_from_error(error: PortraitError) -> str:
    """Describe an error in a few words."""
    if not isinstance(error, InvalidRequest):
        return str(error)
    words = [f"{each.field}: {each.description}".removeprefix(": ") for each in error.violations]
    more = len(words) - _MAX_DESCRIBED_VIOLATIONS
    return "; ".join(words[:_MAX_DESCRIBED_VIOLATIONS]) + (f"; and {more} more" if more > 0 else "")


def _details(error: PortraitError) -> tuple[Message, ...]:
    match error:
        case InvalidRequest():
            listed = [
                error_details_pb2.BadRequest.FieldViolation(field=each.field, description=each.description)
                for each in error.violations[:_MAX_LISTED_VIOLATIONS]
            ]
            return (error_details_pb2.BadRequest(field_violations=listed),)
        case NotFound() | AlreadyExists() | FailedPrecondition() if error.field:
            violation = error_details_pb2.BadRequest.FieldViolation(field=error.field, description=error.description)
            return (error_details_pb2.BadRequest(field_violations=[violation]),)
        case Unavailable() | Overloaded() | DiskFull():
            delay = duration_pb2.Duration()
            delay.FromMilliseconds(round(1000 * error.retry_after))
            return (error_details_pb2.RetryInfo(retry_delay=delay),)
    return ()
