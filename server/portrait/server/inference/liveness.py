"""Whether Triton can be asked at all: a memory of its silence, so that not every caller waits to find it out.

A circuit breaker (M. Nygard, "Release It!", 2007), but one that is closed again by asking Triton itself, not by a
caller whose time it costs.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from portrait.server.errors import Unavailable

R = TypeVar("R")

RETRY_SECONDS = 1.0
"""A Triton that died is back after about this long."""
SILENT_SECONDS = 0.5
"""A Triton that has answered nothing for so long, though it was asked, is looked at."""

_LOOK_SECONDS = 0.1


class Liveness:
    """Runs calls of Triton, and refuses them at once while it is known to be down.

    Args:
        is_alive: whether Triton answers at all; a model that is slow is no reason to say no.
        is_ready: whether it has the models.
    """

    def __init__(self, is_alive: Callable[[], Awaitable[bool]], is_ready: Callable[[], Awaitable[bool]]) -> None:
        self._is_alive, self._is_ready = is_alive, is_ready
        self._calls: set[asyncio.Task[Any]] = set()
        self._silent_since = 0.0
        self._watching: asyncio.Task[None] | None = None
        self._down = False

    @property
    def is_down(self) -> bool:
        """Whether calls are refused."""
        return self._down

    async def run(self, call: Coroutine[Any, Any, R]) -> R:
        """The answer of one call.

        Raises:
            Unavailable: Triton is known to be down, or was found to be while the call ran.
        """
        if self.is_down:
            call.close()
            raise _unavailable()
        loop = asyncio.get_running_loop()
        if not self._calls:
            self._silent_since = loop.time()
        task = loop.create_task(call)
        self._calls.add(task)
        if self._watching is None:
            self._watching = loop.create_task(self._watch(), name="liveness of Triton")
        try:
            answer = await task
            self._silent_since = loop.time()
            return answer
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                raise  # nobody waits any more
            raise _unavailable() from None
        finally:
            task.cancel()
            self._calls.discard(task)

    def found(self) -> None:
        """Say that Triton has the models."""
        self._down = False

    def lost(self) -> None:
        """Say that Triton could not be reached, or has not the models."""
        self._down = True
        for task in self._calls:
            task.cancel()

    async def close(self) -> None:
        """End the watch."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)

    async def _watch(self) -> None:
        """Look at Triton while it is silent or down; until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            if self._down:
                if await self._is_ready():
                    self.found()
            elif self._is_silent(loop.time()) and not await self._is_alive():
                self.lost()

    def _is_silent(self, now: float) -> bool:
        """Whether calls wait, and none has been answered for long."""
        return bool(self._calls) and now - self._silent_since >= SILENT_SECONDS


def _unavailable() -> Unavailable:
    return Unavailable("the models are not there at present", RETRY_SECONDS)
