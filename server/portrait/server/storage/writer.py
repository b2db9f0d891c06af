"""Group commit: one thread writes all that waits in one transaction, and answers once that is on the disk."""

import asyncio
import contextlib
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any, TypeVar

from portrait.server.runtime.tracing import trace_request
from portrait.server.storage.durations import DATABASE, WRITE_DURATION
from portrait.server.storage.failures import FailureTranslator, damaged_error, is_locked

A = TypeVar("A")
R = TypeVar("R")

LOCK_SECONDS = 5.0
"""A write waits so long for another process's transaction."""
LOCK_POLL_SECONDS = 0.05
"""So often a wait for a lock looks whether its callers still wait."""
_MAX_GROUP_ROWS = 4_000
"""More rows in one transaction would let other processes wait for long."""


@dataclass(slots=True, eq=False)
class _Job:
    work: Callable[[sqlite3.Connection, list[Any]], list[Any]]
    argument: Any
    rows: int
    answer: "asyncio.Future[Any]"
    since: float
    """By `time.monotonic()`."""


_Outcome = tuple[_Job, Any, Exception | None]


class Writer:
    """Writes to the state file from a thread of its own, in the order in which it is asked to.

    A commit waits for the disk, for as long as thirty small writes take: so those that wait share one. Each has its own
    outcome: when a group fails, each of it is tried by itself, so that nobody fails by a neighbour.

    Args:
        connection: this thread's from now on, in autocommit mode, with a busy timeout of `LOCK_POLL_SECONDS`.
        failures: types what goes wrong.
    """

    def __init__(self, connection: sqlite3.Connection, failures: FailureTranslator) -> None:
        self._connection = connection
        self._failures = failures
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._next: _Job | None = None
        """Taken from the queue, but not part of the group that is being written."""
        self._thread = threading.Thread(target=self._run, name="state writer", daemon=True)
        self._thread.start()

    async def write(
        self,
        work: Callable[[sqlite3.Connection, list[A]], list[R]],
        argument: A,
        *,
        rows: int = 1,
        since: float | None = None,
    ) -> R:
        """Write in a transaction; returns once it is on the disk.

        A caller who is cancelled before its transaction begins has written nothing.

        Args:
            work: writes a list of arguments of several callers, and returns a result for each. It may be tried again.
            argument: one of the list.
            rows: about how many it writes.
            since: `time.monotonic()` from which its wait for a lock counts; None for now.

        Raises:
            Unavailable: another process has held the file for `LOCK_SECONDS`, or it can't be used.
            DiskFull: there is no room.
            StateDamaged: the file is damaged; nothing is written any more.
        """
        return await self._enqueue(work, argument, rows, since)

    async def run_alone(self, work: Callable[[sqlite3.Connection], R]) -> R:
        """Run by itself, outside of any transaction.

        Raises:
            PortraitError: as `write`.
        """
        return await self._enqueue(_ExclusiveJob(work), None, _MAX_GROUP_ROWS, None)

    async def close(self) -> None:
        """Write what waits, then close the connection."""
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    async def _enqueue(self, work: Callable[..., Any], argument: Any, rows: int, since: float | None) -> Any:
        if self._failures.fault is not None:
            raise damaged_error(self._failures.fault)
        job = _Job(work, argument, rows, self._loop.create_future(), time.monotonic() if since is None else since)
        self._queue.put(job)
        try:
            with trace_request("state write", DATABASE), WRITE_DURATION.time():
                return await job.answer
        except sqlite3.Error as error:
            raise self._failures.to_typed_error(error) from error

    def _run(self) -> None:
        while group := self._take_group():
            self._run_group(group)
        self._connection.close()

    def _take_group(self) -> list[_Job]:
        """All that waits, up to a bound; empty when there will be no more."""
        first = self._next or self._queue.get()
        self._next = None
        if first is None:
            return []
        group, rows = [first], first.rows
        while rows < _MAX_GROUP_ROWS:
            try:
                following = self._queue.get_nowait()
            except queue.Empty:
                break
            if following is None:
                self._queue.put(None)  # for the next time
                break
            if isinstance(following.work, _ExclusiveJob):
                self._next = following
                break
            group.append(following)
            rows += following.rows
        return group

    def _run_group(self, group: list[_Job]) -> None:
        if isinstance(group[0].work, _ExclusiveJob):
            self._resolve([self._run_job_alone(group[0])])
            return
        try:
            group = self._begin_transaction(group)
            if not group:
                return
            results = self._results(group)
            self._connection.execute("COMMIT")
        except Exception as error:
            self._roll_back()
            if len(group) == 1:
                self._resolve([(group[0], None, error)])
                return
            for job in group:
                self._run_group([job])
            return
        self._resolve([(job, result, None) for job, result in zip(group, results, strict=True)])

    def _begin_transaction(self, group: list[_Job]) -> list[_Job]:
        """Begin a transaction; returns those of a group who have waited for it."""
        while group := [job for job in group if not job.answer.cancelled()]:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if not is_locked(error):
                    raise
                latest = time.monotonic() - LOCK_SECONDS
                self._resolve([(job, None, error) for job in group if job.since <= latest])
                group = [job for job in group if job.since > latest]
            else:
                break
        return group

    def _results(self, group: Sequence[_Job]) -> list[Any]:
        """Return the result of each job of a group; consecutive jobs of the same work run together."""
        results: list[Any] = []
        for work, jobs in groupby(group, key=attrgetter("work")):
            results += work(self._connection, [job.argument for job in jobs])
        return results

    def _run_job_alone(self, job: _Job) -> _Outcome:
        try:
            return job, *job.work(self._connection, []), None
        except Exception as error:
            self._roll_back()
            return job, None, error

    def _roll_back(self) -> None:
        """End a transaction that failed; after some errors SQLite has ended it already."""
        with contextlib.suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def _resolve(self, outcomes: Sequence[_Outcome]) -> None:
        if outcomes:
            with contextlib.suppress(RuntimeError):  # the event loop is gone, and all callers with it
                self._loop.call_soon_threadsafe(_settle, outcomes)


class _ExclusiveJob:
    """Work that begins and ends its transactions by itself."""

    def __init__(self, work: Callable[[sqlite3.Connection], Any]) -> None:
        self._work = work

    def __call__(self, connection: sqlite3.Connection, _: list[None]) -> list[Any]:
        return [self._work(connection)]


def _settle(outcomes: Sequence[_Outcome]) -> None:
    for job, result, error in outcomes:
        if job.answer.done():
            continue
        if error is None:
            job.answer.set_result(result)
        else:
            job.answer.set_exception(error)
