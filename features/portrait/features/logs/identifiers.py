"""Ids, and what stands in their place where a program had none."""

import re
import unicodedata

_SPACES = {"Cc", "Cf", "Zs", "Zl", "Zp"}
"""Unicode categories of characters that show nothing: control, format (zero-width and direction marks), separators."""
_BLANKS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")
"""Characters of other categories that show nothing: joiners, fillers, the empty Braille pattern."""
ASCII_SPACES = "".join(map(chr, [*range(33), 127]))

MISSING_MARKERS = frozenset(
    {
        "-", "--", "#n/a", "(none)", "(not provided)", "(not set)", "<na>", "<null>", "[null]", "[object object]",
        "\\n", "n/a", "na", "nan", "nat", "nil", "none", "null", "undefined",
        "00000000-0000-0000-0000-000000000000", "0" * 32,
    }
)  # fmt: skip
"""Texts that languages, spreadsheets, trackers and devices write where there is no id, in lower case.

The zeros are the empty UUID, which a phone gives to whoever asks for its advertising id and may not have it.
"""

MAX_ID_CHARACTERS = {"event_id": 128, "shopper_id": 128, "item_id": 256, "catalogue": 64}
SHORTENED_ID_PATTERN = r"[-+]?\d(\.\d{1,9})?[eE]\+0?[1-9]\d\d?"
"""Pattern of an id of which a spreadsheet kept the first digits only, such as `1.23E+11`: many ids become one."""
SHORTENED_ID = (
    "an id, but a number that a spreadsheet has shortened, so that several ids became one; export ids as text"
)
_SHORTENED = re.compile(SHORTENED_ID_PATTERN, re.ASCII)
CATALOGUE_PATTERN = "[A-Za-z0-9_-]*"
"""Pattern of a catalogue's name."""
MAX_QUERY_CHARACTERS = 1000
"""Longer queries are cut."""


def trim(text: str) -> str:
    """Take the characters that show nothing from both ends of a text."""
    if text.isascii():
        return text.strip(ASCII_SPACES)
    first, last = 0, len(text)
    while first < last and _shows_nothing(text[first]):
        first += 1
    while last > first and _shows_nothing(text[last - 1]):
        last -= 1
    return text[first:last]


def read_text(text: str) -> str | None:
    """Read free text: as it stands, None if it shows nothing."""
    return text if trim(text) else None


def read_id(text: str) -> str | None:
    """Read an id as `read_name` reads a name.

    Raises:
        ValueError: it is what a spreadsheet left of one.
    """
    name = read_name(text)
    if name and _SHORTENED.fullmatch(name):
        raise ValueError(f"{name!r} is not {SHORTENED_ID}")
    return name


def is_placeholder(text: str) -> bool:
    """Tell whether a text stands where an id is missing, or lost its digits: many shoppers have the same one."""
    try:
        return read_id(text) is None
    except ValueError:
        return True


def read_name(text: str) -> str | None:
    """Read a name: trimmed, None if it is blank or one of `MISSING_MARKERS` in any case."""
    trimmed = trim(text)
    return trimmed if trimmed and trimmed.lower() not in MISSING_MARKERS else None


def require_whole_characters(text: str) -> str:
    """Give a text back whose characters are whole.

    Raises:
        ValueError: one of them is half a surrogate pair, as JSON can write it: it is no character.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("holds half a surrogate pair") from None
    return text


def _shows_nothing(character: str) -> bool:
    return unicodedata.category(character) in _SPACES or character in _BLANKS
