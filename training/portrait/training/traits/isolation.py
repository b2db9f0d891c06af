"""Isolation of queries that may run away: a process of their own with a memory limit, killed in the end.

DuckDB's limits do not hold inside of one function call: `repeat` takes memory that it does not count, and `levenshtein`
of two long texts can't be interrupted. The system's limits hold.
"""

import multiprocessing
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Generic, TypeVar

from portrait.training.errors import TrainingError

R = TypeVar("R")

Evaluate = Callable[..., R]
"""Function that the process evaluates. Arguments, results and errors are pickled."""

_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["portrait.training.traits.labels"])  # imported once, not in every process


_START_SECONDS, _EXIT_SECONDS = 120.0, 10.0
"""Without memory, a process may wait for ever for a lock when it starts or ends."""


class LimitExceededError(Exception):
    """The process took too long, or ended: it had no memory left, or was killed."""


class IsolatedProcess(Generic[R]):
    """Asks a process.

    Args:
        process: answers.
        connection: leads to it.
    """

    def __init__(self, process: "multiprocessing.process.BaseProcess", connection: Connection) -> None:
        self._process, self._connection = process, connection

    def ask(self, *question: object, seconds: float | None) -> R:
        """Have the process answer.

        Args:
            question: arguments of its `Evaluate`.
            seconds: after which the process is killed; None if never.

        Raises:
            TrainingError: the process raised it.
            LimitExceededError: the process did not answer.
        """
        self._connection.send(question)
        return self.receive(seconds)

    def receive(self, seconds: float | None) -> R:
        """Wait for the next answer; see `ask`."""
        try:
            if not self._connection.poll(seconds):
                raise LimitExceededError(f"did not end in {seconds:g} s")
            answer, error = self._connection.recv()
        except (EOFError, OSError):
            self._process.join(_EXIT_SECONDS)
            if self._process.is_alive():  # it has no memory to end in
                self._process.kill()
                self._process.join()
            raise LimitExceededError(f"ended its process with exit code {self._process.exitcode}") from None
        if error is not None:
            raise error
        return answer


@contextmanager
def start_isolated(
    opened: Callable[[], AbstractContextManager[Evaluate[R]]], memory_bytes: int
) -> Iterator[IsolatedProcess[R]]:
    """Start a process that answers questions; it is killed at the end of the block.

    Args:
        opened: called there, gives what answers.
        memory_bytes: that it may take beyond what it begins with.

    Raises:
        TrainingError: `opened` raised it.
        LimitExceededError: the process did not get so far.
    """
    ours, theirs = _PROCESSES.Pipe()
    process = _PROCESSES.Process(target=_serve_questions, args=(theirs, opened, memory_bytes), daemon=True)
    process.start()
    theirs.close()
    try:
        made: IsolatedProcess[R] = IsolatedProcess(process, ours)
        made.receive(_START_SECONDS)
        yield made
    finally:
        process.kill()
        process.join()
        ours.close()


def _serve_questions(
    connection: Connection, opened: Callable[[], AbstractContextManager[Evaluate[Any]]], memory_bytes: int
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one who asks gets it too, and kills this process
    limit = _read_data_bytes() + memory_bytes
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    try:
        with opened() as answer:
            connection.send((None, None))
            while True:
                connection.send(_evaluate(answer, connection.recv()))
    except TrainingError as error:
        connection.send((None, error))
    except (EOFError, OSError, MemoryError):
        return  # nobody asks any more, or the end of this process informs the caller


def _evaluate(answer: Evaluate[R], question: tuple[object, ...]) -> tuple[R | None, TrainingError | None]:
    try:
        return answer(*question), None
    except TrainingError as error:
        return None, error


def _read_data_bytes() -> int:
    """Read the private writable memory of this process, which counts for the limit."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) * 1024
    return 0
