"""Kinds of failures of Triton calls: it says many things with few status codes, UNAVAILABLE alone means seven."""

from enum import Enum, auto

from tritonclient.utils import InferenceServerException

from portrait.server.triton.shared_memory import says_full


class Failure(Enum):
    """Why a call of Triton has no answer."""

    LATE = auto()
    """The call's deadline passed."""
    QUEUED = auto()
    """The model's queue is full, or the call waited in it for too long."""
    REFUSED = auto()
    """Nobody listens at Triton's address: it is dead."""
    CLOSED = auto()
    """The connection ended under the call. Whether Triton did too, the next connection tells."""
    MISSING = auto()
    """The model is not loaded."""
    UNHEALTHY = auto()
    """The process behind the model is dead, or was not scheduled for a second: Triton does not tell these apart."""
    MEMORY = auto()
    """The shared memory of Triton and its model processes is full."""
    FAULT = auto()
    """The model, or Triton, answered with an error."""


# Triton words some of these, gRPC the others; neither has codes for them.
_PHRASES = (
    ("exceeds maximum queue size", Failure.QUEUED),
    ("timeout expired", Failure.QUEUED),
    ("is not healthy", Failure.UNHEALTHY),
    ("failed to retrieve the response error", Failure.UNHEALTHY),
    ("unknown model", Failure.MISSING),
    ("not at ready state", Failure.MISSING),
)
_STATUSES = {
    "DEADLINE_EXCEEDED": Failure.LATE,
    "NOT_FOUND": Failure.MISSING,
    "CANCELLED": Failure.CLOSED,
}
_REFUSALS = ("connection refused", "no such file or directory")
"""Messages of a refused connection: at a port, and at the path of a socket."""


def classify(error: InferenceServerException) -> Failure:
    """Tell what a failed call of Triton means."""
    if says_full(str(error.message())):
        return Failure.MEMORY
    status, message = str(error.status()).removeprefix("StatusCode."), str(error.message()).lower()
    if status in _STATUSES:
        return _STATUSES[status]
    for phrase, failure in _PHRASES:
        if phrase in message:
            return failure
    if status != "UNAVAILABLE":
        return Failure.FAULT
    return Failure.REFUSED if any(phrase in message for phrase in _REFUSALS) else Failure.CLOSED
