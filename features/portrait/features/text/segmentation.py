"""Texts as words, in every script: the one function by which Portrait cuts them.

Words are runs of letters and digits with the marks that belong to them, as Unicode has them: vowel signs of Hindi or
Tamil, vowels of Arabic. Scripts that put no space between words are cut by dictionaries: Chinese by jieba's (`rjieba`),
Thai, Lao, Khmer and Burmese by those of ICU (`icu4py`).
"""

from collections.abc import Iterator

import regex
import rjieba
from icu4py.breakers import WordBreaker

MEASURE_WORDS = frozenset(
    "个只支枚片张本册版卷辑集双件款套包盒瓶袋罐颗粒条根块把台部代色档层寸岁重克斤升米码号倍页元周天"
)
"""Chinese measure words: after a number they say how much, alone some of them are goods."""

_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_LETTER = rf"[[\p{{L}}\p{{N}}]--[{_HAN}]][\p{{M}}\u200c\u200d]*"
_WORD = rf"(?:{_LETTER})++(?:(?<=\d)[.,](?=\d)(?:{_LETTER})++)*+(?:['’](?:[\p{{L}}--[{_HAN}]]\p{{M}}*)++)?"
_RUN = regex.compile(rf"[{_HAN}]+|{_WORD}", regex.V1)
_HAN_RUN = regex.compile(rf"[{_HAN}]")
_UNSPACED = regex.compile(r"[\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]")
_NUMBER = regex.compile(r"[\d.,]+")
_COMPOSED = {"\u0e4d\u0e32": "\u0e33", "\u0ecd\u0eb2": "\u0eb3"}
"""Vowels of Thai and Lao that NFKC takes apart, and that ICU's dictionaries know in one piece only."""


def split_words(text: str) -> Iterator[str]:
    """Split a text into its words, in their order; each stands in the text as it is. Takes linear time.

    Of a number of Chinese, what it counts in is left out.

    Args:
        text: as `normalise_text` writes it.
    """
    number_end = -1
    for match in _RUN.finditer(text):
        run = match.group()
        if not _HAN_RUN.match(run):
            yield from _split_unspaced(run) if _UNSPACED.search(run) else (run,)
            number_end = match.end() if _NUMBER.fullmatch(run) else -1
            continue
        # Without guesses at unknown words, which would join the measure and what follows it.
        if match.start() == number_end and rjieba.cut(run, False)[0] in MEASURE_WORDS:
            run = run[1:]
        yield from rjieba.cut(run)


def is_han(word: str) -> bool:
    """Tell whether a word is Chinese."""
    return _HAN_RUN.match(word) is not None


def is_number(word: str) -> bool:
    """Tell whether a word is a number without a unit."""
    return _NUMBER.fullmatch(word) is not None


def _split_unspaced(run: str) -> Iterator[str]:
    for parts, whole in _COMPOSED.items():
        run = run.replace(parts, whole)
    for word in WordBreaker(run, "en"):
        for parts, whole in _COMPOSED.items():
            word = word.replace(whole, parts)
        # A mark that the dictionary leaves alone is no word.
        if _RUN.match(word):
            yield word
