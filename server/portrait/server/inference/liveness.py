"""Liveness of Triton: a dead one refuses callers at once, a slow one may take the time that they have.

A circuit breaker (M. Nygard, "Release It!", 2007), but one that is closed again by asking Triton itself, not by a
caller whose time it costs. Death is the end of Triton's process or a refused connection. All else is slowness: it ends
no call, since a call ends by its own deadline; after many looks in a row without an answer it refuses new calls.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from enum import Enum, auto
from typing import Any, TypeVar

from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import Unavailable
from portrait.server.runtime.background import Background

R = TypeVar("R")

RETRY_SECONDS = 1.0
"""A Triton that died is back after about this long."""
SILENT_SECONDS = 0.5
"""A Triton that has answered nothing for so long, though it was asked, is looked at."""
MAX_SILENT_SECONDS = 10.0
"""A Triton that has answered nothing for so long, several looks included, gets no new calls."""
MIN_SILENT_LOOKS = 5
"""Looks in a row without an answer that this takes."""

_POLL_SECONDS = 0.1


class ModelStatus(Enum):
    """Triton's status as a check found it."""

    READY = auto()
    SILENT = auto()
    """It did not answer in time: slow, or stopped for a while."""
    DEAD = auto()
    """Its process has ended, it refuses connections, or it says that it can't."""


class Liveness:
    """Runs calls of Triton, and refuses them at once while it is known to be down.

    Args:
        look: asks Triton whether it answers at all; a model that is slow is no reason to say no.
        is_ready: tells whether it answers with its models.
        is_running: tells whether Triton's process runs; None where that is not known, since others started it.
    """

    def __init__(
        self,
        look: Callable[[], Awaitable[ModelStatus]],
        is_ready: Callable[[], Awaitable[bool]],
        is_running: Callable[[], bool] | None = None,
    ) -> None:
        self._ask, self._is_ready, self._is_running = look, is_ready, is_running
        self._calls: set[asyncio.Task[Any]] = set()
        self._silent_since = 0.0
        self._silent_looks = 0
        self._background = Background()
        self._is_watched = False
        self._down = False
        self._reason = ErrorReason.MODELS_UNAVAILABLE
        """Why calls are refused while it is down."""

    @property
    def is_down(self) -> bool:
        """True while calls are refused."""
        return self._down

    async def run(self, call: Coroutine[Any, Any, R]) -> R:
        """Run one call; returns its answer.

        Raises:
            Unavailable: Triton is known to be down, or died while the call ran.
        """
        if self.has_ended():
            self.mark_dead()
        if self.is_down:
            self._watch()
            call.close()
            raise unavailable(self._reason)
        loop = asyncio.get_running_loop()
        if not self._calls:
            self._note_answer()
        task = loop.create_task(call)
        self._calls.add(task)
        self._watch()
        try:
            answer = await task
            self._note_answer()
            return answer
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                raise  # nobody waits any more
            raise unavailable() from None
        finally:
            task.cancel()
            self._calls.discard(task)

    def mark_ready(self) -> None:
        """Say that Triton answers with its models."""
        self._note_answer()
        self._down = False

    def mark_down(self, reason: ErrorReason = ErrorReason.MODELS_UNAVAILABLE) -> None:
        """Say that new calls would fail, until Triton is ready again; those under way go on.

        Args:
            reason: what callers are told.
        """
        self._down, self._reason = True, reason
        self._watch()

    def mark_dead(self) -> None:
        """Say that Triton is dead: those who wait are told so at once."""
        self.mark_down()
        for task in self._calls:
            task.cancel()

    async def close(self) -> None:
        """End the watch."""
        await self._background.stop()

    def _watch(self) -> None:
        if not self._is_watched:
            self._is_watched = True
            self._background.repeat("liveness of Triton", self._look, _POLL_SECONDS)

    async def _look(self) -> None:
        """Look at Triton if it is silent or down."""
        if self.has_ended():
            self.mark_dead()
        elif self._down:
            if await self._is_ready():
                self.mark_ready()
        elif self._silence() >= SILENT_SECONDS:
            await self._check_silent()

    async def _check_silent(self) -> None:
        """Tell a Triton that is slow from one that is dead."""
        asked = asyncio.get_running_loop().time()
        found = await self._ask()
        if found is ModelStatus.DEAD:
            self.mark_dead()
        elif found is ModelStatus.READY or self._silent_since >= asked:
            self._silent_looks = 0
        else:
            self._silent_looks += 1
            if self._silent_looks >= MIN_SILENT_LOOKS and self._silence() >= MAX_SILENT_SECONDS:
                self.mark_down()

    def has_ended(self) -> bool:
        """Tell whether Triton's process is known to have ended."""
        return self._is_running is not None and not self._is_running()

    def _silence(self) -> float:
        """Seconds for which calls have waited and none was answered."""
        return asyncio.get_running_loop().time() - self._silent_since if self._calls else 0.0

    def _note_answer(self) -> None:
        self._silent_since = asyncio.get_running_loop().time()
        self._silent_looks = 0


def unavailable(reason: ErrorReason = ErrorReason.MODELS_UNAVAILABLE) -> Unavailable:
    """Make the error of a call that Triton can't answer now."""
    loading = reason is ErrorReason.RELEASE_LOADING
    message = "the models of this release are not loaded" if loading else "the models are not there at present"
    return Unavailable(message, RETRY_SECONDS, reason)
