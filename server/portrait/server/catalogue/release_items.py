"""The items of a release in one catalogue. They never change, so derived sets are cached."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache, partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from portrait.features.items.item_table import fold_brand
from portrait.features.search import row_bitmap as bits
from portrait.features.search.base import Found, Want
from portrait.features.search.conditions import RowConditions
from portrait.features.search.flat import FlatIndex
from portrait.features.search.row_bitmap import RowBitmap
from portrait.features.search.word_index import QueryWords
from portrait.server.catalogue.filters import Filter
from portrait.server.release.release import Release
from portrait.server.search.exact import top_k

KEPT_SETS = 128
"""Sets of rows by category, brand and price that are kept: of a million items, 125 KB each."""
_GATHERED = 2_000
"""So few rows are compared by their vectors in full precision, whatever an index could do."""
_MAX_COLD_SHARE = 0.5
"""An index of a larger share of the items would save little, where all of them are compared anyway."""
_MAX_COLD_ITEMS = 50_000
"""So many cold items are compared in half a millisecond, and take 13 MB in vectors of 128 numbers."""
_MIN_BLOCK = 128
"""So many of the popular items are tried at first, or twice as many as are wanted; then twice as many."""


class Wish(NamedTuple):
    """A search for the nearest of some rows."""

    k: int
    """Number of rows that are wanted, at most."""
    among: RowBitmap
    """The rows that may be found."""
    size: int
    """The number of these."""
    conditions: RowConditions
    """Conditions that all of these meet."""


class ReleaseItems:
    """The items of a release that are of one catalogue, by the release's rows.

    Args:
        name: the catalogue's.
        release: holds the items.
    """

    def __init__(self, name: str, release: Release) -> None:
        columns, codes = release.items.columns, release.items.codes
        self.release = release
        self._catalogue_code = codes.catalogues.index(name) if name in codes.catalogues else -1
        own = columns.catalogue == self._catalogue_code
        self.items = bits.pack_rows(own)
        """The rows of the catalogue; the others are of other ones."""
        self.cold_items = bits.pack_rows(own & release.is_cold)
        self._has_few_cold_items = bits.count_rows(self.cold_items) <= _GATHERED
        self.rows = len(own) if own.any() else 0
        """Rows of the release if some are of this catalogue, else none."""
        self._cold_index = self._index_cold_items()
        self._category = lru_cache(KEPT_SETS)(partial(_of_category, columns.path, codes.paths))
        self._brand = lru_cache(KEPT_SETS)(partial(_of_brand, columns.brand, codes.brands))
        self._prices = lru_cache(KEPT_SETS)(partial(_of_prices, columns.price))

    def passing(self, wanted: Filter) -> Iterator[RowBitmap]:
        """Sets of rows; those that pass the filter are in all of them. Excluded ids are not looked at."""
        if wanted.categories:
            yield _any([self._category(tuple(category)) for category in wanted.categories])
        if wanted.brands:
            yield _any([self._brand(fold_brand(brand)) for brand in wanted.brands])
        if wanted.min_price is not None or wanted.max_price is not None:
            yield self._prices(wanted.min_price, wanted.max_price)

    def conditions(self, wanted: Filter) -> RowConditions:
        """The conditions that all rows of `passing` meet."""
        codes = self.release.items.codes
        brands = (_find_brand(codes.brands, fold_brand(brand)) for brand in wanted.brands)
        return RowConditions(
            self._catalogue_code,
            tuple(_find_paths(codes.paths, tuple(category)) for category in wanted.categories),
            tuple(code for code in brands if code >= 0),
            wanted.min_price,
            wanted.max_price,
        )

    def nearest(self, vector: NDArray[np.float32], wishes: Sequence[Wish]) -> list[Found]:
        """The rows nearest to a vector.

        Args:
            vector: `[dimension]`.
            wishes: each is answered.
        """
        found = [self._find_apart(vector, wish) for wish in wishes]
        left = [
            Want(wish.k, wish.among, wish.size / self.rows, wish.conditions)
            for wish, answer in zip(wishes, found, strict=True)
            if answer is None
        ]
        searched = iter(self.release.nearest.search_several(vector, left) if left else ())
        return [next(searched) if answer is None else answer for answer in found]

    def _find_apart(self, vector: NDArray[np.float32], wish: Wish) -> Found | None:
        """Find the nearest of few rows, or of the cold ones, by themselves; None where the index of all is cheaper."""
        if wish.size <= max(_GATHERED, wish.k):
            return self._compare_all(vector, wish.k, wish.among)
        if self._cold_index is None or not wish.conditions.is_cold:
            return None
        rows, allowed = self._cold_rows, self._every_cold_item
        if wish.size < len(rows):
            allowed = bits.pack_rows(bits.unpack_rows(wish.among, self.rows)[rows])
        [(places, scores)] = self._cold_index.search_several(vector, [Want(wish.k, allowed, wish.size / len(rows))])
        return rows[places], scores

    def _index_cold_items(self) -> FlatIndex | None:
        """Index the cold items by themselves, since every request searches them; None where that saves little.

        An exact search looks at all rows, whichever may be found: a second time for the cold ones. Codes hardly tell
        cold items apart, which lie close together and far from most profiles.
        """
        count, nearest = bits.count_rows(self.cold_items), self.release.nearest
        if count <= _GATHERED or nearest.is_remote:
            return None
        most = _MAX_COLD_SHARE * self.rows if isinstance(nearest, FlatIndex) else _MAX_COLD_ITEMS
        return FlatIndex(self.release.vectors[self._cold_rows]) if count <= most else None

    @cached_property
    def _every_cold_item(self) -> RowBitmap:
        """All of `_cold_rows`, by place."""
        return bits.pack_rows(np.ones(len(self._cold_rows), dtype=bool))

    @cached_property
    def _cold_rows(self) -> NDArray[np.int64]:
        return np.flatnonzero(bits.unpack_rows(self.cold_items, self.rows))

    def nearest_sentences(self, query: NDArray[np.float32], k: int, among: RowBitmap) -> Found:
        """The rows whose sentence vectors are nearest to a query's, `[hidden]`; not of the default catalogue."""
        rows, scores = self.release.rows_with_sentences, self.release.sentence_vectors @ query
        places = top_k(scores, k, bits.contains_rows(among, rows))
        return rows[places], scores[places]

    def matching(self, query: QueryWords, k: int, among: RowBitmap) -> Found:
        """The rows that hold words of a query, the best described first; equally described ones by popularity."""
        return self.release.words.find(query, self.release.popularity, k, among)

    def _compare_all(self, vector: NDArray[np.float32], k: int, among: RowBitmap) -> Found:
        if self._has_few_cold_items and not (among & ~self.cold_items).any():
            rows, vectors = self._cold_vectors
            allowed = bits.contains_rows(among, rows)
        else:
            rows, vectors = self._gather(among)
            allowed = np.ones(len(rows), dtype=bool)
        scores = vectors @ vector
        places = top_k(scores, k, allowed)
        return rows[places], scores[places]

    @cached_property
    def _cold_vectors(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Rows of the cold items, and their vectors: every request searches these."""
        return self._gather(self.cold_items)

    def _gather(self, among: RowBitmap) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        rows = np.flatnonzero(bits.unpack_rows(among, self.rows))
        return rows, self.release.vectors[rows].astype(np.float32, copy=False)

    def popular(self, k: int, among: RowBitmap) -> NDArray[np.int64]:
        """The rows of some that are the most popular of late, at most `k`, as `Release.by_popularity` orders them."""
        order, found = self.release.by_popularity[: self.rows], []
        begin, block = 0, max(_MIN_BLOCK, 2 * k)
        while k > 0 and begin < len(order):
            rows = order[begin : begin + block]
            found.append(rows[bits.contains_rows(among, rows)][:k])
            k -= len(found[-1])
            begin, block = begin + block, 2 * block
        return np.concatenate(found) if found else np.empty(0, dtype=np.int64)


def _any(sets: Sequence[RowBitmap]) -> RowBitmap:
    """The rows that are in any of the sets."""
    return sets[0] if len(sets) == 1 else np.bitwise_or.reduce(sets)


def _of_category(codes: NDArray[np.int32], paths: Sequence[tuple[str, ...]], category: tuple[str, ...]) -> RowBitmap:
    under = _find_paths(paths, category)
    return bits.pack_rows((codes >= under.start) & (codes < under.stop))


def _find_paths(paths: Sequence[tuple[str, ...]], category: tuple[str, ...]) -> range:
    """Find the codes of the paths under a category, which stand together, since paths are in order."""
    first = bisect_left(paths, category)
    return range(first, bisect_right(paths, category, lo=first, key=lambda path: path[: len(category)]))


def _of_brand(codes: NDArray[np.int32], brands: Sequence[str], brand: str) -> RowBitmap:
    return bits.pack_rows(codes == _find_brand(brands, brand))


def _find_brand(brands: Sequence[str], brand: str) -> int:
    """Find the code of a brand; -1 if no item has it."""
    code = bisect_left(brands, brand)
    return code if brands[code : code + 1] == [brand] else -1


def _of_prices(prices: NDArray[np.float64], least: float | None, most: float | None) -> RowBitmap:
    passing = prices > 0.0  # 0 is no price, nor is NaN
    if least is not None:
        passing &= prices >= least
    if most is not None:
        passing &= prices <= most
    return bits.pack_rows(passing)
