"""Reads the state file beside whoever writes: few rows at once, many from a thread of its own."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from portrait.server.runtime.tracing import trace_request
from portrait.server.storage.durations import DATABASE, READ_DURATION
from portrait.server.storage.failures import FailureTranslator, is_locked

R = TypeVar("R")

LOCK_SECONDS = 5.0
"""A read waits so long for a process that lets nobody else read."""
_ROWS = 1_000
"""Rows of a long result that are held in memory at a time."""


class Reader:
    """Connections that are only read from.

    Args:
        connection: the thread's from now on, with a busy timeout far below `LOCK_SECONDS`.
        inline: the event loop's; from now on it waits for no lock.
        failures: types what goes wrong.
    """

    def __init__(self, connection: sqlite3.Connection, inline: sqlite3.Connection, failures: FailureTranslator) -> None:
        self._connection, self._inline = connection, inline
        self._inline.execute("PRAGMA busy_timeout = 0")
        self._failures = failures
        self._thread = ThreadPoolExecutor(1, "state reader")

    async def fetch_few_rows(self, statement: str, values: Sequence[object] = ()) -> list[Any]:
        """All rows of a query that reads some hundred rows at most: on the event loop, if nothing is locked.

        Such a query takes less time than to pass it to a thread and to get its rows from there, as thread and loop wait
        for each other's hold of the interpreter.

        Raises:
            PortraitError: as `fetch_rows`.
        """
        try:
            with trace_request("state read", DATABASE), READ_DURATION.time():
                return self._inline.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            if not is_locked(error):
                raise self._failures.to_typed_error(error) from error
        return await self.fetch_rows(statement, values)

    async def fetch_rows(self, statement: str, values: Sequence[object] = ()) -> list[Any]:
        """All rows of a query.

        Raises:
            Unavailable: another process has locked the file for `LOCK_SECONDS`, or it can't be read.
            StateDamaged: the file is damaged where it was read.
        """
        return await self._run(lambda: self._connection.execute(statement, values).fetchall())

    async def stream_rows(self, statement: str) -> AsyncIterator[Any]:
        """The rows of a query, one after the other.

        Raises:
            PortraitError: as `rows`.
        """
        cursor = await self._run(lambda: self._connection.execute(statement))
        while found := await self._run(lambda: cursor.fetchmany(_ROWS)):
            for row in found:
                yield row

    async def run(self, work: Callable[[sqlite3.Connection], R]) -> R:
        """Read with the thread's connection.

        Raises:
            PortraitError: as `fetch_rows`.
        """
        return await self._run(lambda: work(self._connection))

    async def close(self) -> None:
        """Wait for what is being read, then close the connections."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._connection.close)
        self._inline.close()
        self._thread.shutdown()

    async def _run(self, work: Callable[[], R]) -> R:
        until = time.monotonic() + LOCK_SECONDS
        try:
            with trace_request("state read", DATABASE), READ_DURATION.time():
                return await asyncio.get_running_loop().run_in_executor(self._thread, _retry_locked, work, until)
        except sqlite3.Error as error:
            raise self._failures.to_typed_error(error) from error


def _retry_locked(work: Callable[[], R], until: float) -> R:
    """Try until a moment: from when a caller asked, so that those who wait behind others don't wait anew."""
    while True:
        try:
            return work()
        except sqlite3.OperationalError as error:
            if not is_locked(error) or time.monotonic() >= until:
                raise
