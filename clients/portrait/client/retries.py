"""Retries: a call that failed with UNAVAILABLE is made again until its deadline.

gRPC's own retry policy makes five tries at most, which are over in seconds. Its rules hold here too
(gRFC A6, https://github.com/grpc/proposal/blob/master/A6-client-retries.md): pauses that double, a server that says
when to come back, and a budget: a failure takes a token of ten, a success gives a tenth back, and below half of them
the pauses are the longest, so that a server in trouble is not asked much more often than otherwise.
RESOURCE_EXHAUSTED is not tried again: the caller knows whether it can wait. Every call is safe to repeat: events carry
ids, and all else reads or sets.
"""

import random
import time
from typing import Any

import grpc

from portrait.client.errors import PortraitError

_FIRST_PAUSE, _MAX_PAUSE = 0.1, 2.0
"""Seconds before a call is made again; doubled each time."""
_MIN_SECONDS = 0.2
"""Time that a call must have left to be made again."""
_MAX_TOKENS, _TOKEN_OF_SUCCESS = 10.0, 0.1
_PUSHBACK_KEY = "grpc-retry-pushback-ms"


class Retries:
    """Paces the retries of all calls of one client."""

    def __init__(self) -> None:
        self._tokens = _MAX_TOKENS

    def begin(self, seconds: float) -> "Tries":
        """Begin a call that may take so many seconds, all its tries together."""
        return Tries(self, seconds)

    @property
    def is_spent(self) -> bool:
        """Whether more than half of the budget is gone."""
        return self._tokens <= _MAX_TOKENS / 2

    def note_success(self) -> None:
        """Count a call that was answered."""
        self._tokens = min(self._tokens + _TOKEN_OF_SUCCESS, _MAX_TOKENS)

    def note_failure(self) -> None:
        """Count a try that failed."""
        self._tokens = max(self._tokens - 1.0, 0.0)


class Tries:
    """The tries of one call.

    Args:
        retries: paces the calls of the client.
        seconds: time for all tries together.
    """

    def __init__(self, retries: Retries, seconds: float) -> None:
        self._retries = retries
        self._deadline = time.monotonic() + seconds
        self._pause = _FIRST_PAUSE
        self._is_answered = False

    @property
    def left(self) -> float:
        """Seconds until the deadline."""
        return max(self._deadline - time.monotonic(), 0.0)

    def note_answer(self) -> None:
        """Count the call as answered, or a stream as begun: it is not made again."""
        if not self._is_answered:
            self._is_answered = True
            self._retries.note_success()

    def pause_after(self, error: grpc.RpcError, known: PortraitError) -> float | None:
        """Decide how many seconds to wait before the call is made again; None if it is not.

        Args:
            error: what it failed with.
            known: the same, as the client's own error.
        """
        if known.code is not grpc.StatusCode.UNAVAILABLE or self._is_answered:
            return None
        self._retries.note_failure()
        told = _told_pause(error, known)
        if told is not None:
            return told if 0.0 <= told < self.left else None
        longest = self.left - _MIN_SECONDS
        if longest <= 0.0:
            return None
        pause = _MAX_PAUSE if self._retries.is_spent else self._pause
        self._pause = min(2 * self._pause, _MAX_PAUSE)
        return min(pause * random.uniform(0.8, 1.0), longest)  # noqa: S311 - not a secret


def _told_pause(error: grpc.RpcError, known: PortraitError) -> float | None:
    """The seconds after which the server wants to be asked again; negative for never, None if it did not say."""
    trailing: Any = error.trailing_metadata() or ()
    for key, value in trailing:
        if key == _PUSHBACK_KEY:
            try:
                return int(value) / 1000
            except ValueError:
                return -1.0
    return known.retry_after
