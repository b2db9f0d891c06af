"""Events and items from files: CSV with a header, or JSON lines, by the rules of docs/data.md. Texts: one a line."""

import csv
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from portrait.client import values
from portrait.client.results import Event, Item

_EVENT_COLUMNS: dict[str, Callable[[Any], Any]] = {
    "type": values.event_type,
    "event_id": values.text,
    "time": values.moment,
    "item_id": values.text,
    "catalogue": values.text,
    "query": values.text,
    "price": values.number,
    "quantity": values.number,
    "rating": values.number,
    "dwell_seconds": values.number,
    "position": values.integer,
}
_ITEM_COLUMNS: dict[str, Callable[[Any], Any]] = {
    "item_id": values.text,
    "title": values.text,
    "category_path": values.path,
    "brand": values.text,
    "attributes": values.attributes,
    "price": values.number,
}
TEXT_CHARACTERS = 1000
"""The contract's limit of a text to encode."""

_DELIMITERS = ",;\t|"


class FileError(Exception):
    """A file is malformed.

    Args:
        file: its name.
        line: where, from 1.
        problem: what is wrong there.
        column: in which column; empty if in none.
    """

    def __init__(self, file: str, line: int, problem: str, column: str = "") -> None:
        super().__init__(f"{file}, line {line}{f', column {column!r}' if column else ''}: {problem}")


@dataclass(frozen=True)
class RecordedEvent:
    """An event of a log, where it stands and who did it."""

    line: int
    shopper_id: str
    event: Event


@dataclass(frozen=True)
class ListedItem:
    """An item of a list, where it stands and the catalogue that its line names; empty if it names none."""

    line: int
    catalogue: str
    item: Item


@dataclass(frozen=True)
class _Row:
    """One line's values by column; blank ones are left out."""

    file: str
    line: int
    cells: Mapping[str, Any]

    def read(self, column: str, convert: Callable[[Any], Any]) -> Any:
        """The value of a column that is there."""
        try:
            return convert(self.cells[column])
        except ValueError as error:
            raise FileError(self.file, self.line, str(error), column) from error

    def read_all(self, columns: Mapping[str, Callable[[Any], Any]]) -> dict[str, Any]:
        """The values of those columns that are there."""
        return {column: self.read(column, convert) for column, convert in columns.items() if column in self.cells}

    def read_text(self, column: str) -> str:
        """Text; empty if there is none."""
        return str(self.read(column, values.text)) if column in self.cells else ""


def read_events(lines: Iterable[bytes], file: str) -> Iterator[RecordedEvent]:
    """The events of a log.

    An event without id gets one that is made of who, what and when: recording a log again records nothing twice.

    Args:
        lines: the file's lines with their ends, UTF-8.
        file: its name, for messages.

    Raises:
        FileError: the file is malformed.
    """
    for row in _rows(lines, file, required=("shopper_id", "type")):
        if "type" not in row.cells:
            raise FileError(file, row.line, "is missing", "type")
        shopper_id, said = row.read_text("shopper_id"), row.read_all(_EVENT_COLUMNS)
        said.setdefault("event_id", _made_id(shopper_id, said))
        yield RecordedEvent(row.line, shopper_id, Event(**said))


def read_items(lines: Iterable[bytes], file: str) -> Iterator[ListedItem]:
    """The items of a list; a column that is none of an item's is an attribute.

    Args:
        lines: the file's lines with their ends, UTF-8.
        file: its name, for messages.

    Raises:
        FileError: the file is malformed.
    """
    for row in _rows(lines, file, required=("item_id",)):
        said = {"item_id": ""} | row.read_all(_ITEM_COLUMNS)
        further = [column for column in row.cells if column not in {"", "catalogue", *_ITEM_COLUMNS}]
        said["attributes"] = said.get("attributes", {}) | {column: row.read_text(column) for column in further}
        yield ListedItem(row.line, row.read_text("catalogue"), Item(**said))


def read_texts(lines: Iterable[bytes], file: str) -> Iterator[str]:
    """Texts, one a line; blank lines are left out.

    Args:
        lines: the file's lines with their ends, UTF-8.
        file: its name, for messages.

    Raises:
        FileError: a line is not UTF-8, or longer than a text may be.
    """
    for number, line in enumerate(_decoded(lines, file), start=1):
        text = line.strip()
        if len(text) > TEXT_CHARACTERS:
            raise FileError(file, number, f"has {len(text)} characters; the limit is {TEXT_CHARACTERS}")
        if text:
            yield text


def _made_id(shopper_id: str, said: Mapping[str, Any]) -> str:
    known = (shopper_id, *(str(said.get(column, "")) for column in ("type", "time", "catalogue", "item_id", "query")))
    return hashlib.sha256("\0".join(known).encode()).hexdigest()[:32]


def _rows(lines: Iterable[bytes], file: str, required: tuple[str, ...]) -> Iterator[_Row]:
    """The rows of JSON lines, where the first that is not blank begins with a brace, else of CSV."""
    texts = _decoded(lines, file)
    head: list[str] = []
    for text in texts:
        head.append(text)
        if text.strip():
            break
    every = chain(head, texts)
    if head and head[-1].lstrip().startswith("{"):
        yield from _json_rows(every, file)
    else:
        yield from _csv_rows(every, file, _delimiter(head), required)


def _decoded(lines: Iterable[bytes], file: str) -> Iterator[str]:
    for number, line in enumerate(lines, start=1):
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise FileError(file, number, f"byte {error.start + 1} is not UTF-8") from error


def _json_rows(lines: Iterable[str], file: str) -> Iterator[_Row]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = values.parsed(line)
        except ValueError as error:
            raise FileError(file, number, str(error)) from error
        if not isinstance(row, dict):
            raise FileError(file, number, "is not a JSON object")
        yield _Row(file, number, _filled(row))


def _csv_rows(lines: Iterable[str], file: str, delimiter: str, required: tuple[str, ...]) -> Iterator[_Row]:
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    header: list[str] = []
    try:
        for row in filter(None, reader):
            if not header:
                header = row
                _check_header(header, file, reader.line_num, required)
            elif len(row) != len(header):
                raise FileError(file, reader.line_num, f"has {len(row)} values; the header has {len(header)}")
            else:
                yield _Row(file, reader.line_num, _filled(dict(zip(header, row, strict=True))))
    except csv.Error as error:
        raise FileError(file, reader.line_num, str(error)) from error


def _check_header(header: list[str], file: str, line: int, required: tuple[str, ...]) -> None:
    for column in required:
        if column not in header:
            raise FileError(file, line, "this column is required", column)
    for column in header:
        if header.count(column) > 1:
            raise FileError(file, line, "this column is named twice", column)


def _filled(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        column: value
        for column, value in row.items()
        if value is not None and not (isinstance(value, str) and not value.strip())
    }


def _delimiter(head: list[str]) -> str:
    """The separator that the header holds most of."""
    return max(_DELIMITERS, key="".join(head).count)
