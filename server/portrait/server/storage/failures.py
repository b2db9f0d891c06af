"""The one place that tells what an error of SQLite means to a caller, and to whoever reads the log."""

import os
import sqlite3
import time
from collections import Counter
from pathlib import Path

import structlog

from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import DiskFull, PortraitError, StateDamaged, Unavailable
from portrait.server.storage.store import StoreError

LOCKED_RETRY_SECONDS = 1.0
DISK_RETRY_SECONDS = 10.0
"""An operator has to make room, or to mend the disk."""
_LOG_SECONDS = 5.0
"""A kind of failure is logged once in this time, with their number: thousands of calls may fail alike."""
_MIN_FREE_BYTES = 1 << 20
"""With less free space, an I/O error counts as a full disk."""

_LOCKED = {"SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_PROTOCOL"}
_DAMAGED = {"SQLITE_CORRUPT", "SQLITE_NOTADB"}
_FULL = {"SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE"}
"""A quota, or a limit of the size of files, is an error of writing to SQLite."""
_DISK = {"SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM", "SQLITE_AUTH"}

_log = structlog.get_logger(__name__)


def error_name(error: sqlite3.Error) -> str:
    """SQLite's name of an error, for example `SQLITE_BUSY_SNAPSHOT`; empty if the error is Python's own."""
    return getattr(error, "sqlite_errorname", None) or ""


def is_damage(error: sqlite3.Error) -> bool:
    """Return True if the file is damaged."""
    return _family(error_name(error)) in _DAMAGED


def is_full(error: sqlite3.Error, path: Path) -> bool:
    """Return True if the disk of a state file is full, or a quota or size limit is reached."""
    name = error_name(error)
    if _family(name) == "SQLITE_IOERR" and (disk := _stat_disk(path)) is not None:
        if disk.f_flag & os.ST_RDONLY:
            return False
        if disk.f_bavail * disk.f_frsize < _MIN_FREE_BYTES:
            return True
    return name in _FULL


def is_locked(error: sqlite3.Error) -> bool:
    """Return True if another process has locked the file."""
    return _family(error_name(error)) in _LOCKED


class FailureTranslator:
    """Turns errors of SQLite into those that callers are told, counts and logs them.

    The log has SQLite's name of the error, which never holds a value.

    Args:
        path: the state file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.counts: Counter[str] = Counter()
        """Errors so far, by SQLite's name."""
        self.fault: str | None = None
        """SQLite's name of the damage that was met in the file; None as long as none was."""
        self._logged: dict[str, float] = {}
        self._unlogged: Counter[str] = Counter()

    def to_typed_error(self, error: sqlite3.Error) -> Exception:
        """The error that callers are told; the error itself if it is a fault of ours."""
        told = self._translate(error)
        if isinstance(told, PortraitError):
            self._count_and_log(error_name(error))
        return told

    def _translate(self, error: sqlite3.Error) -> Exception:
        if is_locked(error):
            return Unavailable(
                "the state file is locked by another process", LOCKED_RETRY_SECONDS, ErrorReason.STATE_LOCKED
            )
        if is_damage(error):
            self.fault = error_name(error)
            return damaged_error(self.fault)
        if is_full(error, self._path):
            return DiskFull("the disk of the state file is full", DISK_RETRY_SECONDS)
        if _family(error_name(error)) in _DISK:
            return Unavailable(
                f"the state file can't be used ({error_name(error)})", DISK_RETRY_SECONDS, ErrorReason.STATE_UNUSABLE
            )
        return error

    def _count_and_log(self, name: str) -> None:
        self.counts[name] += 1
        self._unlogged[name] += 1
        now = time.monotonic()
        if now - self._logged.get(name, -_LOG_SECONDS) >= _LOG_SECONDS:
            self._logged[name] = now
            _log.error("storage_failure", sqlite_errorname=name, failures=self._unlogged.pop(name))


def damaged_error(name: str) -> StateDamaged:
    """Make the error of a damaged file.

    Args:
        name: SQLite's, of the damage.
    """
    return StateDamaged(f"the state file is damaged ({name})")


def _family(name: str) -> str:
    """The primary error of an extended one: `SQLITE_BUSY` of `SQLITE_BUSY_SNAPSHOT`."""
    return "_".join(name.split("_")[:2])


def _stat_disk(path: Path) -> os.statvfs_result | None:
    try:
        return os.statvfs(path.parent)
    except OSError:
        return None


def require_sound(connection: sqlite3.Connection, path: Path) -> None:
    """Read all of a file, which may take minutes, and look for damage.

    Raises:
        StoreError: a page of it, or an index, is damaged.
        sqlite3.Error: it can't be read.
    """
    [[found]] = connection.execute("PRAGMA quick_check(1)").fetchall()
    if found != "ok":
        raise StoreError(f"{path} is damaged: {found}")


def describe_error(error: sqlite3.Error, path: Path) -> str:
    """Why a state file can't be opened, for whoever starts the gateway."""
    name = error_name(error)
    if is_locked(error):
        return f"{path} is locked by another process ({name})"
    if name == "SQLITE_NOTADB":
        return f"{path} is no state file of Portrait: it is no SQLite file ({name})"
    if is_damage(error):
        return f"{path} is damaged ({name}): restore it from a backup"
    if is_full(error, path):
        return f"{path} can't be opened: its disk is full ({name})"
    if path.is_dir():
        return f"{path} can't be opened: it is a folder ({name})"
    disk = _stat_disk(path)
    if _family(name) == "SQLITE_READONLY" or (disk is not None and disk.f_flag & os.ST_RDONLY):
        return f"{path} can't be written: it is read-only ({name})"
    return f"{path} can't be opened: {error}" + (f" ({name})" if name else "")
