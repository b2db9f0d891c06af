"""Events and items from files: CSV with a header, or JSON lines, by the rules of docs/data.md. Texts: one per line."""

import csv
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from portrait.client import log_fields
from portrait.client.results import Event, EventType, Item
from portrait.features import events as features
from portrait.features.logs.amounts import Amount, read_amount, read_currency
from portrait.features.logs.column_hints import describe_missing, find_header_fault
from portrait.features.logs.event_types import read_event_type, read_signs
from portrait.features.logs.identifiers import MAX_QUERY_CHARACTERS, trim
from portrait.features.logs.json_lines import LineError, parse_object
from portrait.features.logs.order_status import is_called_off

_EVENT_COLUMNS: dict[str, Callable[[Any], Any]] = {
    "event_id": log_fields.read_id,
    "time": log_fields.read_time,
    "item_id": log_fields.read_id,
    "catalogue": log_fields.read_id,
    "query": log_fields.read_text,
}
_NUMBERS = ("quantity", "rating", "dwell_seconds", "position")
_ITEM_COLUMNS: dict[str, Callable[[Any], Any]] = {
    "item_id": log_fields.read_id,
    "title": log_fields.read_words,
    "category_path": log_fields.read_category_path,
    "brand": log_fields.read_brand,
    "attributes": log_fields.read_attributes,
}
_READ_COLUMNS = {"shopper_id", "type", "price", "currency", *_EVENT_COLUMNS, *_NUMBERS, *_ITEM_COLUMNS}
_NO_ATTRIBUTE_COLUMNS = {"", "row", "catalogue", "price", "currency", *_ITEM_COLUMNS}
TEXT_CHARACTERS = 1000
"""Maximum length of a text to encode, by the contract."""

_DELIMITERS = ",;\t|"


class FileError(Exception):
    """A file is malformed.

    Args:
        file: name of the file.
        line: number of the line, from 1.
        problem: description of the fault.
        column: name of the column; empty if the fault is in no column.
    """

    def __init__(self, file: str, line: int, problem: str, column: str = "") -> None:
        super().__init__(f"{file}, line {line}{f', column {column!r}' if column else ''}: {problem}")


@dataclass(frozen=True)
class RecordedEvent:
    """An event of a log, with its line and its shopper."""

    line: int
    shopper_id: str
    event: Event
    has_minus_sign: bool = False
    """True if a minus sign marked a refund: the event has absolute values."""
    dropped_currency: str = ""
    """Currency of a price that was dropped because the log's prices are in another currency."""
    called_off_by: str = ""
    """Column that says that the purchase was called off; it counts as one nevertheless."""


@dataclass(frozen=True)
class RejectedRow:
    """A row of a well-formed file that is not a valid event."""

    line: int
    column: str
    message: str


class _Rejected(Exception):
    """A row is not a valid event."""

    def __init__(self, column: str, message: str) -> None:
        super().__init__(message)
        self.column = column


@dataclass(frozen=True)
class ListedItem:
    """An item of a list, with its line and the catalogue that the line names; empty if it names none."""

    line: int
    catalogue: str
    item: Item
    dropped_currency: str = ""
    """Currency of a price that was dropped because the list's prices are in another currency."""


@dataclass(frozen=True)
class _Row:
    """The values of one line by column, without blank ones."""

    file: str
    line: int
    cells: Mapping[str, Any]
    decimal_comma: bool = False

    def read(self, column: str, convert: Callable[[Any], Any]) -> Any:
        """Convert the value of a column; None if there is none."""
        if column not in self.cells:
            return None
        try:
            return convert(self.cells[column])
        except ValueError as error:
            raise FileError(self.file, self.line, str(error), column) from error

    def read_all(self, columns: Mapping[str, Callable[[Any], Any]]) -> dict[str, Any]:
        """Convert the values of several columns, without missing ones."""
        read = {column: self.read(column, convert) for column, convert in columns.items()}
        return {column: value for column, value in read.items() if value is not None}

    def read_amount(self, column: str) -> Amount | None:
        """Read a number and its currency."""
        return self.read(column, lambda value: read_amount(log_fields.to_text(value), decimal_comma=self.decimal_comma))


def read_events(
    lines: Iterable[bytes],
    file: str,
    currency: str = "",
    reject: Callable[[RejectedRow], None] | None = None,
) -> Iterator[RecordedEvent]:
    """Read the events of a log.

    An event without id gets a hash of its shopper, subject and time as its id, so that recording a log again records
    nothing twice.

    Args:
        lines: the lines of the file with their line ends, in UTF-8.
        file: name of the file, for messages.
        currency: prices in other currencies are dropped; if empty, the currency of the first price that has one.
        reject: called with each row that is not a valid event, for example of an unknown type; None to raise instead.

    Raises:
        FileError: the file is malformed.
    """
    for row in _read_rows(lines, file, required=("shopper_id", "type")):
        try:
            read = _read_event(row, currency)
        except _Rejected as error:
            if reject is None:
                raise FileError(file, row.line, str(error), error.column) from None
            reject(RejectedRow(row.line, error.column, str(error)))
            continue
        currency = currency or _read_row_currency(row)
        yield read


def find_currency(lines: Iterable[bytes], file: str) -> str:
    """Find the most frequent currency of the prices in a log or a list; empty if no price has one.

    Lines after a malformed line are not read.
    """
    counts: Counter[str] = Counter()
    with suppress(FileError):
        counts.update(filter(None, map(_read_row_currency, _read_rows(lines, file, required=()))))
    return min(counts, key=lambda currency: (-counts[currency], currency), default="")


def read_items(lines: Iterable[bytes], file: str, currency: str = "") -> Iterator[ListedItem]:
    """Read the items of a list; a column that is not a field of an item becomes an attribute.

    Args:
        lines: the lines of the file with their line ends, in UTF-8.
        file: name of the file, for messages.
        currency: prices in other currencies are dropped; if empty, the currency of the first price that has one.

    Raises:
        FileError: the file is malformed.
    """
    for row in _read_rows(lines, file, required=("item_id",)):
        fields = {"item_id": ""} | row.read_all(_ITEM_COLUMNS)
        price, dropped_currency = _read_price(row, currency)
        currency = currency or _read_row_currency(row)
        attribute_columns = [column for column in row.cells if column not in _NO_ATTRIBUTE_COLUMNS]
        fields["attributes"] = _join_attributes(row, fields.get("attributes", {}), attribute_columns)
        item = Item(**fields, price=price)
        yield ListedItem(row.line, row.read("catalogue", log_fields.read_id) or "", item, dropped_currency)


def read_texts(lines: Iterable[bytes], file: str) -> Iterator[str]:
    """Read texts, one per line; blank lines are skipped.

    Args:
        lines: the lines of the file with their line ends, in UTF-8.
        file: name of the file, for messages.

    Raises:
        FileError: a line is not UTF-8, or longer than the limit.
    """
    for number, line in enumerate(_decode(lines, file), start=1):
        text = line.strip()
        if len(text) > TEXT_CHARACTERS:
            raise FileError(file, number, f"has {len(text)} characters; the limit is {TEXT_CHARACTERS}")
        if text:
            yield text


def _read_event(row: _Row, currency: str) -> RecordedEvent:
    shopper_id = row.read("shopper_id", log_fields.read_id) or ""
    fields = row.read_all(_EVENT_COLUMNS)
    if "query" in fields:
        fields["query"] = fields["query"][:MAX_QUERY_CHARACTERS]
    numbers: dict[str, Any] = {name: amount.value for name in _NUMBERS if (amount := row.read_amount(name)) is not None}
    price, dropped_currency = _read_price(row, currency)
    written = (_read_type(row), price, numbers.pop("quantity", None))
    kind, paid, quantity = meant = read_signs(*written)
    if "position" in numbers:
        numbers["position"] = _read_position(numbers["position"])
    event = Event(EventType(kind), price=paid, quantity=quantity, **numbers, **fields)
    if not event.event_id:
        event = replace(event, event_id=_make_id(shopper_id, event))
    called_off_by = _find_called_off(row) if kind is features.EventType.PURCHASE else ""
    return RecordedEvent(row.line, shopper_id, event, meant != written, dropped_currency, called_off_by)


def _find_called_off(row: _Row) -> str:
    """Find the column that says that the row's order was called off; empty if none does."""
    return next((column for column, value in row.cells.items() if is_called_off(column, str(value))), "")


def _read_type(row: _Row) -> features.EventType:
    name = row.read("type", log_fields.read_text)
    if name is None:
        raise _Rejected("type", "is missing")
    kind = read_event_type(name)
    if kind is None:
        raise _Rejected("type", f"{trim(name)[:80]!r} is not one of {', '.join(EventType)}")
    return kind


def _read_position(number: float) -> int:
    try:
        return log_fields.read_whole_number(number)
    except ValueError as error:
        raise _Rejected("position", str(error)) from None


def _read_price(row: _Row, currency: str) -> tuple[float | None, str]:
    """Return the price and no currency; if the price is in another currency, no price and that currency."""
    price, named = row.read_amount("price"), _read_row_currency(row)
    if currency and named not in ("", currency):
        return None, named
    return (None if price is None else price.value), ""


def _read_row_currency(row: _Row) -> str:
    """Return the currency of a row's price: from the price itself or else from its column; empty if there is none."""
    price = row.read_amount("price")
    if price is None or price.currency:
        return price.currency if price else ""
    return read_currency(row.read("currency", log_fields.read_text) or "") or ""


def _make_id(shopper_id: str, event: Event) -> str:
    """Make the id of an event; rows that `portrait prepare` takes for one event get the same id."""
    what = ("", event.query) if event.type is EventType.SEARCH else (event.item_id, "")
    catalogue = "" if event.catalogue == features.DEFAULT_CATALOGUE else event.catalogue
    known = (shopper_id, event.type, "" if event.time is None else str(event.time), catalogue, *what)
    return hashlib.sha256("\0".join(known).encode()).hexdigest()[:32]


def _read_rows(lines: Iterable[bytes], file: str, required: tuple[str, ...]) -> Iterator[_Row]:
    """Read rows of JSON lines if the first line that is not blank begins with a brace, else of CSV."""
    texts = _decode(lines, file)
    head: list[str] = []
    for text in texts:
        head.append(text)
        if text.strip():
            break
    every = chain(head, texts)
    if head and head[-1].lstrip().startswith("{"):
        yield from _read_json_rows(every, file)
    else:
        if fault := find_header_fault(head[-1] if head else ""):
            raise FileError(file, len(head), fault)
        yield from _read_csv_rows(every, file, _find_delimiter(head), required)


def _decode(lines: Iterable[bytes], file: str) -> Iterator[str]:
    for number, line in enumerate(lines, start=1):
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise FileError(file, number, f"byte {error.start + 1} is not UTF-8") from error


def _read_json_rows(lines: Iterable[str], file: str) -> Iterator[_Row]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = parse_object(line)
        except LineError as error:
            raise FileError(file, number, str(error), error.column) from error
        yield _Row(file, number, _drop_blank({_normalise_column(name): value for name, value in row.items()}))


def _read_csv_rows(lines: Iterable[str], file: str, delimiter: str, required: tuple[str, ...]) -> Iterator[_Row]:
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    header: list[str] = []
    try:
        for row in filter(None, reader):
            if not header:
                header = [_normalise_column(name) for name in row]
                _check_header(header, file, reader.line_num, required)
            elif len(row) != len(header):
                raise FileError(file, reader.line_num, f"has {len(row)} values; the header has {len(header)}")
            else:
                yield _Row(file, reader.line_num, _drop_blank(dict(zip(header, row, strict=True))), delimiter == ";")
    except csv.Error as error:
        raise FileError(file, reader.line_num, str(error)) from error


def _join_attributes(row: _Row, attributes: dict[str, str], columns: list[str]) -> dict[str, str]:
    """Merge the column `attributes` with attribute columns; a name may occur in only one of them, ignoring case."""
    known = {name.casefold() for name in attributes}
    for column in columns:
        if column.casefold() in known:
            raise FileError(row.file, row.line, "is both an attribute and a column, perhaps in different case", column)
    return attributes | row.read_all(dict.fromkeys(columns, log_fields.read_attribute))


def _normalise_column(name: str) -> str:
    """Return the name of a column; known columns match regardless of case."""
    trimmed = trim(name)
    return trimmed.casefold() if trimmed.casefold() in _READ_COLUMNS else trimmed


def _check_header(header: list[str], file: str, line: int, required: tuple[str, ...]) -> None:
    if missing := [column for column in required if column not in header]:
        raise FileError(file, line, describe_missing(missing, header), missing[0])
    known: set[str] = set()
    for column in header:
        if column and column.casefold() in known:
            raise FileError(file, line, "this column is named twice", column)
        known.add(column.casefold())


def _drop_blank(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        column: value
        for column, value in row.items()
        if value is not None and not (isinstance(value, str) and not trim(value))
    }


def _find_delimiter(head: list[str]) -> str:
    """Return the most frequent separator of the header."""
    return max(_DELIMITERS, key="".join(head).count)
