"""Titles, categories and other words of items."""

import ast
import html
import json
import re
from collections.abc import Iterable

from portrait.features.logs.identifiers import MISSING_MARKERS, read_name, require_whole_characters, trim

_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});")
_STRING = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""
_ELEMENT = re.compile(rf"\s*(?:(?P<string>{_STRING})|(?P<word>[^\s,'\"\[\]()]+))\s*,?", re.DOTALL)


def decode_entities(text: str) -> str:
    """Decode the HTML entities of a text once: `&amp;lt;` is `&lt;`, as its page shows it."""
    return _ENTITY.sub(lambda entity: html.unescape(entity.group()), text) if "&" in text else text


def read_description(text: str) -> str | None:
    """Read words about an item: entities decoded, as they stand otherwise; None if they show nothing."""
    decoded = decode_entities(text)
    return decoded if trim(decoded) else None


def read_brand(text: str) -> str | None:
    """Read the name of a brand: entities decoded, trimmed; None if it is blank or stands for none."""
    return read_name(decode_entities(text))


def read_categories(text: str) -> list[str]:
    """Read the names of an item's categories, the widest first.

    The text is a list as JSON, Python or NumPy write it, or names with `>` between them. Of several lists within a
    list, the first counts.
    """
    written = trim(text)
    names = read_list(written) if written[:1] in ("[", "(") and written[-1:] in ("]", ")") else None
    return clean_categories(decode_entities(written).split(">") if names is None else map(decode_entities, names))


def clean_categories(names: Iterable[str]) -> list[str]:
    """Trim names of categories; those that say nothing are left out.

    Raises:
        ValueError: a name holds half a surrogate pair.
    """
    cleaned = [name for each in names if (name := trim(each)) and name.lower() not in MISSING_MARKERS]
    for name in cleaned:
        require_whole_characters(name)
    return cleaned


def read_list(written: str) -> list[str] | None:
    """Read the elements of a list as text; None if the text is no list."""
    try:
        told = json.loads(written)
    except (ValueError, RecursionError):
        return _read_quoted(written)
    if not isinstance(told, list):
        return None
    while told and isinstance(told[0], list):
        told = told[0]
    return [each if isinstance(each, str) else json.dumps(each) for each in told if each is not None]


def _read_quoted(written: str) -> list[str] | None:
    """Read a list as Python or NumPy print it: a space may part its elements, and quotes may be single."""
    names, place = [], len(written) - len(written.lstrip("[( \t\n"))
    while (element := _ELEMENT.match(written, place)) is not None:
        if element["word"] and element["word"].lower() not in MISSING_MARKERS:
            return None
        if element["string"]:
            names.append(_unquote(element["string"]))
        place = element.end()
    return names if written[place:].strip()[:1] in ("]", ")") else None


def _unquote(string: str) -> str:
    try:
        return str(ast.literal_eval(string))
    except (SyntaxError, ValueError):  # an escape of Python that is none, or a line break
        return string[1:-1]
