"""Errors of calls.

PortraitError
├── InvalidRequestError      the request violates the contract: `violations` names every field at fault
├── NotFoundError            the shopper, item or catalogue does not exist
├── FailedPreconditionError  a consent or an audience table is missing; the message says what to do first
├── AccessDeniedError        the caller does not prove who it is, or may not call the method
├── DeadlineExceededError    no response within the time limit
├── UnavailableError         the gateway or its models are down or overloaded: `retry_after` is the pause in seconds
└── ServerError              any other error; report the `request_id` to the operator
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

_DETAILS_KEY = "grpc-status-details-bin"
_REQUEST_ID_KEY = "x-request-id"


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """A field at fault."""

    field: str
    description: str


class PortraitError(Exception):
    """A call failed.

    Args:
        code: the gRPC status code.
        message: the server's message.
        request_id: id of the call in the server's log; empty if the call did not reach the server.
        violations: the fields at fault.
        retry_after: seconds after which a retry makes sense; None if the server states none.
        reason: the server's reason code, for example `SHOPPER_UNKNOWN`; empty if the call did not reach the server.
        hint: the likely cause, and the argument or option that fixes it; may be empty.
    """

    def __init__(
        self,
        code: grpc.StatusCode,
        message: str,
        request_id: str = "",
        violations: Sequence[FieldViolation] = (),
        retry_after: float | None = None,
        reason: str = "",
        hint: str = "",
    ) -> None:
        # Exceptions are pickled by their arguments: pass all of them.
        super().__init__(code, message, request_id, tuple(violations), retry_after, reason, hint)
        self.code = code
        self.message = message
        self.request_id = request_id
        self.violations = tuple(violations)
        self.retry_after = retry_after
        self.reason = reason
        self.hint = hint

    @property
    def kind(self) -> str:
        """The status with the reason, if it says more: `NOT_FOUND (SHOPPER_UNKNOWN)`."""
        return f"{self.code.name} ({self.reason})" if self.reason not in ("", self.code.name) else self.code.name

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}{f' ({self.hint})' if self.hint else ''}"


class InvalidRequestError(PortraitError):
    """The request violates the contract."""


class NotFoundError(PortraitError):
    """The shopper, item, catalogue or trait of the request does not exist."""


class FailedPreconditionError(PortraitError):
    """A precondition of the request is not met; the message says what to do."""


class AccessDeniedError(PortraitError):
    """The caller's token or certificate is missing or not valid, or lacks the scope of the method."""


class DeadlineExceededError(PortraitError):
    """No response arrived within the time limit."""


class UnavailableError(PortraitError):
    """The gateway or its models are down or overloaded."""


class ServerError(PortraitError):
    """Any other error."""


_KINDS: dict[grpc.StatusCode, type[PortraitError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequestError,
    grpc.StatusCode.NOT_FOUND: NotFoundError,
    grpc.StatusCode.FAILED_PRECONDITION: FailedPreconditionError,
    grpc.StatusCode.UNAUTHENTICATED: AccessDeniedError,
    grpc.StatusCode.PERMISSION_DENIED: AccessDeniedError,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceededError,
    grpc.StatusCode.UNAVAILABLE: UnavailableError,
    grpc.StatusCode.RESOURCE_EXHAUSTED: UnavailableError,
}


def from_rpc(error: grpc.RpcError, request_id: str = "", timeout: float | None = None) -> PortraitError:
    """Read the typed error of a failed call.

    Args:
        error: the error that gRPC raised.
        request_id: the caller's request id, used if the response has none.
        timeout: time limit of the call in seconds, for the message; None if it had no limit.
    """
    if not hasattr(error, "code"):  # raised by one of the caller's interceptors
        return ServerError(grpc.StatusCode.UNKNOWN, str(error), request_id)
    code: grpc.StatusCode = error.code()
    pairs: Any = error.trailing_metadata() or ()
    metadata: dict[str, str | bytes] = {key: value for key, value in pairs}
    violations, retry_after, reason = _details(metadata.get(_DETAILS_KEY, b""))
    request_id = str(metadata.get(_REQUEST_ID_KEY, request_id))
    is_late = code is grpc.StatusCode.DEADLINE_EXCEEDED and timeout is not None
    hint = f"the time limit was {timeout:g} s: timeout, --timeout" if is_late else ""
    return _KINDS.get(code, ServerError)(code, error.details() or "", request_id, violations, retry_after, reason, hint)


def _details(packed: str | bytes) -> tuple[list[FieldViolation], float | None, str]:
    """Read the fields at fault, the pause before a retry in seconds, and the reason."""
    violations: list[FieldViolation] = []
    retry_after, reason = None, ""
    try:
        details = status_pb2.Status.FromString(packed if isinstance(packed, bytes) else packed.encode()).details
    except DecodeError:
        return [], None, ""  # from a proxy, not from Portrait; code and message are still valid
    for detail in details:
        info, bad, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            reason = info.reason
        elif detail.Unpack(bad):
            violations.extend(FieldViolation(each.field, each.description) for each in bad.field_violations)
        elif detail.Unpack(retry):
            retry_after = retry.retry_delay.ToTimedelta().total_seconds()
    return violations, retry_after, reason
