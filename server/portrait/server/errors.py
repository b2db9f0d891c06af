"""Errors of serving a request. The transport maps each of these to a status, in one place.

PortraitError
├── InvalidRequest     expected: the caller sent something that the contract refuses
├── NotFound           expected: the object that the caller names does not exist
├── AlreadyExists      expected: another object has the id that the caller gives
├── FailedPrecondition expected: something else must be done first; a retry would fail too
├── Unauthenticated    expected: the caller does not prove who it is
├── PermissionDenied   expected: the caller may not call the method, or not so
├── Overloaded         expected: more work than can be accepted; retry later
├── DiskFull           expected: the state file can't grow; retry later
├── StateDamaged       expected: the state file has damaged pages; an operator must restore it
├── Unavailable        expected: Triton is down or restarts, or the state file is locked; retry later
├── DeadlineExceeded   expected: the caller's time is up
└── InferenceFailed    unexpected: a model returned an invalid result
"""

from collections.abc import Sequence
from dataclasses import dataclass

from portrait.server.error_reasons import ErrorReason


class PortraitError(Exception):
    """The base of all errors that are raised on purpose while a request is served."""

    reason: ErrorReason
    """The reason, for the programs of callers."""


@dataclass(frozen=True)
class Violation:
    """One field that breaks a limit."""

    field: str
    """Its path in the request, for example `events[3].event.price`."""
    description: str
    """The value that was sent, and the limit; it repeats no text of a shopper."""


class InvalidRequest(PortraitError):
    """Expected. The request breaks the contract.

    Args:
        violations: every field at fault.
        reason: the cause, if it is not the limit of a field.
    """

    def __init__(self, violations: Sequence[Violation], reason: ErrorReason = ErrorReason.FIELD_INVALID) -> None:
        super().__init__("; ".join(f"{each.field}: {each.description}" for each in violations))
        self.violations = tuple(violations)
        self.reason = reason


class NotFound(PortraitError):
    """Expected. The object that a field names does not exist.

    Args:
        field: the field's path in the request.
        message: what was not found; holds no personal data.
        reason: the cause.
    """

    def __init__(self, field: str, message: str, reason: ErrorReason) -> None:
        super().__init__(f"{field}: {message}")
        self.field, self.description, self.reason = field, message, reason


class AlreadyExists(PortraitError):
    """Expected. Another object has the id that a field gives.

    Args:
        field: the field's path in the request.
        message: what has it, and what to do; holds no personal data.
        reason: the cause.
    """

    def __init__(self, field: str, message: str, reason: ErrorReason) -> None:
        super().__init__(f"{field}: {message}")
        self.field, self.description, self.reason = field, message, reason


class FailedPrecondition(PortraitError):
    """Expected. A precondition of the request does not hold, or not any more.

    Args:
        message: what is missing, and what to do; holds no personal data.
        reason: the cause.
        field: the path of the field that names it; empty if none does.
    """

    def __init__(self, message: str, reason: ErrorReason, field: str = "") -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.field, self.description, self.reason = field, message, reason


class Unauthenticated(PortraitError):
    """Expected. The call proves no caller.

    Args:
        message: what is wanted; repeats nothing of what was sent.
        reason: the cause.
    """

    def __init__(self, message: str, reason: ErrorReason) -> None:
        super().__init__(message)
        self.reason = reason


class PermissionDenied(PortraitError):
    """Expected. The caller lacks a right.

    Args:
        message: which.
        reason: the cause.
    """

    def __init__(self, message: str, reason: ErrorReason) -> None:
        super().__init__(message)
        self.reason = reason


class Overloaded(PortraitError):
    """Expected. A queue is full.

    Args:
        message: which.
        retry_after: seconds after which a retry makes sense.
        reason: the cause.
    """

    def __init__(self, message: str, retry_after: float, reason: ErrorReason) -> None:
        super().__init__(message)
        self.retry_after, self.reason = retry_after, reason


class DiskFull(PortraitError):
    """Expected. The disk of the state file is full; nothing of the request was stored.

    Args:
        message: what is full.
        retry_after: seconds after which a retry makes sense.
    """

    reason = ErrorReason.DISK_FULL

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class StateDamaged(PortraitError):
    """Expected. Pages of the state file are damaged: it takes no more writes until an operator has restored it.

    Args:
        message: what is damaged.
    """

    reason = ErrorReason.STATE_DAMAGED


class Unavailable(PortraitError):
    """Expected. A part that the request needs is down.

    Args:
        message: which.
        retry_after: seconds after which a retry makes sense.
        reason: the cause.
    """

    def __init__(self, message: str, retry_after: float, reason: ErrorReason) -> None:
        super().__init__(message)
        self.retry_after, self.reason = retry_after, reason


class DeadlineExceeded(PortraitError):
    """Expected. The deadline of the call passed before the response was ready."""

    reason = ErrorReason.DEADLINE_EXCEEDED


class InferenceFailed(PortraitError):
    """Unexpected. The output of a model is missing, has another shape, or is not finite."""

    reason = ErrorReason.INTERNAL
