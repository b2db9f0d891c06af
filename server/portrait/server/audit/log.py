"""The audit log: JSON lines, each with the hash of the line before, so that no line can be changed or taken out unseen.

Processes of one machine may share a file. What was cut off at the end can be detected only by a hash that was noted
elsewhere (`verify`).
"""

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FIRST = "0" * 64
"""Stands in the first line in place of the hash of the line before."""
REASON_WORDS = "1 to 200 printable ASCII characters"
_REASON = re.compile(r"[ -~]{1,200}")
_BLOCK = 65_536
"""Bytes at the end of the file that are looked through for the last line; longer than any line."""


class AuditError(Exception):
    """The audit log can't be read or written, or it is not as it was written; the message says where."""


@dataclass(frozen=True, slots=True)
class Head:
    """The end of an audit log."""

    lines: int
    sha256: str
    """Hash of the last line; `FIRST` if there is none."""


class AuditLog:
    """Appends to an audit log.

    Args:
        path: the file; made if it is missing, for its owner alone.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def append(self, **fields: Any) -> int:
        """Append a line and wait until it is on disk.

        Args:
            **fields: what happened, as JSON has it.

        Returns:
            the number of the line, from 1.

        Raises:
            AuditError: the file can't be written.
        """
        try:
            with _lock(self._path) as descriptor:
                number, previous = _read_end(descriptor)
                now = datetime.now(UTC).isoformat(timespec="milliseconds")
                line = json.dumps({"number": number + 1, "time": now, **fields, "previous": previous})
                _write(descriptor, line.encode() + b"\n")
        except (OSError, ValueError) as error:
            raise AuditError(f"the audit log {self._path} can't be written: {error}") from error
        return number + 1


def is_reason(text: str) -> bool:
    """Tell whether a line may have a text as its reason, by `REASON_WORDS`."""
    return _REASON.fullmatch(text) is not None


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Read the lines of an audit log, and check that none was changed, added or taken out.

    Raises:
        AuditError: the file can't be read, or a line is not as it was written.
    """
    for _, content in _read_verified(path):
        yield content


def verify(path: Path, head: str | None = None) -> Head:
    """Check a whole audit log.

    Args:
        path: the file.
        head: hash of a line that must be in the log, as an earlier check showed it; the lines up to it are there still.

    Raises:
        AuditError: the file can't be read, a line is not as it was written, or the line of `head` is missing.
    """
    found, last = head in (None, FIRST), Head(0, FIRST)
    for last, _ in _read_verified(path):
        found = found or last.sha256 == head
    if not found:
        raise AuditError(
            f"{path} has no line with the hash {head}: lines at its end were cut off, or all were replaced"
        )
    return last


def _read_verified(path: Path) -> Iterator[tuple[Head, dict[str, Any]]]:
    previous = FIRST
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                content = _parse(line)
                if content is None or content.get("number") != number or content.get("previous") != previous:
                    raise AuditError(f"{path}: line {number} is not as it was written, or the one before it is not")
                previous = _hash(line)
                yield Head(number, previous), content
    except OSError as error:
        raise AuditError(f"{path}: {error.strerror}") from error


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        content = json.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


@contextmanager
def _lock(path: Path) -> Iterator[int]:
    """Open the file for the time in which no other process writes it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def _read_end(descriptor: int) -> tuple[int, str]:
    """Read the number and the hash of the last line, and go to the end of the file.

    A last line without its end was never acknowledged: its writer died, or the disk was full. It is taken out.

    Raises:
        ValueError: the last line is none of an audit log.
    """
    size = os.fstat(descriptor).st_size
    begin = max(0, size - _BLOCK)
    block = os.pread(descriptor, _BLOCK, begin)
    whole = block[: block.rfind(b"\n") + 1]
    if len(whole) < len(block):
        os.ftruncate(descriptor, begin + len(whole))
    os.lseek(descriptor, 0, os.SEEK_END)
    if not whole:
        if begin:
            raise ValueError("its last line is too long")
        return 0, FIRST
    line = whole[whole.rfind(b"\n", 0, -1) + 1 :]
    content = _parse(line)
    if content is None or not isinstance(content.get("number"), int):
        raise ValueError("its last line is no line of an audit log")
    return content["number"], _hash(line)


def _write(descriptor: int, line: bytes) -> None:
    """Write a line whole, or not at all."""
    begin = os.lseek(descriptor, 0, os.SEEK_CUR)
    try:
        if os.write(descriptor, line) < len(line):
            raise OSError("the disk is full")
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, begin)
        raise


def _hash(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()
