"""What a call can fail with.

PortraitError
├── InvalidRequestError      the request breaks the contract: `violations` names every field
├── NotFoundError            no such shopper, item or catalogue
├── FailedPreconditionError  something else must be done first: a consent set, a shopper table made
├── DeadlineExceededError    the answer was not there in time
├── UnavailableError         the gateway or its models are down, or overloaded: `retry_after` says for how long
└── ServerError              anything else; tell its operator the `request_id`
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
    """One field at fault."""

    field: str
    description: str


class PortraitError(Exception):
    """A call failed.

    Args:
        code: the gRPC status.
        message: what the server said.
        request_id: names the call in the server's log; empty if the call never got there.
        violations: the fields at fault.
        retry_after: seconds after which a retry makes sense; None if the server did not say.
        reason: the cause in one word of the server's list, for example `SHOPPER_UNKNOWN`; empty if the call never got
            there.
        hint: what the client can say of the cause, and which argument or option mends it; may be empty.
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
        # All of them, so that it can be pickled.
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
        """Name of the status, and the reason where that says more: `NOT_FOUND (SHOPPER_UNKNOWN)`."""
        return f"{self.code.name} ({self.reason})" if self.reason not in ("", self.code.name) else self.code.name

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}{f' ({self.hint})' if self.hint else ''}"


class InvalidRequestError(PortraitError):
    """The request breaks the contract."""


class NotFoundError(PortraitError):
    """What the request names is not there."""


class FailedPreconditionError(PortraitError):
    """What the request builds on is not there, or not there any more; the message says what to do."""


class DeadlineExceededError(PortraitError):
    """The answer was not there in time."""


class UnavailableError(PortraitError):
    """The gateway or its models are down or overloaded."""


class ServerError(PortraitError):
    """Anything else."""


_KINDS: dict[grpc.StatusCode, type[PortraitError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequestError,
    grpc.StatusCode.NOT_FOUND: NotFoundError,
    grpc.StatusCode.FAILED_PRECONDITION: FailedPreconditionError,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceededError,
    grpc.StatusCode.UNAVAILABLE: UnavailableError,
    grpc.StatusCode.RESOURCE_EXHAUSTED: UnavailableError,
}


def from_rpc(error: grpc.RpcError, request_id: str = "", timeout: float | None = None) -> PortraitError:
    """Read the typed error of a failed call.

    Args:
        error: what gRPC raised.
        request_id: the caller's own name of the call, where the answer brings none.
        timeout: seconds that the call might take, for the message; None if it had no limit.
    """
    if not hasattr(error, "code"):  # raised by an interceptor of the caller's
        return ServerError(grpc.StatusCode.UNKNOWN, str(error), request_id)
    code: grpc.StatusCode = error.code()
    pairs: Any = error.trailing_metadata() or ()
    metadata: dict[str, str | bytes] = {key: value for key, value in pairs}
    violations, retry_after, reason = _details(metadata.get(_DETAILS_KEY, b""))
    named = str(metadata.get(_REQUEST_ID_KEY, request_id))
    late = code is grpc.StatusCode.DEADLINE_EXCEEDED and timeout is not None
    hint = f"the call might take {timeout:g} s: timeout, --timeout" if late else ""
    return _KINDS.get(code, ServerError)(code, error.details() or "", named, violations, retry_after, reason, hint)


def _details(packed: str | bytes) -> tuple[list[FieldViolation], float | None, str]:
    """Read the fields at fault, the seconds to wait, and the reason."""
    violations: list[FieldViolation] = []
    retry_after, reason = None, ""
    try:
        details = status_pb2.Status.FromString(packed if isinstance(packed, bytes) else packed.encode()).details
    except DecodeError:
        return [], None, ""  # made by a proxy, not by Portrait: code and message still count
    for detail in details:
        info, bad, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            reason = info.reason
        elif detail.Unpack(bad):
            violations.extend(FieldViolation(each.field, each.description) for each in bad.field_violations)
        elif detail.Unpack(retry):
            retry_after = retry.retry_delay.ToTimedelta().total_seconds()
    return violations, retry_after, reason
