"""Values of a log or a list, read by the rules of `portrait.features.logs`, which `portrait prepare` uses too.

A value is text, or a value of JSON. Every function returns None for a blank value, and raises a ValueError that states
the problem for a value that can't be read.
"""

import json
import re
from datetime import datetime
from decimal import Decimal
from typing import Any

from portrait.features.logs import descriptions, identifiers, timestamps
from portrait.features.logs.identifiers import require_whole_characters
from portrait.features.logs.json_lines import parse_json

_LARGEST_INTEGER = 2**31 - 1
_PLAIN_RANGE = (1e-6, 1e21)
"""Numbers in this range are written without an exponent, as in the SQL engine of `portrait prepare`."""


def read_text(value: Any) -> str | None:
    """Read text; a JSON number counts as text because ids may be numbers."""
    return identifiers.read_text(to_text(value))


def read_id(value: Any) -> str | None:
    """Read an id, trimmed."""
    return identifiers.read_id(to_text(value))


def read_words(value: Any) -> str | None:
    """Read words about an item, with HTML entities decoded."""
    return descriptions.read_description(to_text(value))


def read_brand(value: Any) -> str | None:
    """Read the name of a brand, with HTML entities decoded."""
    return descriptions.read_brand(to_text(value))


def read_time(value: Any) -> datetime | None:
    """Read a time in UTC."""
    return timestamps.read_time(to_text(value))


def read_category_path(value: Any) -> tuple[str, ...]:
    """Read names from the broadest category down."""
    if isinstance(value, list):
        value = json.dumps(value)
    return tuple(descriptions.read_categories(to_text(value)))


def read_attribute(value: Any) -> str | None:
    """Read an attribute, with HTML entities decoded; a JSON object or list is kept as JSON text."""
    nested = isinstance(value, dict | list)
    return read_words(json.dumps(value, ensure_ascii=False, separators=(",", ":")) if nested else value)


def read_attributes(value: Any) -> dict[str, str]:
    """Read attributes from a JSON object, or from a list of objects with `key` and `value`."""
    pairs = parse_json(value) if isinstance(value, str) else value
    if isinstance(pairs, list) and all(isinstance(pair, dict) and {"key", "value"} <= pair.keys() for pair in pairs):
        pairs = {pair["key"]: pair["value"] for pair in pairs}
    if not isinstance(pairs, dict):
        raise ValueError("is not a JSON object, or a list of objects with key and value")
    read = {to_text(key): read_attribute(value) for key, value in pairs.items() if value is not None}
    return {key: value for key, value in read.items() if value is not None}


def to_text(value: Any) -> str:
    """Convert a value of a log to text."""
    if isinstance(value, str):
        return require_whole_characters(value)
    if isinstance(value, dict | list):
        raise ValueError(f"{json.dumps(value)[:80]} is not text")
    return _number_to_text(value) if isinstance(value, float) else json.dumps(value)


def read_whole_number(value: float) -> int:
    """Read a whole number of at most 32 bits, such as `3.0`."""
    if not value.is_integer() or abs(value) > _LARGEST_INTEGER:
        raise ValueError(f"sent {value:g}, which is not a whole number of at most 32 bits")
    return int(value)


def _number_to_text(value: float) -> str:
    """Convert a JSON number to text, without an exponent where the SQL engine of `portrait prepare` writes none."""
    shortest = repr(value)
    if "e" not in shortest:
        return json.dumps(value)
    low, high = _PLAIN_RANGE
    if not low <= abs(value) < high:
        return re.sub(r"e([-+])0*", lambda mark: "e" + mark.group(1).strip("+"), shortest)
    return f"{Decimal(shortest):f}" + (".0" if value.is_integer() else "")
