"""Words as topics are looked for: one form for inflected, misspelt and disguised ones."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache

from rapidfuzz import process
from rapidfuzz.distance import OSA

_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_PART = re.compile(rf"[{_HAN}]+|[^\W_{_HAN}]+(?:['’][^\W_{_HAN}]+)*")
_HAN_PART = re.compile(rf"[{_HAN}]")
_LETTERS = (str.maketrans("013457", "oieast"), str.maketrans("013457", "oleast"))
"""Digits that stand for letters, 1 for either of two."""
_MIN_TYPO_LETTERS, _MIN_TWO_TYPO_LETTERS = 6, 10
"""Shorter words have too many neighbours that mean something else."""
_MAX_TYPOS = 2
_MIN_COMPOUND_LETTERS = 7
_MAX_ACRONYM_LETTERS = 3
"""The `s` of `PMS` is no ending."""
_MIN_SPELT_LETTERS = 4
"""So many single letters in a row are one word."""
_CACHED_WORDS = 1 << 17


def split_text(text: str) -> tuple[list[str], str]:
    """Split a text into its words, and its Chinese parts, with a space between them.

    Single characters that follow each other are one part, as single letters are one word: some write so to hide it.

    Args:
        text: any, in one case.
    """
    words: list[str] = []
    han: list[str] = []
    letters: list[str] = []
    is_spelt = False
    for part in _PART.findall(text):
        if _HAN_PART.match(part):
            han.append(part if is_spelt and len(part) == 1 else f" {part}")
            is_spelt = len(part) == 1
            continue
        if len(part) == 1:
            letters.append(part)
            continue
        words += _join_letters(letters)
        letters = []
        words.append(part)
    words += _join_letters(letters)
    return words, "".join(han).strip()


def _join_letters(letters: list[str]) -> list[str]:
    return ["".join(letters)] if len(letters) >= _MIN_SPELT_LETTERS else letters


def drop_plural(word: str) -> str:
    """Return an English noun in the singular (Harman 1991).

    A stemmer would make the same of `fertility` and `fertiliser`, and of `election` and `elect`.
    """
    plain = word.replace("’", "'").removesuffix("'s")
    if len(plain) <= _MAX_ACRONYM_LETTERS:
        return plain
    if plain.endswith("ies") and not plain.endswith(("eies", "aies")):
        return plain[:-3] + "y"
    if plain.endswith("es") and not plain.endswith(("aes", "ees", "oes")):
        return plain[:-2] if plain.endswith(("ches", "shes", "sses", "xes")) else plain[:-1]
    return plain[:-1] if plain.endswith("s") and not plain.endswith(("us", "ss", "is")) else plain


class Lexicon:
    """The words of all topics, and what may be meant by a word that is none of them.

    Args:
        words: all of them, in lower case.
        telling: those that tell a topic by themselves; only these are looked for in misspelt words and compounds.
        is_known: tells whether a word is a common one, which is no misspelling of another.
    """

    def __init__(self, words: Iterable[str], telling: Iterable[str], is_known: Callable[[str], bool]) -> None:
        self._is_known = is_known
        self._words = frozenset(map(drop_plural, words))
        self._telling = frozenset(map(drop_plural, telling))
        self._max_letters = 2 * max(map(len, self._telling), default=0)
        self._by_letter: dict[str, list[str]] = defaultdict(list)
        """Telling words by their first letter."""
        for word in self._telling:
            self._by_letter[word[0]].append(word)
        self.read = lru_cache(maxsize=_CACHED_WORDS)(self._read)

    def join(self, first: str, second: str) -> str | None:
        """Return the word that was written in two parts; None if the parts are common words, or make none."""
        whole = drop_plural(first + second)
        if whole not in self._telling or len(whole) < _MIN_TYPO_LETTERS:
            return None
        return None if self._is_known(first) and self._is_known(second) else whole

    def _read(self, word: str) -> str:
        """Return the word of a topic that a word stands for, or else its own singular."""
        single = drop_plural(word)
        if single in self._words:
            return single
        if (base := next((each for each in _list_bases(single) if each in self._words), None)) is not None:
            return base
        if self._is_known(word) or self._is_known(single):
            return single
        plain = [single, word, *(single.translate(letters) for letters in _LETTERS if not single.isdigit())]
        if len(single) > self._max_letters:
            plain = []  # no word is so long, and to look for its beginnings would take long
        readings = (read(each) for each in dict.fromkeys(plain) for read in (self._find, self._correct, self._begin))
        return next((reading for reading in readings if reading is not None), single)

    def _find(self, word: str) -> str | None:
        return word if word in self._words else None

    def _correct(self, word: str) -> str | None:
        """Return the nearest word with the same first letter; None if none is near enough."""
        if len(word) > self._max_letters // 2 + 2:
            return None
        found = process.extract(
            word, self._by_letter.get(word[0], ()), scorer=OSA.distance, score_cutoff=_MAX_TYPOS, limit=None
        )
        near = [(typos, each) for each, typos, _ in found if typos <= _count_typos(word, each)]
        return min(near, default=(0, None))[1]

    def _begin(self, word: str) -> str | None:
        """Return the longest word that a compound begins with."""
        ends = range(len(word) - 1, _MIN_COMPOUND_LETTERS - 1, -1)
        return next((word[:end] for end in ends if word[:end] in self._telling), None)


def _list_bases(word: str) -> Iterator[str]:
    """Yield what a verb in its forms with `ed` or `ing` may be derived from."""
    for ending in ("ing", "ed"):
        if word.endswith(ending) and len(word) > len(ending) + 2:
            rest = word.removesuffix(ending)
            yield from (rest, f"{rest}e")
            if rest[-1] == rest[-2]:
                yield rest[:-1]


def _count_typos(one: str, other: str) -> int:
    """Count the letters that may be added, left out, replaced or swapped with the next one between two words."""
    letters = max(len(one), len(other))
    return (letters >= _MIN_TYPO_LETTERS) + (letters >= _MIN_TWO_TYPO_LETTERS)
