"""Events and items from files: CSV with a header, or JSON lines. The columns are the fields of the contract."""

import csv
import json
from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any, TextIO

from portrait.client.results import Event, EventType, Item

_NUMBERS = ("price", "quantity", "rating", "dwell_seconds")


class FileError(Exception):
    """A file is malformed; the message names file, line and column."""


def read_events(lines: TextIO, name: str) -> Iterator[tuple[int, str, Event]]:
    """Line number, shopper id and event of each line.

    Raises:
        FileError: a line is not one.
    """
    known = {each.name for each in fields(Event)}
    for line, row in _rows(lines, name):
        shopper_id = str(row.get("shopper_id") or "")
        values: dict[str, Any] = {key: value for key, value in row.items() if key in known and value not in (None, "")}
        for column in values:
            values[column] = _converted(column, values[column], f"{name}, line {line}")
        if "type" not in values:
            raise FileError(f"{name}, line {line}, column 'type': is missing")
        yield line, shopper_id, Event(**values)


def read_items(lines: TextIO, name: str) -> Iterator[Item]:
    """Items; `category_path` is a list, or names joined by `>`; `attributes` an object.

    Raises:
        FileError: a line is not one.
    """
    for line, row in _rows(lines, name):
        path = row.get("category_path") or ()
        attributes = row.get("attributes") or {}
        if isinstance(attributes, str):
            attributes = _object(attributes, f"{name}, line {line}, column 'attributes'")
        price = row.get("price")
        yield Item(
            item_id=str(row.get("item_id") or ""),
            title=str(row.get("title") or ""),
            category_path=[part.strip() for part in path.split(">")] if isinstance(path, str) else path,
            brand=str(row.get("brand") or ""),
            attributes={str(key): str(value) for key, value in attributes.items()},
            price=None if price in (None, "") else _converted("price", price, f"{name}, line {line}"),
        )


def _rows(lines: TextIO, name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Lines as mappings: JSON where the first begins with a brace, else CSV."""
    first = lines.readline()
    if first.lstrip().startswith("{"):
        for line, text in enumerate(_all(first, lines), start=1):
            if text.strip():
                yield line, _object(text, f"{name}, line {line}")
        return
    header = next(csv.reader([first]), [])
    reader = csv.DictReader(lines, fieldnames=header, strict=True)
    try:
        for row in reader:
            if None in row or None in row.values():
                raise FileError(f"{name}, line {reader.line_num + 1}: does not have {len(header)} columns")
            yield reader.line_num + 1, row
    except (csv.Error, UnicodeDecodeError) as error:
        raise FileError(f"{name}, line {reader.line_num + 1}: {error}") from error


def _all(first: str, rest: TextIO) -> Iterator[str]:
    yield first
    yield from rest


def _object(text: str, place: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise FileError(f"{place}: is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise FileError(f"{place}: is not a JSON object")
    return value


def _converted(column: str, value: Any, place: str) -> Any:
    try:
        if column == "type":
            return EventType(str(value).lower())
        if column == "time":
            return _time(value)
        if column in _NUMBERS:
            return float(value)
        return int(value) if column == "position" else str(value)
    except (ValueError, TypeError, OverflowError, OSError) as error:
        raise FileError(f"{place}, column {column!r}: {error}") from error


def _time(value: Any) -> datetime:
    """ISO 8601, or seconds since 1970."""
    try:
        return datetime.fromtimestamp(float(value), UTC)
    except ValueError:
        time = datetime.fromisoformat(str(value))
        return time if time.tzinfo else time.replace(tzinfo=UTC)
