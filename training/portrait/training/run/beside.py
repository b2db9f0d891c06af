"""Work beside the training of the encoders: what needs no encoder is done in a thread of its own meanwhile.

A step of the encoders consists of small operations, which hardly gain by a second core. So PyTorch leaves a core to the
other work for as long as there is any.
"""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import torch

from portrait.training import distributed

T = TypeVar("T")


class BesideEncoders:
    """Work that is planned first, and begins when cores are shared for the first time."""

    def __init__(self) -> None:
        self._begun = threading.Event()
        self._executor = ThreadPoolExecutor(1, "beside", initializer=self._enter)
        self._planned: list[Future[Any]] = []
        self._cores = torch.get_num_threads()

    def _enter(self) -> None:
        self._begun.wait()
        torch.set_num_threads(1)

    def plan(self, work: Callable[..., T], *arguments: Any) -> "Future[T]":
        """Plan work, which is done in the order of these calls; a process that is not the main one does none."""
        if not distributed.is_main():
            return Future()
        self._planned.append(self._executor.submit(work, *arguments))
        return self._planned[-1]

    def share_cores(self) -> None:
        """Begin the work, and leave it a core until it has ended; call it before each step of what runs beside it."""
        self._begun.set()
        is_working = not all(future.done() for future in self._planned)
        threads = max(1, self._cores - is_working)
        if threads != torch.get_num_threads():
            torch.set_num_threads(threads)

    def close(self) -> None:
        """End once the work under way has ended; what has not begun never does."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._begun.set()
        self._executor.shutdown()
        torch.set_num_threads(self._cores)


@contextmanager
def open_beside() -> Iterator[BesideEncoders]:
    """Open a thread for work beside the encoders."""
    beside = BesideEncoders()
    try:
        yield beside
    finally:
        beside.close()
