"""Some room beside the state file, kept for the day of a full disk."""

import contextlib
import os
from pathlib import Path

import structlog

RESERVE_BYTES = 6 << 20
"""The state file may have to grow by the whole log (4 MiB, and a transaction) before that is free."""

_log = structlog.get_logger(__name__)


class DiskReserve:
    """A file of `RESERVE_BYTES` that holds nothing.

    Its room is given up when the disk is full, so that a shopper can still be forgotten.

    Args:
        state: the state file, beside which it stands.
    """

    def __init__(self, state: Path) -> None:
        self._path = state.with_name(state.name + "-reserve")

    def fill(self) -> None:
        """Take the room, if it is not taken; where there is none, the log says so."""
        if self._path.exists():
            return
        try:
            file = os.open(self._path, os.O_CREAT | os.O_WRONLY, 0o600)
            try:
                os.posix_fallocate(file, 0, RESERVE_BYTES)
            finally:
                os.close(file)
        except OSError as error:
            self.release()
            _log.warning("no_room_for_reserve", reason=error.strerror, bytes=RESERVE_BYTES)

    def release(self) -> None:
        """Give the room up."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)
