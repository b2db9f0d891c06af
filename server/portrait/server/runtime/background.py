"""Background tasks: steps that repeat as long as the process runs, and that are retried after an error."""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable

MAX_FAILURES = 3
"""A task that fails this many times in a row is reported as failing (`Background.failure`)."""
_FIRST_PAUSE, _MAX_PAUSE = 0.25, 5.0
"""Seconds before a failed step is retried; doubled at each failure, up to the maximum."""

_log = logging.getLogger(__name__)


class Background:
    """Repeats steps, each in its own task, until `stop`. An error never ends a task."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []
        self._failures: Counter[str] = Counter()
        """Failures in a row, by task."""

    def repeat(self, name: str, step: Callable[[], Awaitable[None]], pause: float) -> None:
        """Run a step repeatedly.

        Args:
            name: the name of the task, for the log.
            step: does a bounded piece of work, or waits for something and then does it.
            pause: seconds before each step.
        """
        self._tasks.append(asyncio.create_task(self._repeat(name, step, pause), name=name))

    def failure(self) -> str | None:
        """Name the tasks that fail repeatedly, for the health of the process; None if every task works."""
        failing = sorted(name for name, count in self._failures.items() if count >= MAX_FAILURES)
        return f"background task fails: {', '.join(failing)}" if failing else None

    async def stop(self) -> None:
        """Cancel all tasks and wait for their end."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    async def _repeat(self, name: str, step: Callable[[], Awaitable[None]], pause: float) -> None:
        wait = pause
        while True:
            await asyncio.sleep(wait)
            try:
                await step()
            except asyncio.CancelledError:
                if _is_stopped():
                    raise
                wait = self._note_failure(name, "CancelledError", pause)
            except Exception as error:  # whatever the error is, the next step may succeed
                wait = self._note_failure(name, type(error).__qualname__, pause)
            else:
                wait = pause
                if self._failures.pop(name, 0):
                    _log.warning("background_task_recovered", extra={"task": name})

    def _note_failure(self, name: str, exception: str, pause: float) -> float:
        """Log a failure by its type, since its text may quote what a shopper typed; returns the seconds to wait."""
        self._failures[name] += 1
        count = self._failures[name]
        wait = max(pause, min(_FIRST_PAUSE * 2.0 ** min(count - 1, 16), _MAX_PAUSE))
        failed = {"task": name, "exception": exception, "failures": count, "retry_in_seconds": wait}
        _log.error("background_task_failed", extra=failed)
        return wait


def _is_stopped() -> bool:
    """Tell whether this task was cancelled, and not only work that it awaited."""
    current = asyncio.current_task()
    return current is None or current.cancelling() > 0
