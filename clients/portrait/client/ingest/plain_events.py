"""The quick way to read a message: one that is written plainly, as nearly all are.

It reads such a message as the rules of logs do, in a fraction of their time, and gives up on every other one. So no
message is refused here, and no error is worded twice; a test holds both ways against each other.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from portrait.client.enums import EventType
from portrait.client.messages import EVENT_TYPE_NUMBERS
from portrait.features.logs.event_types import read_event_type
from portrait.features.logs.identifiers import MAX_QUERY_CHARACTERS, read_id, read_text, trim
from portrait.features.logs.order_status import STATUS_COLUMNS, is_called_off
from portrait.features.logs.timestamps import EPOCH

_MAX_BYTES = 8_192
_TIME = re.compile(
    r"(?:19|20)\d\d-\d\d-\d\d[T ](?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,6})?(?:Z|[-+](?:0\d|1[0-7]):[0-5]\d)?",
    re.ASCII,
)
_NUMBER = re.compile(r"\d{1,9}(?:\.\d{1,9})?", re.ASCII)
_MIN_NUMBER, _MAX_NUMBER = 1e-4, 1e15
"""Numbers in this range, the second not included, are written without an exponent."""
_LARGEST_INTEGER = 2**31 - 1
_PURCHASE = EVENT_TYPE_NUMBERS[EventType.PURCHASE]


class PlainEvent(NamedTuple):
    """A message that is written plainly."""

    fields: dict[str, Any]
    """Those of a `ShopperEvent`."""
    called_off_by: str
    """Key that says that the purchase was called off; empty if none does."""


def read_plain_event(payload: bytes) -> PlainEvent | None:
    """Read a message that is written plainly; None if the rules of logs have to read it."""
    if b"\\" in payload or len(payload) > _MAX_BYTES:
        return None
    try:
        sent = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return None
    if type(sent) is not dict or not _are_plain_keys(tuple(sent)):
        return None
    event = _read_fields(sent, payload.count(b'"'))
    if event is None or not event.keys() >= _REQUIRED:
        return None
    called_off_by = _find_called_off(sent) if event["type"] == _PURCHASE else ""
    return PlainEvent({"shopper_id": event.pop("shopper_id"), "event": event}, called_off_by)


def _find_called_off(sent: dict[str, Any]) -> str:
    return next((trim(key) for key in _find_status_keys(tuple(sent)) if is_called_off(trim(key), str(sent[key]))), "")


@lru_cache(256)
def _find_status_keys(keys: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(key for key in keys if trim(key).casefold() in STATUS_COLUMNS)


@lru_cache(256)
def _are_plain_keys(keys: tuple[str, ...]) -> bool:
    """Tell whether keys differ in more than their case, and each name of a column is written as it is here."""
    folded = {key.casefold() for key in keys}
    return len(folded) == len(keys) and all(key in _READERS or trim(key).casefold() not in _READERS for key in keys)


def _read_fields(sent: dict[str, Any], quotes: int) -> dict[str, Any] | None:
    """Read the fields of an event and `shopper_id`; None if a value is not plain.

    Args:
        sent: the message.
        quotes: count of quotation marks in its text, none of them escaped. If there are more than the keys and values
            have, a key was named twice: the parser keeps the last.
    """
    read: dict[str, Any] = {}
    for name, value in sent.items():
        kind = type(value)
        if kind is str:
            quotes -= 2
        elif kind is dict or kind is list:
            return None
        if (reader := _READERS.get(name)) is None or value is None or value == "":
            continue
        field = reader(value)
        if field is None:
            return None
        read[name] = field
    return read if quotes == 2 * len(sent) else None


def _read_id(value: Any) -> str | None:
    try:
        return read_id(value) if type(value) is str else None
    except ValueError:
        return None


def _read_query(value: Any) -> str | None:
    return value[:MAX_QUERY_CHARACTERS] if type(value) is str and read_text(value) else None


@lru_cache(256)
def _read_type(value: Any) -> int | None:
    kind = read_event_type(value) if type(value) is str else None
    return None if kind is None else EVENT_TYPE_NUMBERS[EventType(kind)]


def _read_number(value: Any) -> float | None:
    if type(value) is str and _NUMBER.fullmatch(value):
        return float(value)
    is_plain = type(value) in (float, int) and _MIN_NUMBER <= value < _MAX_NUMBER
    return float(value) if is_plain else None


def _read_position(value: Any) -> int | None:
    number = _read_number(value)
    return int(number) if number is not None and number.is_integer() and number <= _LARGEST_INTEGER else None


def _read_time(value: Any) -> dict[str, int] | None:
    """Read ISO 8601, or seconds or milliseconds since 1970 of this century, as the fields of a `Timestamp`."""
    if type(value) is int:
        return _read_whole_time(value)
    if type(value) is not str:
        return None
    if len(value) in (10, 13) and value.isascii() and value.isdigit() and value[0] != "0":
        return _read_whole_time(int(value))
    if not _TIME.fullmatch(value):
        return None
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        return None
    since = (time if time.tzinfo else time.replace(tzinfo=UTC)) - EPOCH
    return {"seconds": since.days * 86_400 + since.seconds, "nanos": since.microseconds * 1000}


def _read_whole_time(value: int) -> dict[str, int] | None:
    if 10**9 <= value < 10**10:
        return {"seconds": value}
    if 10**12 <= value < 10**13:
        return {"seconds": value // 1000, "nanos": value % 1000 * 1_000_000}
    return None


_READERS: dict[str, Callable[[Any], Any]] = {
    "shopper_id": _read_id,
    "event_id": _read_id,
    "type": _read_type,
    "time": _read_time,
    "item_id": _read_id,
    "catalogue": _read_id,
    "query": _read_query,
    "price": _read_number,
    "quantity": _read_number,
    "rating": _read_number,
    "dwell_seconds": _read_number,
    "position": _read_position,
}
"""By column. Each returns None for a value that is not plain."""
_REQUIRED = {"shopper_id", "event_id", "type", "time"}
