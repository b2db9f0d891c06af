"""A waiting job: one row of a future batch."""

import asyncio
from dataclasses import dataclass
from typing import Generic, TypeVar

from opentelemetry.trace import Span

from portrait.server.batching.caller_key import CallerKey
from portrait.server.errors import DeadlineExceeded

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True, eq=False)
class Job(Generic[T, R]):
    """One item and the future that its caller awaits."""

    item: T
    length: int
    """Its units, without padding: tokens, events or candidates."""
    deadline: float
    """By `loop.time()`; infinite without a deadline."""
    arrival: int
    """Unique sequence number."""
    key: CallerKey
    answer: "asyncio.Future[R]"
    span: Span | None = None
    """The wait of its caller, if that is traced."""

    @property
    def is_abandoned(self) -> bool:
        """True if nobody waits for the job any more."""
        return self.answer.done()

    def drop_if_expired(self, now: float) -> bool:
        """Return True if the job need not run; fail it with DeadlineExceeded if its deadline has passed."""
        if not self.answer.done():
            if self.deadline > now:
                return False
            self.answer.set_exception(DeadlineExceeded("the deadline passed while the work waited"))
        return True
