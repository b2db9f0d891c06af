"""Tombstones of deleted shoppers: a hash of the id, keyed or plain (`shopper_hashes`), and the time of deletion.

So a log that is sent, or trained on, again does not bring them back.
"""

import csv
import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from portrait.features.logs.shopper_hashes import SHOPPER_HASH, ShopperHasher, fingerprint_of


@dataclass(frozen=True, slots=True)
class Tombstone:
    """One shopper who was forgotten."""

    shopper_sha256: str
    """By a `ShopperHasher`; its name in lists is of the time before there were keys."""
    forgotten_at: datetime
    """UTC; what they did up to it is forgotten. The time of their latest event, where that was dated ahead."""


_COLUMNS = tuple(field.name for field in dataclasses.fields(Tombstone))


class UnknownKeys(Exception):
    """Tombstones were made by keys that the process does not have: it would not know who was forgotten."""


def require_keys(fingerprints: Iterable[str], hasher: ShopperHasher, holder: str) -> None:
    """Require that a hasher recognises what was hashed by some keys.

    Args:
        fingerprints: of the keys.
        hasher: has the keys of this process.
        holder: what holds the hashes, for the message.

    Raises:
        UnknownKeys: it lacks one of the keys.
    """
    if unknown := hasher.find_unknown(fingerprints):
        raise UnknownKeys(
            f"{holder} knows forgotten shoppers by keys with the fingerprints {', '.join(unknown)}: give the file that "
            "has them with shopper_keys"
        )


def find_keys(tombstones: Iterable[Tombstone]) -> set[str]:
    """Find the fingerprints of the keys by which tombstones were made."""
    return {fingerprint for each in tombstones if (fingerprint := fingerprint_of(each.shopper_sha256))}


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
    if len(row) != len(_COLUMNS) or not SHOPPER_HASH.fullmatch(row[0]):
        raise ValueError(f"{path}, line {line}: {_COLUMNS[0]} is not 64 hexadecimal digits, nor a keyed hash")
    try:
        forgotten_at = datetime.fromisoformat(row[1])
    except ValueError:
        raise ValueError(f"{path}, line {line}: {_COLUMNS[1]} is no time in ISO 8601") from None
    if forgotten_at.tzinfo is None:
        raise ValueError(f"{path}, line {line}: {_COLUMNS[1]} has no time zone")
    return Tombstone(row[0], forgotten_at.astimezone(UTC))
