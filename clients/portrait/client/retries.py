"""Retries: a call that fails with UNAVAILABLE is repeated until its deadline.

gRPC's own retry policy makes at most five attempts, which are over within seconds. Its rules apply here too
(gRFC A6, https://github.com/grpc/proposal/blob/master/A6-client-retries.md): pauses double, the server may state the
pause, and there is a token budget. A failure takes one of ten tokens, and a success returns a tenth of a token. With
half of the tokens or fewer, every pause is the longest, so that a server in trouble gets few extra calls.
RESOURCE_EXHAUSTED is not retried: the caller knows whether it can wait. Every call is safe to repeat: events have ids,
and all other calls read or set.
"""

import random
import time
from typing import Any

import grpc

from portrait.client.errors import PortraitError

_FIRST_PAUSE, _MAX_PAUSE = 0.1, 2.0
"""Pause before a retry in seconds; doubles with each retry."""
_MIN_SECONDS = 0.2
"""Time that must be left for a retry."""
_MAX_TOKENS, _TOKENS_PER_SUCCESS = 10.0, 0.1
_PUSHBACK_KEY = "grpc-retry-pushback-ms"


class Retries:
    """Paces the retries of all calls of one client."""

    def __init__(self) -> None:
        self._tokens = _MAX_TOKENS

    def begin(self, seconds: float) -> "Attempts":
        """Begin a call that may take the given time, all its attempts together."""
        return Attempts(self, seconds)

    @property
    def is_throttled(self) -> bool:
        """True if half of the token budget or more is used up."""
        return self._tokens <= _MAX_TOKENS / 2

    def record_success(self) -> None:
        """Return a part of a token to the budget."""
        self._tokens = min(self._tokens + _TOKENS_PER_SUCCESS, _MAX_TOKENS)

    def record_failure(self) -> None:
        """Take a token from the budget."""
        self._tokens = max(self._tokens - 1.0, 0.0)


class Attempts:
    """Tracks the attempts of one call.

    Args:
        retries: the budget of the client.
        seconds: time limit for all attempts together.
    """

    def __init__(self, retries: Retries, seconds: float) -> None:
        self._retries = retries
        self._deadline = time.monotonic() + seconds
        self._pause = _FIRST_PAUSE
        self._has_response = False

    @property
    def seconds_left(self) -> float:
        """Seconds until the deadline."""
        return max(self._deadline - time.monotonic(), 0.0)

    def record_response(self) -> None:
        """Mark the call as answered, or its stream as begun: it is not repeated."""
        if not self._has_response:
            self._has_response = True
            self._retries.record_success()

    def pause_after(self, error: grpc.RpcError, failure: PortraitError) -> float | None:
        """Return the pause before the next attempt in seconds; None if there is none.

        Args:
            error: the error of the last attempt.
            failure: the same error as the client's own type.
        """
        if failure.code is not grpc.StatusCode.UNAVAILABLE or self._has_response:
            return None
        self._retries.record_failure()
        requested = _requested_pause(error, failure)
        if requested is not None:
            return requested if 0.0 <= requested < self.seconds_left else None
        longest = self.seconds_left - _MIN_SECONDS
        if longest <= 0.0:
            return None
        pause = _MAX_PAUSE if self._retries.is_throttled else self._pause
        self._pause = min(2 * self._pause, _MAX_PAUSE)
        return min(pause * random.uniform(0.8, 1.0), longest)  # noqa: S311 - not a secret


def _requested_pause(error: grpc.RpcError, failure: PortraitError) -> float | None:
    """Return the pause in seconds that the server asks for; negative for no retry, None if it states none."""
    trailing: Any = error.trailing_metadata() or ()
    for key, value in trailing:
        if key == _PUSHBACK_KEY:
            try:
                return int(value) / 1000
            except ValueError:
                return -1.0
    return failure.retry_after
