"""Tombstones of deleted shoppers: a hash of the id and the time of deletion.

So a log that is sent, or trained on, again does not bring them back.
"""

import csv
import dataclasses
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Tombstone:
    """One shopper who was forgotten."""

    shopper_sha256: str
    forgotten_at: datetime
    """UTC; what they did up to it is forgotten. The time of their latest event, where that was dated ahead."""


_COLUMNS = tuple(field.name for field in dataclasses.fields(Tombstone))


def shopper_sha256(shopper_id: str) -> str:
    """SHA-256 of the id's UTF-8, in hexadecimal: who has the id can look for it, and nobody can read it off.

    It has no key, so that whoever prepares a log for training needs the list and nothing else. Ids that can be guessed,
    such as telephone numbers, can be found out from it by trying them all.
    """
    return hashlib.sha256(shopper_id.encode()).hexdigest()


def write_tombstones(tombstones: Iterable[Tombstone], file: TextIO) -> None:
    """Write tombstones as CSV with a header."""
    lines = csv.writer(file, lineterminator="\n")
    lines.writerow(_COLUMNS)
    for tombstone in tombstones:
        lines.writerow((tombstone.shopper_sha256, tombstone.forgotten_at.isoformat()))


def read_tombstones(path: Path) -> Sequence[Tombstone]:
    """Read what `write_tombstones` wrote.

    Raises:
        OSError: the file can't be read.
        ValueError: it holds something else; the message names the line.
    """
    with path.open(encoding="utf-8", newline="") as file:
        try:
            rows = list(csv.reader(file))
        except (UnicodeDecodeError, csv.Error) as error:
            raise ValueError(f"{path} is no list of deletions: {error}") from error
    if not rows or tuple(rows[0]) != _COLUMNS:
        raise ValueError(f"{path} is no list of deletions: line 1 is not {','.join(_COLUMNS)}")
    return [_parse_row(path, number, row) for number, row in enumerate(rows[1:], start=2) if row]


def _parse_row(path: Path, line: int, row: Sequence[str]) -> Tombstone:
    if len(row) != len(_COLUMNS) or not _SHA256.fullmatch(row[0]):
        raise ValueError(f"{path}, line {line}: {_COLUMNS[0]} is not 64 hexadecimal digits")
    try:
        forgotten_at = datetime.fromisoformat(row[1])
    except ValueError:
        raise ValueError(f"{path}, line {line}: {_COLUMNS[1]} is no time in ISO 8601") from None
    if forgotten_at.tzinfo is None:
        raise ValueError(f"{path}, line {line}: {_COLUMNS[1]} has no time zone")
    return Tombstone(row[0], forgotten_at.astimezone(UTC))
