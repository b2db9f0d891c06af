"""The delta of a catalogue: items added since its release. Rows are only appended, so readers need no lock."""

import math
from functools import partial

import numpy as np
from numpy.typing import NDArray

from portrait.features.candidates.cold_start import MAX_NEIGHBOURS, ColdStartNeighbours
from portrait.features.candidates.history_summary import NO_GROUP
from portrait.features.candidates.item_statistics import ITEM_STATISTICS
from portrait.features.events import Item
from portrait.features.items.item_table import fold_brand
from portrait.features.items.prices import known_price
from portrait.features.search.item_words import ItemWords
from portrait.server.catalogue.candidate_set import CandidateSet
from portrait.server.catalogue.filters import Filter
from portrait.server.catalogue.growable_array import GrowableArray

_NUMBERS = np.dtype(
    [
        ("statistics", np.float32, (len(ITEM_STATISTICS),)),
        ("is_cold", np.bool_),
        ("neighbours", np.int32, (MAX_NEIGHBOURS,)),
        ("weights", np.float32, (MAX_NEIGHBOURS,)),
        ("percentile", np.float64),
        ("price", np.float64),
        ("path", np.int64),
        ("category", np.int64),
        ("brand", np.int64),
        ("earlier", np.int64),
        ("words_end", np.int64),
    ]
)
"""The numeric columns of an item: statistics, neighbours by row of the release, NaN for an unknown price, the place of
its category path among those of the delta, numbers of category and brand as `number_value` gives them, the place where
the item stood before, -1 if it was not added before, and the end of its words among those of all items."""


class CatalogueDelta:
    """Items by place, in the order in which they came. An item that came again has several places.

    Args:
        dimension: length of the vectors.
        sentence_dimension: length of the sentence vectors; 0 in the default catalogue, which has none.
    """

    def __init__(self, dimension: int, sentence_dimension: int) -> None:
        self._items: list[Item] = []
        self._vectors = GrowableArray(np.empty((0, dimension), dtype=np.float32))
        self._sentences = GrowableArray(np.empty((0, sentence_dimension), dtype=np.float32))
        self._numbers = GrowableArray(np.empty(0, dtype=_NUMBERS))
        self._words = GrowableArray(np.empty(0, dtype=np.uint32))
        self._word_places = GrowableArray(np.empty(0, dtype=np.uint8))
        self._latest: dict[str, int] = {}
        self._paths: dict[tuple[str, ...], int] = {}
        self._brands: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._items)

    @property
    def vectors(self) -> NDArray[np.float32]:
        """`[places, dimension]`."""
        return self._vectors.rows

    @property
    def sentences(self) -> NDArray[np.float32]:
        """`[places, sentence_dimension]`."""
        return self._sentences.rows

    @property
    def numbers(self) -> NDArray[np.void]:
        """`[places]` of `_NUMBERS`."""
        return self._numbers.rows

    def words(self, count: int) -> ItemWords:
        """Return the words of the first `count` places."""
        starts = np.concatenate([np.zeros(1, dtype=np.int64), self.numbers["words_end"][:count]])
        return ItemWords(starts, self._words.rows[: starts[-1]], self._word_places.rows[: starts[-1]])

    def append(self, candidates: CandidateSet) -> None:
        """Add items, each id once."""
        first, items = len(self), candidates.items
        numbers = np.empty(len(items), dtype=_NUMBERS)
        numbers["statistics"], numbers["is_cold"] = candidates.statistics, candidates.is_cold
        numbers["neighbours"], numbers["weights"] = candidates.neighbours.rows, candidates.neighbours.weights
        numbers["percentile"] = candidates.percentile
        numbers["price"] = [known_price(item.price) or math.nan for item in items]
        numbers["category"], numbers["brand"] = candidates.categories, candidates.brands
        numbers["path"] = [self._paths.setdefault(item.category_path, len(self._paths)) for item in items]
        self._brands.update(zip((fold_brand(item.brand) for item in items), candidates.brands.tolist(), strict=True))
        numbers["earlier"] = [self._latest.get(item.item_id, -1) for item in items]
        words = candidates.read_words()
        numbers["words_end"] = len(self._words) + words.starts[1:]
        self._words.append(words.words)
        self._word_places.append(words.places)
        self._vectors.append(candidates.vectors)
        if candidates.sentences is not None:
            self._sentences.append(candidates.sentences)
        self._numbers.append(numbers)
        self._items.extend(items)
        # Readers come by way of this one: they find nothing that is not there whole.
        self._latest.update((item.item_id, first + place) for place, item in enumerate(items))

    def place(self, item_id: str, count: int) -> int:
        """Return the row of an item when the delta had `count` rows; -1 if it had none."""
        place = self._latest.get(item_id, -1)
        while place >= count:
            place = int(self.numbers["earlier"][place])
        return place

    def item(self, place: int) -> Item:
        """An item by its place."""
        return self._items[place]

    def passing(self, wanted: Filter, count: int) -> NDArray[np.bool_]:
        """`[count]`: which of the first places pass a filter; excluded ids are not looked at."""
        numbers, passing = self.numbers[:count], np.ones(count, dtype=bool)
        if wanted.categories:
            # One step, since other threads look while new paths come in.
            paths = tuple(self._paths)
            inside = [any(path[: len(each)] == each for each in wanted.categories) for path in paths]
            passing &= np.array(inside, dtype=bool)[numbers["path"]]
        if wanted.brands:
            known = [number for brand in wanted.brands if (number := self._brands.get(fold_brand(brand))) is not None]
            passing &= np.isin(numbers["brand"], known)
        if wanted.min_price is not None:
            passing &= numbers["price"] >= wanted.min_price
        if wanted.max_price is not None:
            passing &= numbers["price"] <= wanted.max_price
        return passing

    def take(self, places: NDArray[np.int64]) -> CandidateSet:
        """Some places."""
        numbers, items = self.numbers[places], [self._items[place] for place in places.tolist()]
        return CandidateSet(
            items,
            np.full(len(items), NO_GROUP, dtype=np.int64),
            self.vectors[places],
            numbers["category"],
            numbers["brand"],
            numbers["statistics"],
            numbers["is_cold"],
            ColdStartNeighbours(numbers["neighbours"], numbers["weights"]),
            numbers["percentile"],
            partial(self.words(len(self)).select, places),
            self.sentences[places] if len(self.sentences) else None,
        )
