"""Headers of CSV files: their separator and their names."""

import csv
from pathlib import Path

from portrait.features.logs.column_hints import find_header_fault
from portrait.training.dataset.readers import MAX_CSV_LINE
from portrait.training.errors import DataError
from portrait.training.prepare import column_names

_DELIMITERS = ",;\t|"
NOT_UTF8 = "is not UTF-8; if a spreadsheet wrote the file, let it save 'CSV UTF-8'"


def detect_delimiter(file: Path) -> str:
    """Detect the separator of a file: the one that occurs most often in its header."""
    return max(_DELIMITERS, key=_read_first_line(file).decode("utf-8-sig", errors="replace").count)


def read_header(file: Path, delimiter: str) -> tuple[str, ...]:
    """Read the names of a file's columns; one without a name is called by its place, `column 3`.

    Raises:
        DataError: there is no header, or none that can be read.
    """
    try:
        names = next(csv.reader([_read_first_line(file).decode("utf-8-sig")], delimiter=delimiter), [])
    except UnicodeDecodeError as error:
        raise DataError(str(file), 1, None, NOT_UTF8) from error
    except csv.Error as error:
        raise DataError(str(file), 1, None, f"the header can't be read: {error}") from error
    if not names:
        raise DataError(str(file), 1, None, "the file has no header")
    if any("\0" in name for name in names):
        raise DataError(str(file), 1, None, "the header holds null bytes: is it UTF-16 without a byte order mark?")
    header = tuple(name.strip() or f"column {place}" for place, name in enumerate(names, start=1))
    if twice := column_names.find_repeated(header):
        raise DataError(str(file), 1, twice, "this column is named twice")
    return header


def _read_first_line(file: Path) -> bytes:
    with file.open("rb") as lines:
        first = lines.readline(MAX_CSV_LINE + 1)
    if len(first) > MAX_CSV_LINE:
        raise DataError(str(file), 1, None, f"the line is longer than {MAX_CSV_LINE} bytes")
    if fault := find_header_fault(first.decode("utf-8-sig", errors="replace")):
        raise DataError(str(file), 1, None, fault)
    return first
