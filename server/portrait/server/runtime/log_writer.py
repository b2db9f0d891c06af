"""The stream behind the log: a thread writes its lines, so that no caller waits for the log, or fails with it."""

import os
import select
import threading
import time
from bisect import bisect_right
from itertools import accumulate
from queue import Empty, SimpleQueue

from prometheus_client import Counter

DROPPED_LINES = Counter(
    "portrait_log_lines_dropped",
    "Log lines that were not written: the queue was full, or the write failed.",
    ["reason"],
    registry=None,
)
"""Counts of this process; a process has one log."""
_QUEUE_FULL, _WRITE_FAILED = (DROPPED_LINES.labels(reason) for reason in ("queue_full", "write_failed"))

MAX_QUEUED_BYTES = 1024 * 1024
"""Lines that wait to be written; later ones are dropped while there are as many."""
FLUSH_SECONDS = 2.0
"""Seconds that `close` waits for the remaining lines."""
_PAUSE_SECONDS = 0.01
"""Lines are collected for so long: one wake-up of the thread, and few system calls, for many calls of the gateway."""


class LogWriter:
    """A text stream that never blocks and never raises: what can't be written is dropped and counted.

    Threads may share it. Lines that are short enough are written whole, also beside other processes on the same pipe.

    Args:
        descriptor: of the file, pipe or terminal; it stays open.
        max_queued_bytes: lines beyond that are dropped until some were written.
    """

    encoding, errors = "utf-8", "backslashreplace"

    def __init__(self, descriptor: int, max_queued_bytes: int = MAX_QUEUED_BYTES) -> None:
        self._descriptor, self._max_queued_bytes = descriptor, max_queued_bytes
        self._lines: SimpleQueue[bytes | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._put_bytes, self._taken_bytes = 0, 0
        self._torn = False
        """True if the last write ended within a line."""
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def write(self, text: str) -> int:
        """Queue a text, usually a line with its end; returns its length."""
        line = text.encode(self.encoding, self.errors)
        with self._lock:
            if self._put_bytes + len(line) - self._taken_bytes > self._max_queued_bytes:
                _QUEUE_FULL.inc()
            else:
                self._put_bytes += len(line)
                self._lines.put(line)
        return len(text)

    def flush(self) -> None:
        """Do nothing: the thread writes as soon as it can."""

    def isatty(self) -> bool:
        """Say no: what is written here is for programs."""
        return False

    def fileno(self) -> int:
        """Descriptor of the file, for child processes and for traces of a crash."""
        return self._descriptor

    def close(self, seconds: float = FLUSH_SECONDS) -> None:
        """Write the lines that are left, for at most some seconds. A write that blocks is left to the process's end."""
        self._lines.put(None)
        self._thread.join(seconds)

    def _run(self) -> None:
        """Write until closed."""
        open_ = True
        while open_:
            waiting = [self._lines.get()]
            if waiting[-1] is not None and self._lines.empty():
                time.sleep(_PAUSE_SECONDS)
            waiting += self._rest()
            open_ = None not in waiting
            for batch in _batches([line for line in waiting if line is not None]):
                self._write_batch(batch)

    def _rest(self) -> list[bytes | None]:
        """Take all lines that are queued now."""
        lines: list[bytes | None] = []
        try:
            while True:
                lines.append(self._lines.get_nowait())
        except Empty:
            return lines

    def _write_batch(self, lines: list[bytes]) -> None:
        """Write lines; those that can't be written whole are dropped."""
        # Half a line may stand before them, from a disk that was full.
        begin = b"\n" if self._torn else b""
        content = begin + b"".join(lines)
        written = _write_all(self._descriptor, content)
        self._taken_bytes += len(content) - len(begin)
        if written:
            self._torn = content[written - 1 : written] != b"\n"
        whole = bisect_right(list(accumulate(map(len, lines), initial=len(begin))), written) - 1
        _WRITE_FAILED.inc(len(lines) - max(whole, 0))


def _batches(lines: list[bytes]) -> list[list[bytes]]:
    """Put lines together, in order, that one write to a pipe takes as a whole; a longer line stands alone."""
    batches: list[list[bytes]] = []
    room = 0
    for line in lines:
        if not batches or len(line) > room:
            batches.append([])
            room = select.PIPE_BUF
        batches[-1].append(line)
        room -= len(line)
    return batches


def _write_all(descriptor: int, content: bytes) -> int:
    """Write until all is written or an error comes; returns how many bytes were written."""
    written = 0
    while written < len(content):
        try:
            written += os.write(descriptor, content[written:])
        except BlockingIOError:  # another program has made the file that it shares with us non-blocking
            _wait_for_room(descriptor)
        except OSError:
            break
    return written


def _wait_for_room(descriptor: int) -> None:
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    poll.poll()
