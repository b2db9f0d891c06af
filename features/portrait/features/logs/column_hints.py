"""Hints for logs whose columns have other names: one rule for `portrait prepare` and `record`.

They only suggest. Portrait reads no column by another name, because one name means different things in two exports: the
`customer_id` of one is a shopper, that of another is an order.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

_OTHER_NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "shopper_id": (
            "user id", "customer id", "visitor id", "user pseudo id", "customer user id", "member id", "client id",
            "household key", "household id", "reviewer id", "user", "customer",
        ),
        "type": ("event type", "event name", "event", "behavior type", "behaviour type", "behavior", "action"),
        "item_id": ("product id", "article id", "sku", "lineitem sku", "stock code", "asin", "parent asin", "item"),
        "time": (
            "event time", "event timestamp", "timestamp", "datetime", "date", "created at", "order date",
            "invoice date", "purchase date", "order purchase timestamp", "t dat",
        ),
    }
)  # fmt: skip
"""Names that common exports give to what a log needs, the likeliest first."""
_MAX_NAMES = 12
_NAME_CHARACTERS = 40
_BLANKS = re.compile(r"[\W_]+")
_MIN_DATA_CHARACTERS = 6
"""A shorter number may be a name, such as the `0` of a column of row numbers."""
_DATA = re.compile(r"[\d.,:/ +-]*\d[\d.,:/ +-]*")


def suggest_column(column: str, names: Iterable[str]) -> str | None:
    """Find the column that another export names otherwise.

    Args:
        column: as Portrait names it.
        names: those of the file.

    Returns:
        The likeliest of the names; None if none is known to stand for it.
    """
    found = {_join_words(name): name for name in reversed(list(names))}
    wanted = map(_join_words, (column, *_OTHER_NAMES.get(column, ())))
    return next((found[name] for name in wanted if name in found), None)


def describe_missing(missing: Sequence[str], names: Iterable[str]) -> str:
    """Say that a required column is missing, and what may hold it and the others that are missing.

    Args:
        missing: as Portrait names them; the first one is the column that the message is about.
        names: those of the file. Names that are data, in a file without a header, are not repeated.
    """
    known = [name for name in names if name]
    if any(len(name) >= _MIN_DATA_CHARACTERS and _DATA.fullmatch(name) for name in known):
        return "this column is required, and the first line holds data: write a header above it"
    if not known:
        return "this column is required"
    wanted = missing if "time" in known else [*missing, "time"]
    suggested = {column: name for column in wanted if (name := suggest_column(column, known))}
    advice = []
    if missing[0] not in suggested:
        named = ", ".join(repr(name[:_NAME_CHARACTERS]) for name in known[:_MAX_NAMES])
        more = f" and {len(known) - _MAX_NAMES} more" if len(known) > _MAX_NAMES else ""
        advice.append(f"the file has {named}{more}")
    if suggested:
        renamed = ", ".join(f"{name!r} to {column!r}" for column, name in suggested.items())
        advice.append(f"rename {renamed}, if that is what they hold")
    if "type" in missing and "type" not in suggested:
        advice.append("in a log of orders alone, the type of every row is 'purchase'")
    return "; ".join(["this column is required", *advice])


def find_header_fault(line: str) -> str | None:
    """Say why the first line of a CSV file is no header; None if it may be one.

    Args:
        line: with its end.
    """
    if "\r" in line.rstrip("\r\n"):
        return "lines end with a carriage return alone; write line feeds"
    if line.lstrip('"').casefold().startswith("sep="):
        return "this line is a note for a spreadsheet: delete it"
    return None


def _join_words(name: str) -> str:
    return _BLANKS.sub("", name.casefold())
