"""Inverted index of items by their words: finds the items that a query's words describe best."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from portrait.features.events import Item
from portrait.features.items.item_table import map_array
from portrait.features.release import layout as release_layout
from portrait.features.search import row_bitmap as bits
from portrait.features.search.item_words import CATEGORY, NUMBER, OTHER, TITLE, ItemWords, hash_query
from portrait.features.search.row_bitmap import RowBitmap

QUERY_MATCHES = ("query_words", "query_title", "query_category", "query_all_words", "query_title_share")
"""Columns of `match_words`, each 0 to 1. The first three are the idf-weighted share of the query's words that the item
has anywhere, in its title, and in its category path; then whether it has all of them, and the share of its title's
words, numbers aside, that the query holds."""

_SCORES = np.array([bool(places & TITLE) + bool(places & CATEGORY) or 0.5 * bool(places) for places in range(16)])
"""Weight of a word by the bits of where an item has it: title and category count one each, anywhere else half."""
_MAX_SCORE = float(_SCORES.max())
POPULARITY_SHARE = 0.01
"""Weight of an item's popularity, 0 to 1, beside such a score: it orders the many that have the same words."""


@dataclass(frozen=True, slots=True)
class QueryWords:
    """The distinct words of a query."""

    words: NDArray[np.uint32]
    """`[words]`, hashes."""
    idf: NDArray[np.float32]
    """`[words]`: inverse document frequencies, positive."""


def match_words(items: ItemWords, query: QueryWords) -> NDArray[np.float32]:
    """`[items, len(QUERY_MATCHES)]`: how well some items match a query; 0 without words in common."""
    count = len(items)
    matches = np.zeros((count, len(QUERY_MATCHES)), dtype=np.float32)
    if not len(query.words):
        return matches
    row = np.repeat(np.arange(count), np.diff(items.starts))
    idf = _find_idf(items, query)
    found = idf > 0
    hit, weight, places, total = row[found], idf[found], items.places[found], query.idf.sum()
    for column, place in enumerate((TITLE | CATEGORY | OTHER, TITLE, CATEGORY)):
        matches[:, column] = np.bincount(hit, weight * ((places & place) > 0), minlength=count) / total
    matches[:, 3] = np.bincount(hit, minlength=count) == len(query.words)
    in_title = (items.places & (TITLE | NUMBER)) == TITLE
    named = np.bincount(row[in_title], minlength=count)
    matches[:, 4] = np.bincount(row[in_title & found], minlength=count) / np.maximum(named, 1)
    return matches


def score_words(items: ItemWords, query: QueryWords) -> NDArray[np.float32]:
    """`[items]`: the scores by which `WordIndex.find` orders items, for some others; 0 without words in common."""
    row = np.repeat(np.arange(len(items)), np.diff(items.starts))
    weights = _find_idf(items, query) * _SCORES[items.places]
    return np.bincount(row, weights, minlength=len(items)).astype(np.float32)


def _find_idf(items: ItemWords, query: QueryWords) -> NDArray[np.float32]:
    """`[entries]`: the idf of each word of some items that a query holds too, 0 of others."""
    idf = np.zeros(len(items.words), dtype=np.float32)
    for word, value in zip(query.words, query.idf, strict=True):
        idf[items.words == word] = value
    return idf


@dataclass(frozen=True)
class WordIndex:
    """The words of a release's items, forward and inverted."""

    starts: NDArray[np.int64]
    words: NDArray[np.uint32]
    places: NDArray[np.uint8]
    """The columns of `ItemWords`."""
    vocabulary: NDArray[np.uint32]
    """All words, ascending."""
    posting_start: NDArray[np.int64]
    """`[words + 1]`: the items that have word w are `rows[posting_start[w]:posting_start[w + 1]]`."""
    rows: NDArray[np.int32]
    """Rows of items, ascending for each word."""
    row_places: NDArray[np.uint8]
    """Bits that say where each of them has the word."""

    @classmethod
    def from_items(cls, listed: Iterable[Item]) -> "WordIndex":
        """Index the words of items."""
        items = ItemWords.from_items(listed)
        row = np.repeat(np.arange(len(items), dtype=np.int32), np.diff(items.starts))
        order = np.argsort(items.words, kind="stable")
        vocabulary, first = np.unique(items.words[order], return_index=True)
        begins = np.append(first, len(order)).astype(np.int64)
        return cls(items.starts, items.words, items.places, vocabulary, begins, row[order], items.places[order])

    @cached_property
    def items(self) -> ItemWords:
        """The words of each item."""
        return ItemWords(self.starts, self.words, self.places)

    def save(self, folder: Path) -> None:
        """Write into a release's folder."""
        target = folder / release_layout.ITEM_WORDS
        target.mkdir()
        for field in fields(self):
            np.save(target / f"{field.name}.npy", getattr(self, field.name))

    @classmethod
    def load(cls, folder: Path) -> "WordIndex":
        """Map the index of a release's folder into memory; processes share it."""
        source = folder / release_layout.ITEM_WORDS
        return cls(*(map_array(source / f"{field.name}.npy") for field in fields(cls)))

    def read_query(self, text: str) -> QueryWords:
        """Read the words of a query; one that no item has is the rarest."""
        words = hash_query(text)
        counts = np.array([len(rows) for rows, _ in self._find_postings(words)], dtype=np.float64)
        return QueryWords(words, np.log1p(len(self.items) / (1.0 + counts)).astype(np.float32))

    def find(
        self, query: QueryWords, popularity: NDArray[np.float32], k: int, among: RowBitmap | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Find the rows that a query's words describe best, and their scores; only rows that hold one of the words.

        Args:
            query: the words.
            popularity: `[items]`, 0 to 1; of equally described items the more popular one comes first.
            k: maximum number of rows.
            among: the rows that may be found; None for all.
        """
        rows, scores = self._score(query, k, among)
        scores = scores + np.float32(POPULARITY_SHARE) * popularity[rows]
        if len(rows) > k:
            kept = scores >= np.partition(scores, -k)[-k]
            rows, scores = rows[kept], scores[kept]
        order = np.argsort(-scores, kind="stable")[:k]
        return rows[order], scores[order]

    def _score(
        self, query: QueryWords, k: int, among: RowBitmap | None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Score the rows that may be among the best `k`, ascending; rows that can't be may be left out.

        Rare words come first. Once k rows score more than any row that has only the words that are left, these words
        add to the rows that were found and find no others (MaxScore, Turtle and Flood 1995): the most common words,
        which half of a catalogue may have, are not gone through.
        """
        postings = sorted(
            zip(query.idf.tolist(), self._find_postings(query.words), strict=True), key=lambda each: -each[0]
        )
        left = sum(idf for idf, _ in postings) * _MAX_SCORE
        found, scores = np.empty(0, dtype=np.int64), np.empty(0)
        for idf, (rows, places) in postings:
            if len(found) >= k > 0 and np.partition(scores, -k)[-k] > left + POPULARITY_SHARE:
                _add_to_found(found, scores, rows, idf * _SCORES[places])
            else:
                found, scores = _unite(found, scores, rows, idf * _SCORES[places], among)
            left -= idf * _MAX_SCORE
        return found, scores.astype(np.float32)

    def _find_postings(self, words: NDArray[np.uint32]) -> Iterator[tuple[NDArray[np.int32], NDArray[np.uint8]]]:
        for word, place in zip(words, np.searchsorted(self.vocabulary, words).tolist(), strict=True):
            known = place < len(self.vocabulary) and self.vocabulary[place] == word
            part = slice(self.posting_start[place], self.posting_start[place + 1]) if known else slice(0)
            yield self.rows[part], self.row_places[part]


def _add_to_found(
    found: NDArray[np.int64], scores: NDArray[np.float64], rows: NDArray[np.int32], added: NDArray[np.float64]
) -> None:
    """Add to the scores of found rows what rows of a word, ascending, add; others are left out."""
    if not len(rows):
        return
    place = np.minimum(np.searchsorted(rows, found), len(rows) - 1)
    hit = rows[place] == found
    scores[hit] += added[place[hit]]


def _unite(
    found: NDArray[np.int64],
    scores: NDArray[np.float64],
    rows: NDArray[np.int32],
    added: NDArray[np.float64],
    among: RowBitmap | None,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Unite found rows, and those of a word that may be found, and add up their scores."""
    having = rows.astype(np.int64)
    if among is not None:
        inside = bits.contains_rows(among, having)
        having, added = having[inside], added[inside]
    if not len(found):
        return having, added.copy()
    both, place = np.unique(np.concatenate([found, having]), return_inverse=True)
    summed = np.bincount(place, np.concatenate([scores, added]), minlength=len(both))
    return both, summed.astype(np.float64, copy=False)
