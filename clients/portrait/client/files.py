"""Events and items from files: CSV with a header, or JSON lines, by the rules of docs/data.md. Texts: one a line."""

import csv
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from portrait.client import values
from portrait.client.results import Event, EventType, Item
from portrait.features import events as features
from portrait.features.logs.amounts import Amount, read_amount, read_currency
from portrait.features.logs.event_types import read_event_type, read_signs
from portrait.features.logs.identifiers import MAX_QUERY_CHARACTERS, trim
from portrait.features.logs.json_lines import LineError, parse_object

_EVENT_COLUMNS: dict[str, Callable[[Any], Any]] = {
    "event_id": values.identifier,
    "time": values.moment,
    "item_id": values.identifier,
    "catalogue": values.identifier,
    "query": values.text,
}
_NUMBERS = ("quantity", "rating", "dwell_seconds", "position")
_ITEM_COLUMNS: dict[str, Callable[[Any], Any]] = {
    "item_id": values.identifier,
    "title": values.words,
    "category_path": values.path,
    "brand": values.brand,
    "attributes": values.attributes,
}
_READ_COLUMNS = {"shopper_id", "type", "price", "currency", *_EVENT_COLUMNS, *_NUMBERS, *_ITEM_COLUMNS}
_NO_FURTHER_COLUMNS = {"", "row", "catalogue", "price", "currency", *_ITEM_COLUMNS}
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
    sign_read: bool = False
    """Whether a minus sign said that something was given back: the event holds absolute values."""
    left_currency: str = ""
    """Of a price that was left out, since the log's prices are in another one."""


@dataclass(frozen=True)
class RejectedRow:
    """A row that can't be an event, while the file is well formed."""

    line: int
    column: str
    message: str


class _Rejected(Exception):
    """A row can't be an event."""

    def __init__(self, column: str, message: str) -> None:
        super().__init__(message)
        self.column = column


@dataclass(frozen=True)
class ListedItem:
    """An item of a list, where it stands and the catalogue that its line names; empty if it names none."""

    line: int
    catalogue: str
    item: Item
    left_currency: str = ""
    """Of a price that was left out, since the list's prices are in another one."""


@dataclass(frozen=True)
class _Row:
    """One line's values by column; those that show nothing are left out."""

    file: str
    line: int
    cells: Mapping[str, Any]
    decimal_comma: bool = False

    def read(self, column: str, convert: Callable[[Any], Any]) -> Any:
        """The value of a column, None if there is none."""
        if column not in self.cells:
            return None
        try:
            return convert(self.cells[column])
        except ValueError as error:
            raise FileError(self.file, self.line, str(error), column) from error

    def read_all(self, columns: Mapping[str, Callable[[Any], Any]]) -> dict[str, Any]:
        """The values of those columns that say something."""
        read = {column: self.read(column, convert) for column, convert in columns.items()}
        return {column: value for column, value in read.items() if value is not None}

    def read_amount(self, column: str) -> Amount | None:
        """A number, and the currency that it names."""
        return self.read(column, lambda value: read_amount(values.written(value), decimal_comma=self.decimal_comma))


def read_events(
    lines: Iterable[bytes],
    file: str,
    currency: str = "",
    reject: Callable[[RejectedRow], None] | None = None,
) -> Iterator[RecordedEvent]:
    """Read the events of a log.

    An event without id gets one that is made of who, what and when: recording a log again records nothing twice.

    Args:
        lines: the file's lines with their ends, UTF-8.
        file: its name, for messages.
        currency: prices in others are left out; if empty, the first that a price names.
        reject: is told of rows that can't be events, such as those of an unknown type; if None, they raise.

    Raises:
        FileError: the file is malformed.
    """
    for row in _rows(lines, file, required=("shopper_id", "type")):
        try:
            read = _read_event(row, currency)
        except _Rejected as error:
            if reject is None:
                raise FileError(file, row.line, str(error), error.column) from None
            reject(RejectedRow(row.line, error.column, str(error)))
            continue
        currency = currency or _currency(row)
        yield read


def find_currency(lines: Iterable[bytes], file: str) -> str:
    """Find the currency of most prices of a log or a list; empty if none names one.

    What stands behind a malformed line does not count: nothing there is read.
    """
    counts: Counter[str] = Counter()
    with suppress(FileError):
        counts.update(filter(None, map(_currency, _rows(lines, file, required=()))))
    return min(counts, key=lambda currency: (-counts[currency], currency), default="")


def read_items(lines: Iterable[bytes], file: str, currency: str = "") -> Iterator[ListedItem]:
    """The items of a list; a column that is none of an item's is an attribute.

    Args:
        lines: the file's lines with their ends, UTF-8.
        file: its name, for messages.
        currency: prices in others are left out; if empty, the first that a price names.

    Raises:
        FileError: the file is malformed.
    """
    for row in _rows(lines, file, required=("item_id",)):
        said = {"item_id": ""} | row.read_all(_ITEM_COLUMNS)
        price, left_currency = _read_price(row, currency)
        currency = currency or _currency(row)
        further = [column for column in row.cells if column not in _NO_FURTHER_COLUMNS]
        said["attributes"] = _join_attributes(row, said.get("attributes", {}), further)
        item = Item(**said, price=price)
        yield ListedItem(row.line, row.read("catalogue", values.identifier) or "", item, left_currency)


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


def _read_event(row: _Row, currency: str) -> RecordedEvent:
    shopper_id = row.read("shopper_id", values.identifier) or ""
    said = row.read_all(_EVENT_COLUMNS)
    if "query" in said:
        said["query"] = said["query"][:MAX_QUERY_CHARACTERS]
    numbers: dict[str, Any] = {name: amount.value for name in _NUMBERS if (amount := row.read_amount(name)) is not None}
    price, left_currency = _read_price(row, currency)
    written = (_read_type(row), price, numbers.pop("quantity", None))
    kind, paid, quantity = meant = read_signs(*written)
    if "position" in numbers:
        numbers["position"] = _read_position(numbers["position"])
    event = Event(EventType(kind), price=paid, quantity=quantity, **numbers, **said)
    if not event.event_id:
        event = replace(event, event_id=_make_id(shopper_id, event))
    return RecordedEvent(row.line, shopper_id, event, meant != written, left_currency)


def _read_type(row: _Row) -> features.EventType:
    name = row.read("type", values.text)
    if name is None:
        raise _Rejected("type", "is missing")
    kind = read_event_type(name)
    if kind is None:
        raise _Rejected("type", f"{trim(name)[:80]!r} is not one of {', '.join(EventType)}")
    return kind


def _read_position(number: float) -> int:
    try:
        return values.whole_number(number)
    except ValueError as error:
        raise _Rejected("position", str(error)) from None


def _read_price(row: _Row, currency: str) -> tuple[float | None, str]:
    """The price, if it is in a currency, and else the currency in which it is."""
    price, named = row.read_amount("price"), _currency(row)
    if currency and named not in ("", currency):
        return None, named
    return (None if price is None else price.value), ""


def _currency(row: _Row) -> str:
    """The currency of a row's price: that of the price itself, else that of its column; empty if there is none."""
    price = row.read_amount("price")
    if price is None or price.currency:
        return price.currency if price else ""
    return read_currency(row.read("currency", values.text) or "") or ""


def _make_id(shopper_id: str, event: Event) -> str:
    """An id that two rows share which `portrait prepare` takes for one event."""
    what = ("", event.query) if event.type is EventType.SEARCH else (event.item_id, "")
    catalogue = "" if event.catalogue == features.DEFAULT_CATALOGUE else event.catalogue
    known = (shopper_id, event.type, "" if event.time is None else str(event.time), catalogue, *what)
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
            row = parse_object(line)
        except LineError as error:
            raise FileError(file, number, str(error), error.column) from error
        yield _Row(file, number, _filled({_column(name): value for name, value in row.items()}))


def _csv_rows(lines: Iterable[str], file: str, delimiter: str, required: tuple[str, ...]) -> Iterator[_Row]:
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    header: list[str] = []
    try:
        for row in filter(None, reader):
            if not header:
                header = [_column(name) for name in row]
                _check_header(header, file, reader.line_num, required)
            elif len(row) != len(header):
                raise FileError(file, reader.line_num, f"has {len(row)} values; the header has {len(header)}")
            else:
                yield _Row(file, reader.line_num, _filled(dict(zip(header, row, strict=True))), delimiter == ";")
    except csv.Error as error:
        raise FileError(file, reader.line_num, str(error)) from error


def _join_attributes(row: _Row, attributes: dict[str, str], further: list[str]) -> dict[str, str]:
    """The attributes of the column of that name, and of further columns; no name may be in both, in whatever case."""
    known = {name.casefold() for name in attributes}
    for column in further:
        if column.casefold() in known:
            raise FileError(
                row.file, row.line, "is an attribute and a column, perhaps in upper and in lower case", column
            )
    return attributes | row.read_all(dict.fromkeys(further, values.attribute))


def _column(name: str) -> str:
    """The column that a file names; of those that are read, upper and lower case do not matter."""
    trimmed = trim(name)
    return trimmed.casefold() if trimmed.casefold() in _READ_COLUMNS else trimmed


def _check_header(header: list[str], file: str, line: int, required: tuple[str, ...]) -> None:
    for column in required:
        if column not in header:
            raise FileError(file, line, "this column is required", column)
    known: set[str] = set()
    for column in header:
        if column and column.casefold() in known:
            raise FileError(file, line, "this column is named twice", column)
        known.add(column.casefold())


def _filled(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        column: value
        for column, value in row.items()
        if value is not None and not (isinstance(value, str) and not trim(value))
    }


def _delimiter(head: list[str]) -> str:
    """The separator that the header holds most of."""
    return max(_DELIMITERS, key="".join(head).count)
