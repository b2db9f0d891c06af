"""Conversions between stored objects and values in Redis."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any

from portrait.server.demographics import Demographics
from portrait.server.storage.rows import change_of
from portrait.server.storage.store import ItemChange
from portrait.server.timestamps import from_microseconds

ARRIVAL_DIGITS = 16
"""A member of a history is the number of arrival in so many hexadecimal digits, then the event as JSON."""
SEPARATOR = "\0"
"""Between catalogue and item id, neither of which may hold it."""
UNNUMBERED = 2**53 - 1
"""Number of a deletion that is under way: later than all."""


def to_json(value: Any) -> str:
    """The one text of a value."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def digest_event(row: Sequence[Any]) -> tuple[bytes, str]:
    """Digest and JSON of the fields of an event."""
    text = to_json(row)
    return hashlib.blake2b(text.encode(), digest_size=16).digest(), text


def parse_tombstone(stored: bytes) -> tuple[int, int]:
    """Number and moment of a deletion."""
    number, _, at = stored.partition(b":")
    return int(number), int(at)


def parse_demographics(stored: bytes) -> Demographics:
    """Demographics of their JSON."""
    age_band, gender, region, declared_at, source = json.loads(stored)
    return Demographics(age_band, gender, region, from_microseconds(declared_at), source)


def split_change(field: bytes, stored: bytes) -> tuple[int, str, str, str | None, str]:
    """Number, catalogue, item id, JSON of the item and writer of a change."""
    catalogue, _, item_id = field.decode().partition(SEPARATOR)
    number, writer, item = stored.decode().split(" ", 2)
    return int(number), catalogue, item_id, item or None, writer


def parse_change(field: bytes, stored: bytes) -> tuple[str, ItemChange]:
    """Writer and change of an item."""
    number, catalogue, item_id, item, writer = split_change(field, stored)
    return writer, change_of((catalogue, item_id, item, number))


def pairs_of(answer: Any) -> Iterable[tuple[bytes, bytes]]:
    """The fields of a hash, which come as a mapping or, by the older protocol, one after the other."""
    if isinstance(answer, dict):
        return answer.items()
    return zip(answer[::2], answer[1::2], strict=True)
