"""Files and folders with shopper ids: nobody but the gateway's user reads them."""

import contextlib
import os
from pathlib import Path

import structlog

_PRIVATE_FILE, _PRIVATE_FOLDER = 0o600, 0o700
_OTHERS = 0o077

_log = structlog.get_logger(__name__)


def make_private_file(path: Path) -> None:
    """Begin a file that only its owner reads and writes, if there is none.

    What SQLite puts beside it gets the same permissions. A file that exists is not opened: to close it again would
    release the locks that other connections of this process hold on it.

    Raises:
        OSError: the file can't be made.
    """
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, _PRIVATE_FILE))


def tighten_files(path: Path) -> None:
    """Close a state file, and what SQLite has put beside it, to all but its owner."""
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
