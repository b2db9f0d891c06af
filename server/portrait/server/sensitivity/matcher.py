"""Topics of texts and of paths of the taxonomy."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from portrait.features.text.normalisation import normalise_text
from portrait.server.sensitivity.topic_file import TopicPolicy
from portrait.server.sensitivity.words import Lexicon, drop_plural, split_text

_CACHED_TEXTS = 1 << 16

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Phrase:
    """Words that stand one behind the other, in the singular, and the bit of their topic."""

    words: tuple[str, ...]
    topic: int
    is_exception: bool


@dataclass(frozen=True, slots=True)
class _HanTerm:
    """Chinese parts that must all occur, and the bit of their topic."""

    parts: tuple[str, ...]
    topic: int
    is_exception: bool


class TopicMatcher:
    """Recognises topics. A set of topics is a number with a bit for each, in the order of the policy.

    Args:
        policy: the topics.
        is_known: tells whether a word is a common one, which is no misspelling of another.
    """

    def __init__(self, policy: TopicPolicy, is_known: Callable[[str], bool] = lambda _: False) -> None:
        self._by_first: dict[str, list[_Phrase]] = defaultdict(list)
        self._han: dict[str, list[_HanTerm]] = defaultdict(list)
        self._categories: dict[Path, int] = defaultdict(int)
        words: set[str] = set()
        telling: set[str] = set()
        others: set[str] = set()
        for place, topic in enumerate(policy.topics.values()):
            for entry in topic.words:
                own = self._add_entry(entry, 1 << place, is_exception=False)
                words.update(own)
                telling.update(own if len(own) == 1 else ())
            for entry in topic.exceptions:
                others.update(self._add_entry(entry, 1 << place, is_exception=True))
            for name in topic.categories:
                self._categories[_fold_path(name.split(" > "))] |= 1 << place
        self._lexicon = Lexicon(words, telling, lambda word: word in others or is_known(word))
        self._begin = lru_cache(maxsize=1 << 17)(self._find_phrases)
        self.match_text = lru_cache(maxsize=_CACHED_TEXTS)(self._match_text)
        self.match_path = lru_cache(maxsize=_CACHED_TEXTS)(self._match_path)

    def _add_entry(self, entry: str, topic: int, *, is_exception: bool) -> list[str]:
        """Add a word or phrase; returns its words."""
        words, han = split_text(_fold(entry))
        if han:
            parts = tuple(split_text(part)[1] for part in _fold(entry).split())
            self._han[parts[0][0]].append(_HanTerm(parts, topic, is_exception))
            return []
        if words:
            singular = tuple(map(drop_plural, words))
            self._by_first[singular[0]].append(_Phrase(singular, topic, is_exception))
        return words

    def match_title(self, text: str) -> int:
        """Find the topics of a text that hardly comes again."""
        return self._match_text(text)

    def _match_text(self, text: str) -> int:
        words, han = split_text(_fold(text))
        found = 0
        if any(map(self._begin, words)) or self._has_split_word(words):
            found = _join(self._list_matches(words))
        return found | (_join(self._list_han_matches(han)) if han else 0)

    def _match_path(self, path: Path) -> int:
        """Find the topics of a node of the taxonomy: those of its names, and of the nodes above it."""
        folded = _fold_path(path)
        found = 0
        for begin in range(len(folded)):
            for end in range(begin + 1, len(folded) + 1):
                found |= self._categories.get(folded[begin:end], 0)
        for name in path:
            found |= self.match_text(name)
        return found

    def _find_phrases(self, word: str) -> Sequence[_Phrase]:
        """Find the phrases that begin with a word."""
        return self._by_first.get(self._lexicon.read(word), ())

    def _has_split_word(self, words: Sequence[str]) -> bool:
        return any(self._lexicon.join(*pair) for pair in pairwise(words))

    def _list_matches(self, words: Sequence[str]) -> Iterator[tuple[int, int, _Phrase]]:
        """Yield begin, end and phrase of each match."""
        read = [self._lexicon.read(word) for word in words]
        for place, word in enumerate(read):
            for phrase in self._by_first.get(word, ()):
                end = place + len(phrase.words)
                if tuple(read[place:end]) == phrase.words:
                    yield place, end, phrase
        for place, pair in enumerate(pairwise(words)):
            whole = self._lexicon.join(*pair)
            for phrase in self._by_first.get(whole or "", ()):
                if len(phrase.words) == 1:
                    yield place, place + 2, phrase

    def _list_han_matches(self, han: str) -> Iterator[tuple[int, int, _HanTerm]]:
        """Yield begin, end and term of each match; a term of several parts has one for each part."""
        for first in dict.fromkeys(han):
            for term in self._han.get(first, ()):
                if all(part in han for part in term.parts):
                    for part in term.parts:
                        for begin in _find_all(han, part):
                            yield begin, begin + len(part), term


def _join(matches: Iterator[tuple[int, int, _Phrase | _HanTerm]]) -> int:
    """Join the topics of matches that do not overlap an exception of their topic."""
    listed = list(matches)
    exceptions = [(begin, end, entry.topic) for begin, end, entry in listed if entry.is_exception]
    found = 0
    for begin, end, entry in listed:
        if not entry.is_exception and not any(
            topic == entry.topic and first < end and begin < last for first, last, topic in exceptions
        ):
            found |= entry.topic
    return found


def _find_all(text: str, part: str) -> Iterator[int]:
    begin = text.find(part)
    while begin >= 0:
        yield begin
        begin = text.find(part, begin + 1)


def _fold(text: str) -> str:
    return normalise_text(text).casefold()


def _fold_path(names: Sequence[str]) -> Path:
    return tuple(_fold(name) for name in names)
