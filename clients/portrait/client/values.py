"""Text of a log as values, by the rules of docs/data.md: what `portrait prepare` reads, `portrait record` reads.

Every function raises ValueError, saying what the text is not.
"""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from portrait.client.results import EventType

_SYNONYMS = {
    "query": EventType.SEARCH,
    "page_view": EventType.VIEW,
    "pageview": EventType.VIEW,
    "product_view": EventType.VIEW,
    "cart": EventType.ADD_TO_CART,
    "addtocart": EventType.ADD_TO_CART,
    "add-to-cart": EventType.ADD_TO_CART,
    "buy": EventType.PURCHASE,
    "order": EventType.PURCHASE,
    "transaction": EventType.PURCHASE,
    "rating": EventType.RATE,
    "review": EventType.RATE,
    "return": EventType.REFUND,
    "returned": EventType.REFUND,
}
_TYPES = {kind.value: kind for kind in EventType} | _SYNONYMS
_GROUPED = re.compile(r"[-+]?[$€£¥￥]?\s?\d{1,3}(,\d{3})*(\.\d+)?")
_SIGNS = str.maketrans("", "", "$€£¥￥, ")
_EPOCH = re.compile(r"[-+]?\d+(\.\d+)?([eE][-+]?\d+)?")
_START = datetime(1970, 1, 1, tzinfo=UTC)
_LARGEST_INTEGER = 2**31 - 1


def text(value: Any) -> str:
    """Text as it stands; a JSON number is text too, since ids may be numbers."""
    if isinstance(value, dict | list):
        raise ValueError(f"{json.dumps(value)[:80]} is not text")
    written = value if isinstance(value, str) else json.dumps(value)
    try:
        written.encode()
    except UnicodeEncodeError:
        raise ValueError("holds half a surrogate pair") from None
    return written


def event_type(value: Any) -> EventType:
    """A type of event, or one of its other names."""
    kind = _TYPES.get(text(value).strip().lower())
    if kind is None:
        raise ValueError(f"{value!r} is not one of {', '.join(EventType)}")
    return kind


def number(value: Any) -> float:
    """A number; `1,299.00` and `$5` are numbers too. NaN and infinity stay, for the server to refuse."""
    written = text(value).strip()
    try:
        return float(written.translate(_SIGNS) if _GROUPED.fullmatch(written) else written)
    except ValueError:
        raise ValueError(f"{written[:80]!r} is not a number") from None


def integer(value: Any) -> int:
    """A whole number of at most 32 bits; `3.0` is one."""
    read = number(value)
    if not read.is_integer() or abs(read) > _LARGEST_INTEGER:
        raise ValueError(f"{text(value)[:80]!r} is not a whole number of at most 32 bits")
    return int(read)


def moment(value: Any) -> datetime:
    """ISO 8601, in UTC where it has no offset; or seconds, milliseconds or microseconds since 1970."""
    written = text(value).strip()
    try:
        if not _EPOCH.fullmatch(written):
            time = datetime.fromisoformat(written)
            return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
        since = float(written)
        return _START + timedelta(seconds=since / (1e6 if abs(since) >= 1e14 else 1e3 if abs(since) >= 1e11 else 1))
    except (ValueError, OverflowError):
        raise ValueError(f"{written[:80]!r} is not a time") from None


def path(value: Any) -> tuple[str, ...]:
    """Names from the widest category down: a list, or text with `>` between them."""
    if isinstance(value, str) and value.startswith("["):
        value = parsed(value)
    parts = value if isinstance(value, list) else text(value).split(">")
    names = (text("" if part is None else part).strip() for part in parts)
    return tuple(name for name in names if name)


def attributes(value: Any) -> dict[str, str]:
    """A JSON object, or a list of objects with `key` and `value`."""
    pairs = parsed(value) if isinstance(value, str) else value
    if isinstance(pairs, list) and all(isinstance(pair, dict) and {"key", "value"} <= pair.keys() for pair in pairs):
        pairs = {pair["key"]: pair["value"] for pair in pairs}
    if not isinstance(pairs, dict):
        raise ValueError("is not a JSON object, or a list of objects with key and value")
    return {text(key): text(worth) for key, worth in pairs.items() if worth not in (None, "")}


def parsed(written: str) -> Any:
    """JSON."""
    try:
        return json.loads(written)
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"is not JSON: {error}") from None
