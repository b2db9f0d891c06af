"""The stream behind the log: a thread writes the lines, so that no call waits for the log or fails because of it."""

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
"""Dropped lines of this process, which has one log."""
_QUEUE_FULL, _WRITE_FAILED = (DROPPED_LINES.labels(reason) for reason in ("queue_full", "write_failed"))

MAX_QUEUED_BYTES = 1024 * 1024
"""Maximum bytes of lines that wait to be written; while there are as many, new lines are dropped."""
FLUSH_SECONDS = 2.0
"""Maximum seconds that `close` waits for the remaining lines."""
_PAUSE_SECONDS = 0.01
"""Seconds during which lines are collected: one wake-up of the thread and few writes serve many calls."""


class LogWriter:
    """A text stream that never blocks and never raises: it drops and counts the lines that it can't write.

    Threads may share it. Lines of up to `PIPE_BUF` bytes stay whole, even if other processes write to the same pipe.

    Args:
        descriptor: the descriptor of the file, pipe or terminal; it stays open.
        max_queued_bytes: maximum bytes that wait; further lines are dropped until some are written.
    """

    encoding, errors = "utf-8", "backslashreplace"

    def __init__(self, descriptor: int, max_queued_bytes: int = MAX_QUEUED_BYTES) -> None:
        self._descriptor, self._max_queued_bytes = descriptor, max_queued_bytes
        self._lines: SimpleQueue[bytes | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._put_bytes, self._taken_bytes = 0, 0
        self._torn = False
        """True if the last write ended in the middle of a line."""
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def write(self, text: str) -> int:
        """Queue a text, usually a line with its newline; returns the length of the text."""
        line = text.encode(self.encoding, self.errors)
        with self._lock:
            if self._put_bytes + len(line) - self._taken_bytes > self._max_queued_bytes:
                _QUEUE_FULL.inc()
            else:
                self._put_bytes += len(line)
                self._lines.put(line)
        return len(text)

    def flush(self) -> None:
        """Do nothing: the thread writes soon anyway."""

    def isatty(self) -> bool:
        """Return False: programs read this stream, so it has no colours."""
        return False

    def fileno(self) -> int:
        """Return the descriptor, for child processes and for the traceback of a crash."""
        return self._descriptor

    def close(self, seconds: float = FLUSH_SECONDS) -> None:
        """Write the remaining lines, for at most some seconds; the thread of a blocked write ends with the process."""
        self._lines.put(None)
        self._thread.join(seconds)

    def _run(self) -> None:
        """Write lines until the stream is closed."""
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
        """Take all lines that are queued."""
        lines: list[bytes | None] = []
        try:
            while True:
                lines.append(self._lines.get_nowait())
        except Empty:
            return lines

    def _write_batch(self, lines: list[bytes]) -> None:
        """Write lines; drop and count those that can't be written whole."""
        # A full disk may have cut the last line: begin a new one.
        begin = b"\n" if self._torn else b""
        content = begin + b"".join(lines)
        written = _write_all(self._descriptor, content)
        self._taken_bytes += len(content) - len(begin)
        if written:
            self._torn = content[written - 1 : written] != b"\n"
        whole = bisect_right(list(accumulate(map(len, lines), initial=len(begin))), written) - 1
        _WRITE_FAILED.inc(len(lines) - max(whole, 0))


def _batches(lines: list[bytes]) -> list[list[bytes]]:
    """Group lines, in order, into writes of up to `PIPE_BUF` bytes, which a pipe takes whole; a longer line is one."""
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
    """Write until all is written or an error occurs; returns the number of written bytes."""
    written = 0
    while written < len(content):
        try:
            written += os.write(descriptor, content[written:])
        except BlockingIOError:  # another process that shares the file has made it non-blocking
            _wait_for_room(descriptor)
        except OSError:
            break
    return written


def _wait_for_room(descriptor: int) -> None:
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    poll.poll()
