"""An answer without the models, for callers who would rather have that than none."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import TypeVar

from portrait.server.errors import DeadlineExceeded, Overloaded, PortraitError, Unavailable

R = TypeVar("R")

_RESERVED_SHARE, _RESERVED_SECONDS = 0.25, 0.25
"""Time reserved for an answer without the models: this share of the remaining time, at most these seconds."""


class Cause(StrEnum):
    """Why the models were not asked, or not waited for."""

    UNAVAILABLE = "unavailable"
    OVERLOADED = "overloaded"
    LATE = "late"


class Fallback:
    """Answers with the models, or else without."""

    def __init__(self) -> None:
        self.answers: Counter[Cause] = Counter()
        """Answers without the models, by cause."""

    async def answer(
        self, full: Callable[[float | None], Awaitable[R]], spare: Callable[[], R | None], deadline: float | None
    ) -> R:
        """The full answer; the spare one if the full one fails for want of models, or is not there in time.

        Args:
            full: answers with the models by a `loop.time()`, None for whenever.
            spare: answers without, at once; None if it can't.
            deadline: `loop.time()` at which the caller's time is up; None if never.

        Raises:
            PortraitError: what the full answer failed with, where there is no spare one.
        """
        latest = None if deadline is None else _model_deadline(deadline)
        try:
            try:
                async with asyncio.timeout_at(latest) as timeout:
                    return await full(latest)
            except TimeoutError:
                if not timeout.expired():
                    raise
                raise DeadlineExceeded("the models did not answer in time") from None
        except (Unavailable, Overloaded, DeadlineExceeded) as error:
            answer = spare()
            if answer is None:
                raise
            self.answers[_cause_of(error)] += 1
            return answer


def _model_deadline(deadline: float) -> float:
    """Until when the models are waited for."""
    left = max(0.0, deadline - asyncio.get_running_loop().time())
    return deadline - min(_RESERVED_SECONDS, _RESERVED_SHARE * left)


def _cause_of(error: PortraitError) -> Cause:
    match error:
        case Unavailable():
            return Cause.UNAVAILABLE
        case Overloaded():
            return Cause.OVERLOADED
    return Cause.LATE
