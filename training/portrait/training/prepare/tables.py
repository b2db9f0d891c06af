"""Read CSV, JSON lines and Parquet files into tables of text that know the row of each value.

All values are text at first, so that an id such as `007` stays as it is written. Later steps convert them, and
report a value that they refuse by file, line and column.
"""

import csv
import re
from codecs import BOM_UTF8
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import duckdb

from portrait.features.logs.column_hints import describe_missing
from portrait.features.logs.json_lines import LineError, parse_object
from portrait.training.dataset import readers
from portrait.training.dataset.readers import MAX_CSV_LINE, MAX_JSON_LINE
from portrait.training.dataset.sql import identifier, literal
from portrait.training.errors import DataError
from portrait.training.prepare import column_names, parts, schema
from portrait.training.prepare.csv_headers import NOT_UTF8, detect_delimiter, read_header
from portrait.training.prepare.engine import fetch_one

_ChooseColumns = Callable[[Iterable[str]], dict[str, str]]
"""Chooses columns among those of a file: name in the file by name in the table; see `column_names.choose_columns`."""
_FLAT_COLUMNS = {*schema.EVENT_COLUMNS, *schema.ITEM_COLUMNS, *schema.SHOPPER_COLUMNS, "currency"} - {
    "category_path",
    "attributes",
}
"""Columns of the schema that hold one value, so that an object or a list in them is an error."""
_LINE = re.compile(r"CSV Error on Line: (\d+)")
_WIDTH = re.compile(r"Expected Number of Columns: (\d+) Found: (\d+)")


@dataclass(frozen=True)
class Table:
    """A file as a temporary table: its columns as text, nested values as JSON text, and `row`.

    `row` counts the records of the file from 1. In a CSV file, row 1 is the header.
    """

    connection: duckdb.DuckDBPyConnection
    file: Path
    name: str
    columns: tuple[str, ...]
    unread: tuple[str, ...] = ()
    """Columns of the file that the table leaves out, as the file writes them."""

    def require(self, *names: str) -> None:
        """Require that the file has these columns.

        Raises:
            DataError: a column is missing; the error names it.
        """
        if missing := [name for name in names if name not in self.columns]:
            raise DataError(str(self.file), 1, missing[0], describe_missing(missing, [*self.columns, *self.unread]))

    def require_values(self, column: str, expression: str, wanted: str) -> None:
        """Require that all text of a column can be converted. Other text means a malformed file, not a bad row.

        Args:
            column: name of the column.
            expression: SQL that converts the text to the value, or to null if it can't.
            wanted: description of a valid value, for the message.

        Raises:
            DataError: some text can't be converted; the error names the first such line.
        """
        text = identifier(column)
        condition = f"trim({text}) <> '' AND ({expression}) IS NULL"
        found = self.connection.execute(
            f"SELECT row, {text} FROM {self.name} WHERE {condition} ORDER BY row LIMIT 1"
        ).fetchone()
        if found is not None:
            row, value = found
            raise DataError(str(self.file), self._line(row), column, f"{value[:80]!r} is not {wanted}")

    def require_readable(self, column: str, expression: str, read: Callable[[str], object]) -> None:
        """Require that `read` accepts all text of a column.

        Args:
            column: name of the column.
            expression: SQL that converts the text to the value; null where the text says nothing or is invalid.
            read: tells the two apart: converts one text, and raises ValueError with the reason if it is invalid.

        Raises:
            DataError: some text is invalid; the error names the first such line.
        """
        text = identifier(column)
        unread = self.connection.execute(
            f"SELECT min(row) AS first, {text} FROM {self.name} "
            f"WHERE {text} <> '' AND ({expression}) IS NULL GROUP BY 2 ORDER BY first"
        )
        while found := unread.fetchone():
            row, value = found
            try:
                read(value)
            except ValueError as error:
                raise DataError(str(self.file), self._line(row), column, str(error)) from None

    @property
    def decimal_comma(self) -> bool:
        """True if numbers have decimal commas: spreadsheets write a semicolon as separator where they do."""
        return parts.file_format(self.file) in (".csv", ".tsv") and detect_delimiter(self.file) == ";"

    def _line(self, row: int) -> int:
        """Find the line on which a record ends. It differs from `row` after blank lines or values with line breaks."""
        if parts.file_format(self.file) == ".parquet":
            return row
        with self.file.open(newline="", encoding="utf-8-sig") as lines:
            if parts.file_format(self.file) == ".jsonl":
                numbers = (number for number, line in enumerate(lines, start=1) if line.strip())
            else:
                reader = csv.reader(lines, delimiter=detect_delimiter(self.file))
                numbers = (reader.line_num for record in reader if record)
            try:
                return next(islice(numbers, row - 1, None), row)
            except csv.Error:  # a value that is too long for this reader
                return row


def read_table(
    connection: duckdb.DuckDBPyConnection,
    file: Path,
    name: str,
    only: Collection[str] | None = None,
    known: Collection[str] = (),
) -> Table:
    """Read a file with named columns into a temporary table.

    Args:
        connection: the DuckDB connection that gets the table.
        file: an uncompressed file; its suffix states the format, one of `parts.FORMATS`.
        name: name of the table.
        only: columns to read if the file has them, in lower case; None for all but `row`.
        known: columns whose names match without regard to case, in lower case; used if `only` is None.

    Raises:
        DataError: the file is missing or malformed.
    """
    if not file.is_file():
        raise DataError(str(file), None, None, "this file is missing")
    formats = {".jsonl": _read_lines, ".parquet": _read_parquet}
    unread: list[str] = []

    def choose(names: Iterable[str]) -> dict[str, str]:
        found = list(names)
        chosen = column_names.choose_columns(found, only, known if only is None else only)
        unread.extend(column for column in found if column not in chosen.values())
        return chosen

    columns = formats.get(parts.file_format(file), _read_csv)(connection, file, name, choose)
    return Table(connection, file, name, tuple(columns), tuple(unread))


def read_headerless_table(
    connection: duckdb.DuckDBPyConnection, file: Path, name: str, columns: tuple[str, ...], delimiter: str
) -> Table:
    """Read a delimited file without header and without quotes into a temporary table.

    Raises:
        DataError: the file is missing or malformed.
    """
    if not file.is_file():
        raise DataError(str(file), None, None, "this file is missing")
    relation = readers.csv_relation(file, columns, delimiter, quote="", header=False)
    with translated_errors(file, columns, delimiter):
        _create_table(connection, name, [identifier(column) for column in columns], relation, first_row=1)
    return Table(connection, file, name, columns)


@contextmanager
def translated_errors(file: Path, columns: tuple[str, ...] = (), delimiter: str = ",") -> Iterator[None]:
    """Translate DuckDB's error about a malformed file into a `DataError` that names line and column."""
    try:
        yield
    except duckdb.Error as error:
        message = str(error)
        found = _LINE.search(message)
        line = int(found.group(1)) if found else None
        column, diagnosis = _diagnose(message, file, columns, delimiter, line)
        raise DataError(str(file), line, column, diagnosis) from error


def _read_csv(connection: duckdb.DuckDBPyConnection, file: Path, name: str, wanted: _ChooseColumns) -> list[str]:
    delimiter = detect_delimiter(file)
    header = read_header(file, delimiter)
    kept = wanted(header)
    with translated_errors(file, header, delimiter):
        relation = readers.csv_relation(file, header, delimiter)
        _create_table(connection, name, _select_renamed(kept), relation, first_row=2)
    return list(kept)


def _read_lines(connection: duckdb.DuckDBPyConnection, file: Path, name: str, wanted: _ChooseColumns) -> list[str]:
    """Read JSON lines key by key. DuckDB's own reader guesses types, which would change an id such as `007`.

    Returns:
        The keys that have a value in some line.
    """
    lines = readers.json_lines_relation(file)
    try:
        twice = "len(json_keys(json)) > len(list_distinct(list_transform(json_keys(json), lambda key: lower(key))))"
        other, repeats = fetch_one(
            connection,
            f"SELECT count(*) FILTER (json_type(json) <> 'OBJECT'), count(*) FILTER ({twice}) FROM {lines}",
        )
        if other:
            raise _find_broken_line(file)
        found = connection.execute(f"SELECT DISTINCT unnest(json_keys(json)) AS key FROM {lines} ORDER BY key")
        names = [row[0] for row in found.fetchall()]
        if repeats or column_names.find_repeated(names):
            raise _find_repeated_key(connection, file, lines)
        pointers = {
            key: literal("/" + written.replace("~", "~0").replace("/", "~1")) for key, written in wanted(names).items()
        }
        _require_flat(connection, file, lines, pointers)
        chosen = [f"json_extract_string(json, {pointer}) AS {identifier(key)}" for key, pointer in pointers.items()]
        _create_table(connection, name, chosen, lines, first_row=1)
    except duckdb.Error as error:
        raise _find_broken_line(file) from error
    if not pointers:
        return []
    filled = fetch_one(
        connection, "SELECT " + ", ".join(f"count({identifier(key)})" for key in pointers) + f" FROM {name}"
    )
    return [key for key, count in zip(pointers, filled, strict=True) if count]


def _require_flat(connection: duckdb.DuckDBPyConnection, file: Path, lines: str, pointers: dict[str, str]) -> None:
    """Require that no column of one value (`_FLAT_COLUMNS`) holds an object or a list."""
    flat = {key: pointer for key, pointer in pointers.items() if key in _FLAT_COLUMNS}
    if not flat:
        return
    nested = {key: f"json_type(json, {pointer}) IN ('OBJECT', 'ARRAY')" for key, pointer in flat.items()}
    columns = ", ".join(f"count(*) FILTER ({condition})" for condition in nested.values())
    counts = fetch_one(connection, f"SELECT {columns} FROM {lines}")
    for (key, condition), count in zip(nested.items(), counts, strict=True):
        if count:
            numbered = f"(SELECT row_number() OVER () AS row, {condition} AS nested FROM {lines})"
            (row,) = fetch_one(connection, f"SELECT min(row) FROM {numbered} WHERE nested")
            raise DataError(str(file), int(str(row)), key, "is an object or a list, not text")


def _find_repeated_key(connection: duckdb.DuckDBPyConnection, file: Path, lines: str) -> DataError:
    """Describe the first key that occurs twice in a line, or in another case in an earlier line."""
    known: dict[str, str] = {}
    found = connection.execute(f"SELECT row_number() OVER () AS row, json_keys(json) AS keys FROM {lines}")
    while row := found.fetchone():
        key = column_names.find_repeated(row[1]) or next(
            (key for key in row[1] if known.get(key.casefold(), key) != key), None
        )
        if key is not None:
            return DataError(str(file), row[0], key, "this key is there twice, perhaps in upper and in lower case")
        known |= {key.casefold(): key for key in row[1]}
    return DataError(str(file), None, None, "keys are there twice, perhaps in upper and in lower case")


def _read_parquet(connection: duckdb.DuckDBPyConnection, file: Path, name: str, wanted: _ChooseColumns) -> list[str]:
    with translated_errors(file):
        fields = connection.execute(
            f"SELECT name, coalesce(num_children, 0) FROM {readers.parquet_schema_relation(file)}"
        ).fetchall()
        if twice := column_names.find_repeated_field(fields):
            raise DataError(
                str(file), None, twice[1], f"{twice[0]!r} is there twice, perhaps in upper and in lower case"
            )
        relation = readers.parquet_relation(file)
        kinds = {row[0]: row[1] for row in connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()}
        chosen = wanted(kinds)
        for key, column in chosen.items():
            if key in _FLAT_COLUMNS and _is_nested(kinds[column]):
                raise DataError(str(file), None, column, "holds objects or lists, not text")
        texts = [f"{_as_text(column, kinds[column])} AS {identifier(name)}" for name, column in chosen.items()]
        try:
            _create_table(connection, name, texts, relation, first_row=1)
        except duckdb.InvalidInputException as error:
            raise (
                _find_invalid_utf8(connection, file, {column: kinds[column] for column in chosen.values()}) or error
            ) from error
    return list(chosen)


def _find_invalid_utf8(connection: duckdb.DuckDBPyConnection, file: Path, kinds: dict[str, str]) -> DataError | None:
    """Describe the first value of a Parquet file that is not UTF-8, since DuckDB's error names no column or row.

    Invalid bytes are replaced in one reading of the file and dropped in another: an invalid value differs.
    """
    for column, kind in kinds.items():
        text = _as_text(column, kind)
        readings = (
            f"(SELECT row_number() OVER () AS row, {text} AS value FROM "
            f"{readers.parquet_relation(file, mending=mending)})"
            for mending in ("replace", "ignore")
        )
        row = connection.execute(
            "SELECT min(row) FROM {} AS one JOIN {} AS other USING (row) WHERE one.value <> other.value".format(
                *readings
            )
        ).fetchone()
        if row and row[0]:
            return DataError(str(file), row[0], column, "is not UTF-8")
    return None


def _as_text(column: str, kind: str) -> str:
    return f"to_json({identifier(column)})::VARCHAR" if _is_nested(kind) else f"{identifier(column)}::VARCHAR"


def _is_nested(kind: str) -> bool:
    return kind.endswith("]") or kind.startswith(("STRUCT", "MAP"))


def _select_renamed(columns: dict[str, str]) -> list[str]:
    return [f"{identifier(column)} AS {identifier(name)}" for name, column in columns.items()]


def _create_table(
    connection: duckdb.DuckDBPyConnection, name: str, chosen: list[str], relation: str, first_row: int
) -> None:
    columns = ", ".join([*chosen, f"row_number() OVER () + {first_row - 1} AS row"])
    connection.execute(f"CREATE TEMP TABLE {name} AS SELECT {columns} FROM {relation}")


def _bounded_lines(lines: BinaryIO, maximum: int) -> Iterator[bytes]:
    """Yield the lines of a file; cut a line above the maximum one byte after it, so that its length shows the cut."""
    while line := lines.readline(maximum + 1):
        yield line
        while len(line) > maximum and not line.endswith(b"\n"):
            line = lines.readline(maximum + 1)


def _diagnose(
    message: str, file: Path, columns: tuple[str, ...], delimiter: str, line: int | None
) -> tuple[str | None, str]:
    """Turn DuckDB's message into the column at fault, None if unknown, and the fault in one sentence."""
    if width := _WIDTH.search(message):
        expected = int(width.group(1))
        found = len(_read_fields(file, line, delimiter)) or int(width.group(2))
        missing = columns[found] if found < min(expected, len(columns)) else None
        return missing, f"the row has {found} values, the header {expected}"
    if "unterminated quote" in message:
        return _last_column(file, line, columns, delimiter), "a quote is opened and not closed"
    if "Invalid unicode" in message:
        return _last_column(file, line, columns, delimiter), NOT_UTF8
    if "invalid state" in message:
        return None, "lines end in different ways, or a quoted value is followed by something else than a separator"
    return None, message.splitlines()[0]


def _read_fields(file: Path, line: int | None, delimiter: str) -> list[str]:
    """Read the values of a line up to its first byte that is not UTF-8."""
    if line is None:
        return []
    with file.open("rb") as lines:
        content = next(islice(_bounded_lines(lines, MAX_CSV_LINE), line - 1, None), b"")
    try:
        readable = content.decode()
    except UnicodeDecodeError as error:
        readable = content[: error.start].decode()
    try:
        return next(csv.reader([readable], delimiter=delimiter), [""])
    except csv.Error:  # a value that is too long for this reader
        return []


def _last_column(file: Path, line: int | None, columns: tuple[str, ...], delimiter: str) -> str | None:
    last = len(_read_fields(file, line, delimiter)) - 1
    return columns[last] if 0 <= last < len(columns) else None


def _find_broken_line(file: Path) -> DataError:
    """Describe the first line that is not a JSON object, since DuckDB's error names no line."""
    with file.open("rb") as lines:
        for number, line in enumerate(_bounded_lines(lines, MAX_JSON_LINE), start=1):
            if len(line) > MAX_JSON_LINE:
                return DataError(str(file), number, None, f"the line is longer than {MAX_JSON_LINE} bytes")
            if number == 1 and line.removeprefix(BOM_UTF8).lstrip().startswith(b"["):
                return DataError(str(file), 1, None, "a list begins here; write one object per line, without a list")
            try:
                if line.strip():
                    parse_object(line.decode("utf-8-sig" if number == 1 else "utf-8"))
            except UnicodeDecodeError as error:
                return DataError(str(file), number, None, f"is not UTF-8: {error.reason}")
            except LineError as error:
                return DataError(str(file), number, error.column or None, f"the line {error}")
    return DataError(str(file), None, None, "the file can't be read as JSON lines")
