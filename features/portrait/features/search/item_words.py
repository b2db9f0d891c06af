"""Words of items: what a query's words are compared with.

Words are those of `extract_search_words`, kept as 32-bit hashes, so that an item that comes after a release needs no
place in its vocabulary. Among a million words, one in four thousand shares its hash with another one.
"""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from portrait.features.events import Item
from portrait.features.text.keywords import extract_search_words
from portrait.features.text.normalisation import MAX_CHARACTERS, normalise_text
from portrait.features.text.segmentation import is_number

TITLE, CATEGORY, OTHER, NUMBER = 1, 2, 4, 8
"""Bits that say where an item has a word: in its title, in its category path, in its brand or attributes; and whether
the word is a number."""

_CACHED_TEXTS = 1 << 12
"""Texts whose words are kept, of at most `MAX_CHARACTERS` each: categories, brands and attributes repeat."""


@dataclass(frozen=True, slots=True)
class ItemWords:
    """The distinct words of some items, one list an item."""

    starts: NDArray[np.int64]
    """`[items + 1]`: the words of item i are `starts[i]:starts[i + 1]`."""
    words: NDArray[np.uint32]
    """`[entries]`, hashes."""
    places: NDArray[np.uint8]
    """`[entries]`: where the item has the word, as bits."""

    @classmethod
    def from_items(cls, items: Iterable[Item]) -> "ItemWords":
        """List the words of items."""
        counts = [0]
        words: list[int] = []
        places: list[int] = []
        for item in items:
            found = _find_words(item)
            counts.append(len(found))
            words += found.keys()
            places += found.values()
        return cls(
            np.cumsum(counts, dtype=np.int64), np.array(words, dtype=np.uint32), np.array(places, dtype=np.uint8)
        )

    def __len__(self) -> int:
        return len(self.starts) - 1

    def select(self, rows: NDArray[np.int64]) -> "ItemWords":
        """Select the lists of some items, by index."""
        first = self.starts[rows]
        counts = self.starts[rows + 1] - first
        starts = np.concatenate([[0], np.cumsum(counts)])
        entries = np.arange(starts[-1]) + np.repeat(first - starts[:-1], counts)
        return ItemWords(starts, self.words[entries], self.places[entries])

    def concatenate(self, other: "ItemWords") -> "ItemWords":
        """Append the lists of other items."""
        return ItemWords(
            np.concatenate([self.starts, other.starts[1:] + self.starts[-1]]),
            np.concatenate([self.words, other.words]),
            np.concatenate([self.places, other.places]),
        )


def _find_words(item: Item) -> dict[int, int]:
    found: dict[int, int] = {}
    texts = [(TITLE, item.title), *((CATEGORY, each) for each in item.category_path), (OTHER, item.brand or "")]
    length = 0
    for place, text in (*texts, *((OTHER, value) for _, value in sorted(item.attributes.items()))):
        if length > MAX_CHARACTERS:
            break  # items may have far more words than are read
        normal = normalise_text(text)
        length += len(normal)
        for word, bits in _hash_words(normal):
            found[word] = found.get(word, 0) | place | bits
    return found


def hash_query(text: str) -> NDArray[np.uint32]:
    """Hash the distinct words of a query, `[words]`."""
    return np.array(list(dict(_hash_words(normalise_text(text)))), dtype=np.uint32)


@lru_cache(maxsize=_CACHED_TEXTS)
def _hash_words(text: str) -> tuple[tuple[int, int], ...]:
    words = extract_search_words(text)
    return tuple((zlib.crc32(word.encode()), NUMBER if is_number(word) else 0) for word in words)
