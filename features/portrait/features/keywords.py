"""Keywords of a text: segmented, without stop words, stemmed. Used by `export` and serving alike."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache

import rjieba
import snowballstemmer
import stopwordsiso

from portrait.features.text import normalise_text

LANGUAGES = ("en", "zh")
"""Languages whose stop words are dropped."""

GOODS = frozenset(
    {
        "computer", "face", "fire", "fix", "home", "keys", "man", "men", "microsoft", "mill", "mine", "mug",
        "net", "netscape", "novel", "page", "ring", "room", "rooms", "run", "shell", "system", "tip", "tv",
        "web", "work", "world", "young", "younger",
    }
)  # fmt: skip
"""Words that are no news in a newspaper, for which the list of stop words was made, but are in a shop."""

UNITS = frozenset(
    {
        "cc", "cl", "cm", "cms", "ct", "dl", "dz", "ea", "fl", "ft", "gal", "gr", "hr", "hrs", "kg", "lb", "lbs", "lt",
        "ltr", "mg", "ml", "mm", "oz", "pc", "pcs", "pk", "pkg", "pt", "qt", "sq", "wt", "yd", "yds",
    }
)  # fmt: skip
"""What titles measure and count in: alone they are no goods, and stand in more titles than any."""

MEASURES = frozenset("个只支枚片张本册版卷辑集双件款套包盒瓶袋罐颗粒条根块把台部代色档层寸岁重克斤升米码号倍页元周天")
"""What Chinese counts in: after a number they say how much, alone some of them are goods."""

_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = rf"[^\W_{_HAN}]+(?:(?<=\d)[.,](?=\d)[^\W_{_HAN}]+)*(?:['’][^\W\d_]+)?"
_RUN = re.compile(rf"[{_HAN}]+|{_WORD}")
_HAN_RUN = re.compile(rf"[{_HAN}]")
_NUMBER = re.compile(r"[\d.,]+")


@dataclass(frozen=True, slots=True)
class Keyword:
    """One word of a text."""

    stem: str
    """What inflected forms of the word have in common: what is counted and compared."""
    surface: str
    """The word as it was written."""


def keywords(text: str) -> list[Keyword]:
    """The words of a text that say something, in their order, repeats included.

    Chinese runs are segmented by jieba's dictionary, all else by Unicode word boundaries; English words are
    stemmed by Snowball's English stemmer. Stop words, single letters, bare numbers and what
    these count or measure in are left out.
    """
    return [word for surface in _segment(normalise_text(text)) if (word := _keyword(surface)) is not None]


def without(text: str, word: str) -> str:
    """A text without one of its words, wherever that stands as a word.

    Args:
        text: any.
        word: as `keywords` spells it.
    """
    normal = normalise_text(text)
    if word not in normal:
        return normalise_text(normal)
    kept, end = [], 0
    for surface in _segment(normal):
        begin = normal.index(surface, end)
        kept += [normal[end:begin], " " if surface == word else surface]
        end = begin + len(surface)
    return normalise_text("".join([*kept, normal[end:]]))


def _segment(text: str) -> Iterator[str]:
    number_end = -1
    for match in _RUN.finditer(text):
        run = match.group()
        if not _HAN_RUN.match(run):
            yield run
            number_end = match.end() if _NUMBER.fullmatch(run) else -1
            continue
        # Without guesses at unknown words, which would join the measure and what follows it.
        if match.start() == number_end and rjieba.cut(run, False)[0] in MEASURES:
            run = run[1:]
        yield from rjieba.cut(run)


@lru_cache(maxsize=1 << 16)
def _keyword(surface: str) -> Keyword | None:
    word = surface.casefold().replace("’", "'").removesuffix("'s")
    if (
        word in _stop_words()
        or word in UNITS
        or _NUMBER.fullmatch(word)
        or (len(word) < 2 and not _HAN_RUN.match(word))
    ):
        return None
    # A stemmer keeps state while it stems, and is cheaper to make than to share between threads.
    return Keyword(snowballstemmer.stemmer("english").stemWord(word), surface)


@cache
def _stop_words() -> frozenset[str]:
    return frozenset(stopwordsiso.stopwords(list(LANGUAGES))) - GOODS
