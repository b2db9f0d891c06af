"""A file of the operator that is followed while the gateway runs: a change holds within a second or two.

A file that can't be used changes nothing: what was read before stays in force.
"""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

import structlog

from portrait.server.runtime.file_state import read_file_state

POLL_SECONDS = 1.0

T = TypeVar("T")

_log = structlog.get_logger(__name__)


class LiveFile(Generic[T]):
    """The last usable content of a file.

    Args:
        name: for the log, which has lines `<name>_reloaded` and `<name>_reload_failed`.
        path: the file.
        read: reads it; its errors reach the caller of this constructor.
        error: what `read` raises if the file can't be used.
        list_files: lists the files that a content came from; only the file itself by default.
    """

    def __init__(
        self,
        name: str,
        path: Path,
        read: Callable[[Path], T],
        error: type[Exception],
        list_files: Callable[[T], Sequence[Path]] | None = None,
    ) -> None:
        self.name, self._path, self._read, self._error = name, path, read, error
        self._list_files = list_files or (lambda _: [path])
        self.now = read(path)
        """The content in force."""
        self.changes = 0
        """Number of times that the content was replaced."""
        self._seen = self._read_state()
        self.failure: str | None = None
        """Why the file can't be used now, as it was logged; it is read again until it can."""

    async def refresh(self) -> None:
        """Read the file again if it has changed."""
        await asyncio.to_thread(self._refresh)

    def _refresh(self) -> None:
        state = self._read_state()  # before the file is read: the next look sees a change during the reading
        if state == self._seen and self.failure is None:
            return
        self._seen = state
        try:
            self.now = self._read(self._path)
        except self._error as error:
            if str(error) != self.failure:
                _log.error(f"{self.name}_reload_failed", reason=f"{error}; what was in force stays")
            self.failure = str(error)
        else:
            self.failure = None
            self.changes += 1
            _log.info(f"{self.name}_reloaded", file=str(self._path))

    def _read_state(self) -> list[tuple[int, ...] | None]:
        return [read_file_state(path) for path in self._list_files(self.now)]
