"""Files as tables of text, with the row that each value stands in: CSV, JSON lines and Parquet."""

import csv
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import duckdb

from portrait.features.logs.json_lines import LineError, parse_object
from portrait.training import readers
from portrait.training.errors import DataError
from portrait.training.prepare.engine import identifier, literal, one
from portrait.training.readers import MAX_CSV_LINE, MAX_JSON_LINE

FORMATS = (".csv", ".tsv", ".jsonl", ".parquet")
_DELIMITERS = ",;\t|"
_LINE = re.compile(r"CSV Error on Line: (\d+)")
_WIDTH = re.compile(r"Expected Number of Columns: (\d+) Found: (\d+)")


@dataclass(frozen=True)
class Table:
    """A file as a temporary table: its columns as text, nested values as JSON, and `row`.

    `row` counts the file's records: the header of a CSV file is row 1, the first line of any other file is.
    """

    connection: duckdb.DuckDBPyConnection
    file: Path
    name: str
    columns: tuple[str, ...]

    def require(self, *names: str) -> None:
        """Refuse a file in which one of these columns is missing.

        Raises:
            DataError: naming the column.
        """
        for name in names:
            if name not in self.columns:
                raise DataError(str(self.file), 1, name, "this column is required")

    def require_values(self, column: str, expression: str, wanted: str) -> None:
        """Refuse a file in which text is no value of its column's kind: it is malformed, no mere odd row.

        Args:
            column: the column.
            expression: SQL that makes the value of the text, null if it can't.
            wanted: what the value should be, for the message.

        Raises:
            DataError: naming the first such row.
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
        """Refuse a file in which text can't be read as a value of its column's kind.

        Args:
            column: the column.
            expression: SQL that makes the value of the text, null if it can't.
            read: the definition of the kind; raises ValueError, with what is wrong, for text that can't be read.

        Raises:
            DataError: naming the first such row.
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
        """Whether its numbers have decimal commas, as those of files have whose separator is a semicolon."""
        return self.file.suffix in (".csv", ".tsv") and _delimiter(self.file) == ";"

    def _line(self, row: int) -> int:
        """The line on which a record ends: not its number where values hold line breaks or lines are blank."""
        if self.file.suffix == ".parquet":
            return row
        with self.file.open(newline="", encoding="utf-8-sig") as lines:
            if self.file.suffix == ".jsonl":
                numbers = (number for number, line in enumerate(lines, start=1) if line.strip())
            else:
                reader = csv.reader(lines, delimiter=_delimiter(self.file))
                numbers = (reader.line_num for record in reader if record)
            try:
                return next(islice(numbers, row - 1, None), row)
            except csv.Error:  # a value that is too long for this reader
                return row


def read(connection: duckdb.DuckDBPyConnection, file: Path, name: str, only: Collection[str] | None = None) -> Table:
    """Read a file with named columns into a temporary table.

    Args:
        connection: the engine.
        file: its ending says its format, one of `FORMATS`.
        name: of the table.
        only: columns that are wanted, where the file has them; all but `row` if None.

    Raises:
        DataError: the file is missing or malformed.
    """
    if not file.is_file():
        raise DataError(str(file), None, None, "this file is missing")
    readers = {".jsonl": _read_lines, ".parquet": _read_parquet}
    columns = readers.get(file.suffix, _read_csv)(connection, file, name, only)
    return Table(connection, file, name, tuple(columns))


def read_headless(
    connection: duckdb.DuckDBPyConnection, file: Path, name: str, columns: tuple[str, ...], delimiter: str
) -> Table:
    """Read a delimited file without header and without quotes into a temporary table.

    Raises:
        DataError: the file is missing or malformed.
    """
    if not file.is_file():
        raise DataError(str(file), None, None, "this file is missing")
    relation = readers.csv_relation(file, columns, delimiter, quote="", header=False)
    with reading(file, columns, delimiter):
        _create(connection, name, [identifier(column) for column in columns], relation, first_row=1)
    return Table(connection, file, name, columns)


@contextmanager
def reading(file: Path, columns: tuple[str, ...] = (), delimiter: str = ",") -> Iterator[None]:
    """Turn what the engine says of a malformed file into a `DataError` that names the place."""
    try:
        yield
    except duckdb.Error as error:
        told = str(error)
        found = _LINE.search(told)
        line = int(found.group(1)) if found else None
        column, message = _diagnosis(told, file, columns, delimiter, line)
        raise DataError(str(file), line, column, message) from error


def _read_csv(connection: duckdb.DuckDBPyConnection, file: Path, name: str, only: Collection[str] | None) -> list[str]:
    delimiter = _delimiter(file)
    header = _header(file, delimiter)
    kept = [column for column in header if column != "row" and (only is None or column in only)]
    with reading(file, header, delimiter):
        relation = readers.csv_relation(file, header, delimiter)
        _create(connection, name, [identifier(column) for column in kept], relation, first_row=2)
    return kept


def _read_lines(
    connection: duckdb.DuckDBPyConnection, file: Path, name: str, only: Collection[str] | None
) -> list[str]:
    """JSON is split by key here, not by the engine's guess of types: an id stays as it is written."""
    lines = readers.json_lines_relation(file)
    try:
        (other,) = one(connection, f"SELECT count(*) FROM {lines} WHERE json_type(json) <> 'OBJECT'")
        if other:
            raise _broken_line(file)
        keys = only
        if keys is None:
            found = connection.execute(f"SELECT DISTINCT unnest(json_keys(json)) AS key FROM {lines} ORDER BY key")
            keys = [row[0] for row in found.fetchall()]
        pointers = {key: literal("/" + key.replace("~", "~0").replace("/", "~1")) for key in keys if key != "row"}
        chosen = [f"json_extract_string(json, {pointer}) AS {identifier(key)}" for key, pointer in pointers.items()]
        _create(connection, name, chosen, lines, first_row=1)
    except duckdb.Error as error:
        raise _broken_line(file) from error
    filled = one(connection, "SELECT " + ", ".join(f"count({identifier(key)})" for key in pointers) + f" FROM {name}")
    return [key for key, count in zip(pointers, filled, strict=True) if count]


def _read_parquet(
    connection: duckdb.DuckDBPyConnection, file: Path, name: str, only: Collection[str] | None
) -> list[str]:
    relation = readers.parquet_relation(file)
    with reading(file):
        described = connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
        kinds = {row[0]: row[1] for row in described if row[0] != "row" and (only is None or row[0] in only)}
        chosen = [_as_text(column, kind) for column, kind in kinds.items()]
        _create(connection, name, chosen, relation, first_row=1)
    return list(kinds)


def _as_text(column: str, kind: str) -> str:
    nested = kind.endswith("]") or kind.startswith(("STRUCT", "MAP"))
    value = f"to_json({identifier(column)})" if nested else identifier(column)
    return f"{value}::VARCHAR AS {identifier(column)}"


def _create(connection: duckdb.DuckDBPyConnection, name: str, chosen: list[str], relation: str, first_row: int) -> None:
    columns = ", ".join([*chosen, f"row_number() OVER () + {first_row - 1} AS row"])
    connection.execute(f"CREATE TEMP TABLE {name} AS SELECT {columns} FROM {relation}")


def _delimiter(file: Path) -> str:
    """The separator that the header holds most of."""
    return max(_DELIMITERS, key=_first_line(file).decode("utf-8-sig", errors="replace").count)


def _first_line(file: Path) -> bytes:
    with file.open("rb") as lines:
        first = lines.readline(MAX_CSV_LINE + 1)
    if len(first) > MAX_CSV_LINE:
        raise DataError(str(file), 1, None, f"the line is longer than {MAX_CSV_LINE} bytes")
    return first


def _bounded(lines: BinaryIO, maximum: int) -> Iterator[bytes]:
    """Lines of a file; of one that is longer than a maximum its beginning, one byte longer."""
    while line := lines.readline(maximum + 1):
        yield line
        while len(line) > maximum and not line.endswith(b"\n"):
            line = lines.readline(maximum + 1)


def _header(file: Path, delimiter: str) -> tuple[str, ...]:
    try:
        names = next(csv.reader([_first_line(file).decode("utf-8-sig")], delimiter=delimiter), [])
    except UnicodeDecodeError as error:
        raise DataError(str(file), 1, None, f"is not UTF-8: {error.reason}") from error
    except csv.Error as error:
        raise DataError(str(file), 1, None, f"the header can't be read: {error}") from error
    if not names:
        raise DataError(str(file), 1, None, "the file has no header")
    header: dict[str, None] = {}
    for place, name in enumerate(names, start=1):
        column = name.strip() or f"column {place}"
        if column.casefold() in (known.casefold() for known in header):
            raise DataError(str(file), 1, column, "this column is named twice")
        header[column] = None
    return tuple(header)


def _diagnosis(
    told: str, file: Path, columns: tuple[str, ...], delimiter: str, line: int | None
) -> tuple[str | None, str]:
    """The column at fault, if one is, and what is wrong in one sentence."""
    if width := _WIDTH.search(told):
        expected = int(width.group(1))
        found = len(_fields(file, line, delimiter)) or int(width.group(2))
        missing = columns[found] if found < min(expected, len(columns)) else None
        return missing, f"the row has {found} values, the header {expected}"
    if "unterminated quote" in told:
        return _last_column(file, line, columns, delimiter), "a quote is opened and not closed"
    if "Invalid unicode" in told:
        return _last_column(file, line, columns, delimiter), "is not UTF-8"
    if "invalid state" in told:
        return None, "lines end in different ways, or a quoted value is followed by something else than a separator"
    return None, told.splitlines()[0]


def _fields(file: Path, line: int | None, delimiter: str) -> list[str]:
    """The values of a line up to its first byte that is not UTF-8."""
    if line is None:
        return []
    with file.open("rb") as lines:
        content = next(islice(_bounded(lines, MAX_CSV_LINE), line - 1, None), b"")
    try:
        readable = content.decode()
    except UnicodeDecodeError as error:
        readable = content[: error.start].decode()
    try:
        return next(csv.reader([readable], delimiter=delimiter), [""])
    except csv.Error:  # a value that is too long for this reader
        return []


def _last_column(file: Path, line: int | None, columns: tuple[str, ...], delimiter: str) -> str | None:
    place = len(_fields(file, line, delimiter)) - 1
    return columns[place] if 0 <= place < len(columns) else None


def _broken_line(file: Path) -> DataError:
    """What is wrong with the first line that is no JSON object: the engine only knows that there is one."""
    with file.open("rb") as lines:
        for number, line in enumerate(_bounded(lines, MAX_JSON_LINE), start=1):
            if len(line) > MAX_JSON_LINE:
                return DataError(str(file), number, None, f"the line is longer than {MAX_JSON_LINE} bytes")
            try:
                if line.strip():
                    parse_object(line.decode("utf-8-sig" if number == 1 else "utf-8"))
            except UnicodeDecodeError as error:
                return DataError(str(file), number, None, f"is not UTF-8: {error.reason}")
            except LineError as error:
                return DataError(str(file), number, error.column or None, f"the line {error}")
    return DataError(str(file), None, None, "the file can't be read as JSON lines")
