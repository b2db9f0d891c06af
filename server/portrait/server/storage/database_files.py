"""Operations on whole SQLite files: whether somebody uses one, its place, its removal."""

import os
import sqlite3
from pathlib import Path

from portrait.server.storage.store import StoreError

LOG_SUFFIXES = ("-wal", "-shm")
"""Ends of the names of the files that SQLite puts beside one."""


def require_unused(connection: sqlite3.Connection, path: Path) -> None:
    """Require that no other process has opened a state file; until the connection is closed, none can.

    Raises:
        StoreError: one has.
    """
    connection.execute("PRAGMA busy_timeout = 0")
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    try:
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorname", "") != "SQLITE_BUSY":
            raise
        raise StoreError(f"{path} is in use: stop all gateways that use it") from error


def move_into_place(copy: Path, target: Path) -> None:
    """Move a whole file to its place; it is there after a crash of the machine too."""
    _sync(copy)
    os.replace(copy, target)
    _sync(target.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_database(copy: Path) -> None:
    """Remove a file and what SQLite has put beside it, whatever of it is there."""
    for suffix in ("", *LOG_SUFFIXES, "-journal"):
        copy.with_name(copy.name + suffix).unlink(missing_ok=True)
