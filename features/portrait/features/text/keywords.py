"""Keywords of a text: segmented, without stop words, stemmed. Used by `export` and serving alike."""

from dataclasses import dataclass
from functools import cache, lru_cache

import snowballstemmer
import stopwordsiso

from portrait.features.text.normalisation import normalise_text
from portrait.features.text.segmentation import is_han, is_number, split_words

LANGUAGES = ("en", "zh")
"""Languages whose stop words are dropped."""

KEPT_STOP_WORDS = frozenset(
    {
        "computer", "face", "fire", "fix", "home", "keys", "man", "men", "microsoft", "mill", "mine", "mug",
        "net", "netscape", "novel", "page", "ring", "room", "rooms", "run", "shell", "system", "tip", "tv",
        "web", "work", "world", "young", "younger",
    }
)  # fmt: skip
"""Words that are no news in a newspaper, for which the list of stop words was made, but are in a shop."""

UNIT_WORDS = frozenset(
    {
        "cc", "cl", "cm", "cms", "ct", "dl", "dz", "ea", "fl", "ft", "gal", "gr", "hr", "hrs", "kg", "lb", "lbs", "lt",
        "ltr", "mg", "ml", "mm", "oz", "pc", "pcs", "pk", "pkg", "pt", "qt", "sq", "wt", "yd", "yds",
    }
)  # fmt: skip
"""Units and measures of titles: alone they are no goods, and they stand in more titles than any."""


@dataclass(frozen=True, slots=True)
class Keyword:
    """One word of a text."""

    stem: str
    """Stem that inflected forms of the word have in common; it is counted and compared."""
    surface: str
    """The word as it was written."""


def extract_keywords(text: str) -> list[Keyword]:
    """The words of a text that say something, in their order, repeats included.

    Words are those of `split_words`; English ones are stemmed by Snowball's English stemmer. Stop words, single
    letters, bare numbers and what these count or measure in are left out.
    """
    return [word for surface in split_words(normalise_text(text)) if (word := _read_keyword(surface)) is not None]


def extract_search_words(text: str) -> list[str]:
    """The words by which a text is searched, in their order, repeats included: keywords as stems, and bare numbers."""
    found = []
    for surface in split_words(normalise_text(text)):
        keyword = _read_keyword(surface)
        if keyword is not None:
            found.append(keyword.stem)
        elif is_number(surface):
            found.append(surface)
    return found


def remove_word(text: str, word: str) -> str:
    """A text without one of its words, wherever that stands as a word.

    Args:
        text: any.
        word: as `extract_keywords` spells it.
    """
    normal = normalise_text(text)
    if word not in normal:
        return normalise_text(normal)
    kept, end = [], 0
    for surface in split_words(normal):
        begin = normal.index(surface, end)
        kept += [normal[end:begin], " " if surface == word else surface]
        end = begin + len(surface)
    return normalise_text("".join([*kept, normal[end:]]))


@lru_cache(maxsize=1 << 16)
def _read_keyword(surface: str) -> Keyword | None:
    word = surface.casefold().replace("’", "'").removesuffix("'s")
    if word in _stop_words() or word in UNIT_WORDS or is_number(word) or (len(word) < 2 and not is_han(word)):
        return None
    # A stemmer keeps state while it stems, and is cheaper to make than to share between threads.
    return Keyword(snowballstemmer.stemmer("english").stemWord(word), surface)


@cache
def _stop_words() -> frozenset[str]:
    return frozenset(stopwordsiso.stopwords(list(LANGUAGES))) - KEPT_STOP_WORDS
