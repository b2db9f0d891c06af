"""Snapshots: a catalogue, and all of them, at one moment.

Row numbers first count the items of the release (`stock`), then those of the delta: items added or replaced since
(`added`). A deleted or replaced item keeps its row, which a bit marks as not live.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from portrait.features.candidates.cold_start import ColdStartNeighbours
from portrait.features.candidates.history_summary import NO_GROUP
from portrait.features.candidates.item_statistics import POPULARITY
from portrait.features.candidates.sources import order_by_popularity
from portrait.features.events import DEFAULT_CATALOGUE, Event, Item
from portrait.features.items.item_table import ItemTable
from portrait.features.search import row_bitmap as bits
from portrait.features.search.base import Found
from portrait.features.search.conditions import RowConditions
from portrait.features.search.item_words import ItemWords
from portrait.features.search.row_bitmap import RowBitmap
from portrait.features.search.word_index import POPULARITY_SHARE, QueryWords, score_words
from portrait.server.catalogue.candidate_set import CandidateSet
from portrait.server.catalogue.delta import CatalogueDelta
from portrait.server.catalogue.filters import Filter
from portrait.server.catalogue.numbers import number_unknown
from portrait.server.catalogue.release_items import ReleaseItems, Wish
from portrait.server.search.exact import top_k

T = TypeVar("T", bound=np.generic)

_NOTHING: Found = (np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32))


@dataclass(frozen=True)
class Selection:
    """A set of rows of a snapshot."""

    stock: RowBitmap
    """The selected rows of the release, as a bitmap."""
    added: NDArray[np.bool_]
    """`[delta rows]`: True for the selected rows of the delta."""
    conditions: RowConditions
    """Conditions that all selected rows of the release meet; others may meet them too."""

    @cached_property
    def stock_rows(self) -> int:
        """Number of the selected rows of the release."""
        return bits.count_rows(self.stock)

    def holds(self, rows: NDArray[np.int64], stock: int) -> NDArray[np.bool_]:
        """Tell which rows are in the selection, as `[rows]`.

        Args:
            rows: rows of the snapshot.
            stock: number of the snapshot's rows that belong to the release.
        """
        held = np.empty(len(rows), dtype=bool)
        of_stock = rows < stock
        held[of_stock] = bits.contains_rows(self.stock, rows[of_stock])
        held[~of_stock] = self.added[rows[~of_stock] - stock]
        return held

    def within(self, other: "Selection") -> "Selection":
        """Return the intersection with another selection."""
        return Selection(self.stock & other.stock, self.added & other.added, self.conditions)

    def without(self, other: "Selection") -> "Selection":
        """Return the rows that another selection does not hold."""
        return Selection(self.stock & ~other.stock, self.added & ~other.added, self.conditions)


@dataclass(frozen=True)
class Snapshot:
    """A catalogue at one moment: the rows of the release, if it has items of this catalogue, then those of the delta.

    The content of a row never changes. A row is live, or it is deleted or replaced.
    """

    name: str
    _stock: ReleaseItems
    _added: CatalogueDelta
    _live_release_rows: RowBitmap
    _live_delta_rows: NDArray[np.bool_]

    def __len__(self) -> int:
        return self._stock.rows + len(self._live_delta_rows)

    @property
    def items(self) -> int:
        """Number of items: live rows."""
        return bits.count_rows(self._live_release_rows) + self.added

    @property
    def added(self) -> int:
        """Number of items added or replaced since the release; every request scores all of them."""
        return int(np.count_nonzero(self._live_delta_rows))

    @property
    def delta(self) -> CatalogueDelta:
        """The items added since the release, deleted ones included; it may have grown since the snapshot."""
        return self._added

    @property
    def delta_rows(self) -> int:
        """Number of the rows of the delta."""
        return len(self._live_delta_rows)

    @property
    def search_milliseconds(self) -> float | None:
        """Milliseconds of a search of the nearest items of the release; None if they were not measured."""
        return self._stock.release.manifest.search_milliseconds

    @property
    def is_search_remote(self) -> bool:
        """True if a search of the nearest items of the release is a call of another process."""
        return self._stock.release.nearest.is_remote

    def row(self, item_id: str) -> int | None:
        """Find the live row of an item; None if the catalogue does not hold it."""
        place = self._added.place(item_id, len(self._live_delta_rows))
        if place >= 0:
            return self._stock.rows + place if self._live_delta_rows[place] else None
        row = self._stock.release.items.row(self.name, item_id)
        return row if row >= 0 and self._live_release_rows.item(row >> 3) >> (row & 7) & 1 else None

    def row_of(self, event: Event) -> int | None:
        """Find the row of the item of an event; None without one, or if the catalogue does not hold it."""
        return self.row(event.item_id) if event.item_id is not None and event.targets_catalogue(self.name) else None

    def rows_of(self, events: Sequence[Event]) -> NDArray[np.int64]:
        """Find the distinct rows of the items of events, the latest first."""
        rows = dict.fromkeys(self.row_of(event) for event in reversed(events))
        return np.array([row for row in rows if row is not None], dtype=np.int64)

    def current_rows(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Map rows of the release to the live rows of the same items, in order; deleted items are left out.

        Args:
            rows: rows of the release whose items belong to this catalogue.
        """
        now, moved = rows.copy(), np.flatnonzero(~bits.contains_rows(self._live_release_rows, rows))
        for place in moved.tolist():
            row = self.row(self._stock.release.items.item_id(int(rows[place])))
            now[place] = -1 if row is None else row
        return now[now >= 0]

    def item(self, item_id: str) -> Item | None:
        """Find an item by its id."""
        row = self.row(item_id)
        return None if row is None else self._item(row)

    def item_of(self, event: Event) -> Item | None:
        """Find the item of an event."""
        row = self.row_of(event)
        return None if row is None else self._item(row)

    def _item(self, row: int) -> Item:
        stock = self._stock.rows
        return self._stock.release.items[row] if row < stock else self._added.item(row - stock)

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the vectors of rows, `[rows, dimension]`."""
        return self._column(rows, self._stock.release.vectors, self._added.vectors).astype(np.float32, copy=False)

    def sentences(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the sentence vectors of rows, `[rows, hidden]`; the default catalogue has none."""
        release, of_stock = self._stock.release, rows < self._stock.rows
        values = np.empty((len(rows), release.manifest.sentence_dimension), dtype=np.float32)
        values[of_stock] = release.find_sentence_vectors(rows[of_stock])
        values[~of_stock] = self._added.sentences[rows[~of_stock] - self._stock.rows]
        return values

    def popularity(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the popularity of rows by all events, `[rows]`."""
        return self.statistics(rows)[:, POPULARITY]

    def statistics(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the statistics of rows, `[rows, len(ITEM_STATISTICS)]`."""
        return self._column(rows, self._stock.release.statistics, self._added.numbers["statistics"])

    def number_items(self, item_ids: Sequence[str]) -> NDArray[np.int64]:
        """Number items: the live row of each, or `number_unknown` of the id of one that the catalogue does not hold."""
        rows = [number_unknown(item_id) if (row := self.row(item_id)) is None else row for item_id in item_ids]
        return np.array(rows, dtype=np.int64)

    def categories(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return a number for the whole category path of each row, `[rows]`; `NO_GROUP` without a path."""
        items = self._stock.release.items
        return self._number(rows, items.columns.path, self._added.numbers["category"], items.codes.paths)

    def brands(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return a number for the brand of each row, `[rows]`; `NO_GROUP` without a brand."""
        items = self._stock.release.items
        return self._number(rows, items.columns.brand, self._added.numbers["brand"], items.codes.brands)

    def _number(
        self, rows: NDArray[np.int64], codes: NDArray[np.int32], added: NDArray[np.int64], known: Sequence[object]
    ) -> NDArray[np.int64]:
        """Return codes of the release's rows, and numbers of the delta's; `NO_GROUP` for the empty value.

        The known values are in order, so that only the first can be empty.
        """
        of_stock = rows < self._stock.rows
        numbers = np.empty(len(rows), dtype=np.int64)
        numbers[of_stock] = codes[rows[of_stock]]
        if known and not known[0]:
            numbers[of_stock & (numbers == 0)] = NO_GROUP
        numbers[~of_stock] = added[rows[~of_stock] - self._stock.rows]
        return numbers

    def rows_in(self, selection: Selection) -> NDArray[np.int64]:
        """List the rows of a selection, ascending."""
        stock = np.flatnonzero(bits.unpack_rows(selection.stock, self._stock.rows))
        return np.concatenate([stock, np.flatnonzero(selection.added) + self._stock.rows])

    def take(self, rows: NDArray[np.int64]) -> CandidateSet:
        """Some rows."""
        release, numbers, stock = self._stock.release, self._added.numbers, self._stock.rows
        neighbours = release.neighbours
        return CandidateSet(
            _Shown(rows.tolist(), release.items, self._added, stock),
            rows,
            self.vectors(rows),
            self.categories(rows),
            self.brands(rows),
            self.statistics(rows),
            self._column(rows, release.is_cold, numbers["is_cold"]),
            ColdStartNeighbours(
                self._column(rows, neighbours.rows, numbers["neighbours"]),
                self._column(rows, neighbours.weights, numbers["weights"]),
            ),
            self._column(rows, release.items.columns.percentile, numbers["percentile"]),
            partial(self._words, rows),
            None if self.name == DEFAULT_CATALOGUE else self.sentences(rows),
        )

    def _words(self, rows: NDArray[np.int64]) -> ItemWords:
        stock, words = rows < self._stock.rows, self._stock.release.words.items
        if stock.all():
            return words.select(rows)
        added = self._added.words(len(self._live_delta_rows)).select(rows[~stock] - self._stock.rows)
        order = np.argsort(np.concatenate([np.flatnonzero(stock), np.flatnonzero(~stock)]))
        return words.select(rows[stock]).concatenate(added).select(order)

    def _column(self, rows: NDArray[np.int64], stock: NDArray[T], added: NDArray[T]) -> NDArray[T]:
        """Gather values of rows from a column of the release and the same column of the delta."""
        of_stock = rows < self._stock.rows
        if of_stock.all():
            return np.asarray(stock[rows])
        values = np.empty((len(rows), *stock.shape[1:]), dtype=added.dtype)
        values[of_stock] = stock[rows[of_stock]]
        values[~of_stock] = added[rows[~of_stock] - self._stock.rows]
        return values

    def select(self, wanted: Filter, left_out: NDArray[np.int64]) -> Selection:
        """The living rows that pass a filter.

        Args:
            wanted: what may be shown.
            left_out: rows that may not.
        """
        if not (wanted.has_conditions or wanted.exclude_item_ids or len(left_out)):
            return self._everything
        excluded = [row for item_id in wanted.exclude_item_ids if (row := self.row(item_id)) is not None]
        rows, first = np.concatenate([left_out, np.array(excluded, dtype=np.int64)]), self._stock.rows
        stock = bits.remove_rows(self._live_release_rows, rows[rows < first])
        for passing in self._stock.passing(wanted) if first else ():
            stock &= passing
        added = self._live_delta_rows & self._added.passing(wanted, len(self._live_delta_rows))
        added[rows[rows >= first] - first] = False
        return Selection(stock, added, self._stock.conditions(wanted))

    @cached_property
    def _everything(self) -> Selection:
        """All living rows: the selection of most requests."""
        return Selection(self._live_release_rows, self._live_delta_rows, self._stock.conditions(Filter()))

    @cached_property
    def _every_cold_row(self) -> Selection:
        return self._select_cold(self._everything)

    def select_cold(self, among: Selection) -> Selection:
        """Those rows of a selection whose items the release knows no event of."""
        return self._every_cold_row if among is self._everything else self._select_cold(among)

    def _select_cold(self, among: Selection) -> Selection:
        is_cold = self._added.numbers["is_cold"][: len(among.added)]
        conditions = replace(among.conditions, is_cold=True)
        return Selection(among.stock & self._stock.cold_items, among.added & is_cold, conditions)

    def holds(self, selection: Selection, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """`[rows]`: which of some rows are in a selection."""
        return selection.holds(rows, self._stock.rows)

    def nearest(self, vector: NDArray[np.float32], wants: Sequence[tuple[int, Selection]]) -> list[NDArray[np.int64]]:
        """Find the rows whose vectors have the largest inner product with a vector, best first.

        Rows of the release may come from its approximate index, which misses a few; the delta is searched exactly.

        Args:
            vector: `[dimension]`.
            wants: one search each: the maximum number of rows, and the selection to search.

        Returns:
            the rows of each search.

        Raises:
            Unavailable: the nearest items of the release are searched in another process, which does not answer.
        """
        of_stock = self._stock.nearest(
            vector, [Wish(k, each.stock, each.stock_rows, each.conditions) for k, each in wants]
        )
        count = len(self._live_delta_rows)
        if not count:
            return [rows for rows, _ in of_stock]
        scores, answers = self._added.vectors[:count] @ vector, []
        for (k, selection), found in zip(wants, of_stock, strict=True):
            places = top_k(scores, k, selection.added)
            answers.append(self._merged(k, found, (places, scores[places])))
        return answers

    def nearest_sentences(self, query: NDArray[np.float32], k: int, selection: Selection) -> NDArray[np.int64]:
        """Find the `k` rows of a selection whose sentence vectors are nearest to a query's, `[hidden]`.

        All are compared. The default catalogue has no sentence vectors.
        """
        stock = self._stock.nearest_sentences(query, k, selection.stock) if self._stock.rows else _NOTHING
        scores = self._added.sentences[: len(self._live_delta_rows)] @ query
        places = top_k(scores, k, selection.added)
        return self._merged(k, stock, (places, scores[places]))

    def matching(self, query: QueryWords, k: int, selection: Selection) -> NDArray[np.int64]:
        """Find the `k` rows of a selection that a query's words describe best; only rows that hold one of them."""
        stock = self._stock.matching(query, k, selection.stock) if self._stock.rows else _NOTHING
        count = len(self._live_delta_rows)
        if not count:
            return stock[0]
        scores = score_words(self._added.words(count), query)
        places = np.flatnonzero((scores > 0) & selection.added)
        popularity = self._added.numbers["statistics"][places, POPULARITY]
        return self._merged(k, stock, (places, scores[places] + np.float32(POPULARITY_SHARE) * popularity))

    def popular(self, k: int, selection: Selection) -> NDArray[np.int64]:
        """Find the `k` rows of a selection that are the most popular of late, as `order_by_popularity` orders them."""
        rows = self._stock.popular(k, selection.stock)
        if selection.added.any():
            rows = np.concatenate([rows, np.flatnonzero(selection.added) + self._stock.rows])
            rows = rows[order_by_popularity(self.statistics(rows))]
        return rows[:k]

    def _merged(
        self,
        k: int,
        stock: tuple[NDArray[np.int64], NDArray[np.float32]],
        added: tuple[NDArray[np.int64], NDArray[np.float32]],
    ) -> NDArray[np.int64]:
        """Merge the best rows of the release and of the delta, each with scores; equal scores are ordered by row."""
        rows = np.concatenate([stock[0], added[0] + self._stock.rows])
        return rows[np.argsort(-np.concatenate([stock[1], added[1]]), kind="stable")[:k]]


class _Shown(Sequence[Item]):
    """Items of some rows; each is created on access, since most candidates are never shown."""

    def __init__(self, rows: list[int], items: ItemTable, added: CatalogueDelta, stock: int) -> None:
        self._rows, self._items, self._added, self._stock = rows, items, added, stock

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, place: int) -> Item: ...
    @overload
    def __getitem__(self, place: slice) -> list[Item]: ...
    def __getitem__(self, place: int | slice) -> Item | list[Item]:
        if isinstance(place, slice):
            return [self._item(row) for row in self._rows[place]]
        return self._item(self._rows[place])

    def _item(self, row: int) -> Item:
        return self._items[row] if row < self._stock else self._added.item(row - self._stock)


@dataclass(frozen=True, slots=True)
class CatalogueSnapshots:
    """All catalogues at one moment."""

    by_name: Mapping[str, Snapshot]

    def item(self, event: Event) -> Item | None:
        """Find the item of an event; None for a search, or if no catalogue holds the item."""
        snapshot = self.by_name.get(event.catalogue)
        return snapshot.item_of(event) if snapshot is not None else None
