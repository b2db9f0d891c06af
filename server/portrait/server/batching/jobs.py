"""Work that waits: one row of a batch to come."""

import asyncio
from dataclasses import dataclass
from typing import Generic, TypeVar

from portrait.server.batching.share import Share
from portrait.server.errors import DeadlineExceeded

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True, eq=False)
class Job(Generic[T, R]):
    """One item and who waits for it."""

    item: T
    length: int
    """Its places, without padding."""
    deadline: float
    """By the loop's clock; infinite if it has none."""
    arrival: int
    """No two jobs share it."""
    share: Share
    answer: "asyncio.Future[R]"

    @property
    def is_gone(self) -> bool:
        """Whether nobody waits for it any more."""
        return self.answer.done()

    def drop_if_dead(self, now: float) -> bool:
        """Whether it is not worth running; one whose time is up is told so."""
        if not self.answer.done():
            if self.deadline > now:
                return False
            self.answer.set_exception(DeadlineExceeded("the deadline passed while the work waited"))
        return True
