"""Values of a log or a list, by the one definition that `portrait prepare` reads by too: `portrait.features.logs`.

A value is text, or what JSON holds in its place. Every function returns None for one that says nothing, and raises
ValueError, saying what is wrong, for one that can't be read.
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
_WRITTEN_OUT = (1e-6, 1e21)
"""Numbers of this size have no exponent, here and in the engine of `portrait prepare`."""


def text(value: Any) -> str | None:
    """Text as it stands; a JSON number is text too, since ids may be numbers."""
    return identifiers.read_text(written(value))


def identifier(value: Any) -> str | None:
    """An id, trimmed."""
    return identifiers.read_id(written(value))


def words(value: Any) -> str | None:
    """Words about an item, HTML entities decoded."""
    return descriptions.read_description(written(value))


def brand(value: Any) -> str | None:
    """The name of a brand, HTML entities decoded."""
    return descriptions.read_brand(written(value))


def moment(value: Any) -> datetime | None:
    """A time in UTC."""
    return timestamps.read_time(written(value))


def path(value: Any) -> tuple[str, ...]:
    """Names from the widest category down."""
    if isinstance(value, list):
        value = json.dumps(value)
    return tuple(descriptions.read_categories(written(value)))


def attribute(value: Any) -> str | None:
    """The value of an attribute, HTML entities decoded; an object or a list of JSON stays as it is written."""
    nested = isinstance(value, dict | list)
    return words(json.dumps(value, ensure_ascii=False, separators=(",", ":")) if nested else value)


def attributes(value: Any) -> dict[str, str]:
    """A JSON object, or a list of objects with `key` and `value`."""
    pairs = parse_json(value) if isinstance(value, str) else value
    if isinstance(pairs, list) and all(isinstance(pair, dict) and {"key", "value"} <= pair.keys() for pair in pairs):
        pairs = {pair["key"]: pair["value"] for pair in pairs}
    if not isinstance(pairs, dict):
        raise ValueError("is not a JSON object, or a list of objects with key and value")
    read = {written(key): attribute(worth) for key, worth in pairs.items() if worth is not None}
    return {key: worth for key, worth in read.items() if worth is not None}


def written(value: Any) -> str:
    """What stands in a log, as text."""
    if isinstance(value, str):
        return require_whole_characters(value)
    if isinstance(value, dict | list):
        raise ValueError(f"{json.dumps(value)[:80]} is not text")
    return _write_out(value) if isinstance(value, float) else json.dumps(value)


def whole_number(value: float) -> int:
    """A whole number of at most 32 bits; `3.0` is one."""
    if not value.is_integer() or abs(value) > _LARGEST_INTEGER:
        raise ValueError(f"sent {value:g}, which is not a whole number of at most 32 bits")
    return int(value)


def _write_out(value: float) -> str:
    """A number of JSON as text: without an exponent where the engine of `portrait prepare` writes none."""
    shortest = repr(value)
    if "e" not in shortest:
        return json.dumps(value)
    least, most = _WRITTEN_OUT
    if not least <= abs(value) < most:
        return re.sub(r"e([-+])0*", lambda mark: "e" + mark.group(1).strip("+"), shortest)
    return f"{Decimal(shortest):f}" + (".0" if value.is_integer() else "")
