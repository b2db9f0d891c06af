"""Texts of items and events, as the text encoder reads them."""

import re
import unicodedata

from portrait.features.events import Event, EventType, Item

MAX_CHARACTERS = 1000
"""A text is cut after this many characters: far more than the tokens that are read of it."""

_CONTROL_OR_SPACE = re.compile(r"[\x00-\x20\x7f-\xa0\u200b\u2028\u2029\ufeff]+")


def normalise_text(text: str) -> str:
    """One spelling of a text: Unicode NFKC, control characters dropped, white space folded, ends trimmed."""
    if text.isascii() and text.isprintable() and "  " not in text:  # most texts: there is nothing to fold
        return text[: 4 * MAX_CHARACTERS].strip(" ")[:MAX_CHARACTERS]
    folded = unicodedata.normalize("NFKC", text[: 4 * MAX_CHARACTERS])
    return _CONTROL_OR_SPACE.sub(" ", folded).strip()[:MAX_CHARACTERS]


def item_text(item: Item) -> str:
    """The words of an item: title, brand, narrowest category, attributes in the order of their names."""
    title = normalise_text(item.title)
    said, length = {title: None}, len(title)
    parts = (item.brand or "", *item.category_path[-1:], *(value for _, value in sorted(item.attributes.items())))
    for part in parts:
        if length > MAX_CHARACTERS:
            break  # items may have far more words than are read
        normal = normalise_text(part)
        if normal not in said and normal.casefold() not in title.casefold():
            said[normal] = None
            length += len(", ") + len(normal)
    return ", ".join(said)[:MAX_CHARACTERS]


def query_text(event: Event) -> str | None:
    """The words of a search; None for an event that its item's vector stands for."""
    return normalise_text(event.query or "") if event.type is EventType.SEARCH else None
