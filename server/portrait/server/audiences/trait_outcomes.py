"""Outcomes of traits, as `portrait label-traits` writes them: what came true of shoppers after a moment."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

MAX_SHOPPERS = 2_000
"""Shoppers of a trait that are drawn: each costs a profile, and more hardly narrow the interval."""

_COLUMNS = ["trait", "shopper_id", "as_of", "value"]
_VALUES = {"0": False, "1": True}


class OutcomesError(Exception):
    """The outcomes can't be read, or don't fit the release or the state."""


@dataclass(slots=True)
class TraitOutcomes:
    """A sample of the outcomes of one trait."""

    as_of: datetime
    """They are of the trait's horizon after it."""
    count: int = 0
    """Outcomes of the file."""
    sample: list[tuple[str, bool]] = field(default_factory=list)
    """Shoppers, and whether it came true: up to `MAX_SHOPPERS`, the same ones for the same file."""


def read_outcomes(file: Path) -> dict[str, TraitOutcomes]:
    """Draw a sample of the outcomes of each trait; memory is bounded by the samples.

    Raises:
        OutcomesError: the file can't be read, holds none, or has a line that is none.
    """
    found: dict[str, TraitOutcomes] = {}
    random = np.random.default_rng(0)
    for number, trait, shopper_id, as_of, came_true in _read_rows(file):
        outcomes = found.setdefault(trait, TraitOutcomes(as_of))
        if outcomes.as_of != as_of:
            raise _error(file, number, f"as_of: trait {trait} has outcomes of several moments")
        # Reservoir sampling (Vitter 1985, algorithm R).
        outcomes.count += 1
        if len(outcomes.sample) < MAX_SHOPPERS:
            outcomes.sample.append((shopper_id, came_true))
        elif (place := int(random.integers(outcomes.count))) < MAX_SHOPPERS:
            outcomes.sample[place] = shopper_id, came_true
    if not found:
        raise OutcomesError(f"{file} holds no outcome")
    return found


def _read_rows(file: Path) -> Iterator[tuple[int, str, str, datetime, bool]]:
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            rows = csv.reader(lines, strict=True)
            if (header := next(rows, [])) not in ([], _COLUMNS):
                raise _error(file, 1, f"the columns must be {', '.join(_COLUMNS)}, not {', '.join(header)[:200]}")
            for row in rows:
                yield rows.line_num, *_read_row(file, rows.line_num, row)
    except OSError as error:
        raise OutcomesError(f"{file} can't be read: {error.strerror}") from error
    except (UnicodeError, csv.Error) as error:
        raise OutcomesError(f"{file} is no CSV file in UTF-8: {error}") from error


def _read_row(file: Path, number: int, row: list[str]) -> tuple[str, str, datetime, bool]:
    if len(row) != len(_COLUMNS):
        raise _error(file, number, f"has {len(row)} fields in place of {len(_COLUMNS)}")
    trait, shopper_id, time, value = row
    try:
        as_of = datetime.fromisoformat(time)
    except ValueError:
        raise _error(file, number, f"as_of: {time[:40]!r} is no time as ISO 8601 writes it") from None
    if value not in _VALUES:
        raise _error(file, number, f"value: must be 0 or 1, not {value[:40]!r}")
    if not trait or not shopper_id:
        raise _error(file, number, "trait and shopper_id must not be empty")
    return trait, shopper_id, as_of if as_of.tzinfo else as_of.replace(tzinfo=UTC), _VALUES[value]


def _error(file: Path, number: int, message: str) -> OutcomesError:
    return OutcomesError(f"{file}, line {number}: {message}")
