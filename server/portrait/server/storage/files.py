"""The files of the state: nobody but the gateway's user reads them, and some room is kept for a full disk."""

import contextlib
import os
from pathlib import Path

import structlog

_PRIVATE_FILE, _PRIVATE_FOLDER = 0o600, 0o700
_OTHERS = 0o077

RESERVE_BYTES = 2 << 20

_log = structlog.get_logger(__name__)


def make_private_file(path: Path) -> None:
    """Begin a file that only its owner reads and writes; one that others may open is closed to them.

    What SQLite puts beside it gets the same permissions. A file that exists is not opened: to close it again would
    release the locks that other connections of this process hold on it.

    Raises:
        OSError: the file can't be made.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, _PRIVATE_FILE))
    except FileExistsError:
        for each in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm"))):
            _tighten(each, _PRIVATE_FILE)


def make_private_folder(path: Path) -> None:
    """Make a folder that only its owner enters; one that others may enter is closed to them.

    Raises:
        OSError: the folder can't be made.
    """
    path.mkdir(_PRIVATE_FOLDER, parents=True, exist_ok=True)
    _tighten(path, _PRIVATE_FOLDER)


def _tighten(path: Path, mode: int) -> None:
    """Take all permissions from others; whoever does not own the file can't, and is told."""
    try:
        now = path.stat().st_mode & 0o777
        if now & _OTHERS:
            path.chmod(now & mode)
            _log.warning("permissions_tightened", file=path.name, before=oct(now), now=oct(now & mode))
    except FileNotFoundError:
        return
    except OSError as error:
        _log.warning("permissions_not_tightened", file=path.name, reason=error.strerror)


class Reserve:
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
            file = os.open(self._path, os.O_CREAT | os.O_WRONLY, _PRIVATE_FILE)
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
