"""A canonical data set as arrays: what samples are cut from."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from portrait.features.events import DEFAULT_CATALOGUE, EVENT_TYPE_CODES, Item
from portrait.features.histories.history_arrays import (
    EventColumns,
    begin_slots,
    compute_search_seconds,
    find_leading_searches,
)
from portrait.features.histories.statistics import compute_spending
from portrait.features.items.prices import PriceScale
from portrait.features.text.normalisation import item_text, normalise_text
from portrait.training import distributed
from portrait.training.dataset import tables
from portrait.training.dataset.histories import HistoryReader
from portrait.training.errors import TrainingError

NO_ITEM = -1


@dataclass(frozen=True)
class Corpus:
    """Events, items and texts of a data set. Events are sorted by shopper, oldest first.

    Items and searches share one list of distinct texts, so that the text encoder reads each text once.
    """

    shopper_ids: list[str]
    starts: NDArray[np.int64]
    """`[shoppers + 1]`: the events of shopper s are `starts[s]:starts[s + 1]`."""
    columns: EventColumns
    """All events."""
    event_item: NDArray[np.int64]
    """`[events]`: row of the event's item, -1 for a search."""
    event_text: NDArray[np.int64]
    """`[events]`: row of the text that stands for the event: of the query, or of the item."""
    event_search: NDArray[np.int64]
    """`[events]`: the search that led to the event, -1 if none is known."""
    event_spent: NDArray[np.float64]
    """`[events]`: price times quantity, 0 if the price is unknown."""
    event_price: NDArray[np.float64]
    """`[events]`: price of one unit, in the shop's currency; NaN if unknown."""
    items: list[Item]
    item_text: NDArray[np.int64]
    """`[items]`: row of the item's text."""
    item_percentile: NDArray[np.float64]
    """`[items]`: price percentile in the item's category, NaN if unknown."""
    texts: list[str]
    price_scale: PriceScale
    searches_alone: bool = False
    """True if the context of what was searched for is that search alone."""

    @property
    def item_ids(self) -> list[str]:
        """Ids of the items, in row order."""
        return [item.item_id for item in self.items]

    @cached_property
    def event_shopper(self) -> NDArray[np.int64]:
        """`[events]`: who did each event."""
        return np.repeat(np.arange(len(self.shopper_ids)), np.diff(self.starts))

    @cached_property
    def shopper_start(self) -> NDArray[np.int64]:
        """`[events]`: the first event of the context: the first of the shopper; or see `searches_alone`."""
        start = self.starts[self.event_shopper]
        if not self.searches_alone:
            return start
        last = self.context_end - 1
        return np.where((last >= start) & (self.event_item[last] == NO_ITEM), last, start)

    @cached_property
    def context_end(self) -> NDArray[np.int64]:
        """`[events]`: the end of each event's context, which is the first event of its own moment.

        The context of event e is `shopper_start[e]:context_end[e]`: what its shopper did strictly earlier.
        """
        time = self.columns.time
        begins = np.ones(len(time), dtype=bool)
        begins[1:] = ~(time[1:] == time[:-1])
        begins[self.starts[:-1]] = True
        return np.maximum.accumulate(np.where(begins, np.arange(len(time)), 0))

    @cached_property
    def has_context(self) -> NDArray[np.bool_]:
        """`[events]`: whether its shopper did something strictly earlier, so that it may be predictions."""
        return self.context_end > self.shopper_start

    @cached_property
    def slot_start(self) -> NDArray[np.int64]:
        """`[slots + 1]`: the events of slot s, which the encoder sees as one, are `slot_start[s]:slot_start[s + 1]`."""
        begins = begin_slots(self.columns.type_code, self.columns.time)
        begins[self.starts[:-1]] = True
        return np.append(np.flatnonzero(begins), len(begins))

    @cached_property
    def event_slot(self) -> NDArray[np.int64]:
        """`[events]`: the slot of each event."""
        return np.repeat(np.arange(len(self.slot_start) - 1), np.diff(self.slot_start))

    def compute_all(self) -> None:
        """Compute the arrays that are otherwise computed on first use, so that a copy of the corpus holds them."""
        _ = self.event_shopper, self.shopper_start, self.context_end, self.has_context, self.slot_start, self.event_slot


def load_corpus(folder: Path) -> Corpus:
    """Read the folder that `portrait prepare` wrote.

    Raises:
        TrainingError: the folder is not one, or holds no event with an item.
    """
    histories = HistoryReader(folder)
    items_table = tables.read_table(folder, "items", tables.ITEM_COLUMNS)
    items = _make_items(items_table.filter(pl.col("catalogue") == DEFAULT_CATALOGUE))
    if not histories.events_with_item:
        raise TrainingError(f"{folder} holds no event with an item of the catalogue {DEFAULT_CATALOGUE!r}")
    encoder = _CorpusEncoder(items, histories.events)
    for piece in histories.read():
        encoder.add(piece)
    return encoder.finish()


def load_shared_corpus(folder: Path) -> Corpus:
    """Read the folder as `load_corpus` does, once for all processes of this machine that train together."""

    def load() -> Corpus:
        corpus = load_corpus(folder)
        corpus.compute_all()
        return corpus

    return distributed.compute_once(load)


def _make_items(table: pl.DataFrame) -> list[Item]:
    return [
        Item(
            item_id=row["item_id"],
            title=row["title"],
            catalogue=row["catalogue"],
            category_path=tuple(row["category_path"] or ()),
            brand=row["brand"],
            attributes={pair["key"]: pair["value"] for pair in row["attributes"] or ()},
            price=row["price"],
        )
        for row in table.iter_rows(named=True)
    ]


class _CorpusEncoder:
    """Encodes a data set, some whole histories at a time, in their order.

    Args:
        items: the catalogue.
        events: number of events that will be added.
    """

    def __init__(self, items: list[Item], events: int) -> None:
        prices = np.array([np.nan if item.price is None else item.price for item in items], dtype=np.float64)
        self._items, self._events, self._filled = items, events, 0
        self._scale = PriceScale.fit([item.category_path for item in items], prices)
        self._item_rows = {item.item_id: row for row, item in enumerate(items)}
        self._text_rows: dict[str, int] = {}
        texts = [self._text_rows.setdefault(item_text(item), len(self._text_rows)) for item in items]
        self._item_text = np.array(texts, dtype=np.int64)
        self._shopper_ids: list[str] = []
        self._lengths: list[int] = []
        self._arrays: dict[str, NDArray[Any]] = {}

    def add(self, events: pl.DataFrame) -> None:
        """Add the next histories."""
        lengths = events.group_by("shopper_id", maintain_order=True).len()
        self._shopper_ids.extend(lengths["shopper_id"])
        self._lengths.extend(lengths["len"])
        starts = np.concatenate([[0], np.cumsum(lengths["len"].to_numpy())]).astype(np.int64)
        rows = self._item_rows
        event_item = np.array([rows.get(item_id, NO_ITEM) for item_id in events["item_id"]], dtype=np.int64)
        queries = events["query"].to_list()
        columns = vars(_event_columns(events, event_item, self._items, self._scale))
        search = find_leading_searches(starts, columns["type_code"], columns["time"], queries)
        self._append(
            columns
            | {
                "search_seconds": compute_search_seconds(columns["time"], search),
                "event_item": event_item,
                "event_text": self._find_texts(event_item, queries),
                "event_search": np.where(search >= 0, search + self._filled, -1),
                "event_spent": compute_spending(_number_column(events, "price"), _number_column(events, "quantity")),
                "event_price": _number_column(events, "price"),
            }
        )

    def _find_texts(self, event_item: NDArray[np.int64], queries: list[str | None]) -> NDArray[np.int64]:
        """`[events]`: row of the text of each event; new queries get new rows."""
        event_text = self._item_text[event_item]
        for event in np.flatnonzero(event_item == NO_ITEM).tolist():
            query = normalise_text(queries[event] or "")
            event_text[event] = self._text_rows.setdefault(query, len(self._text_rows))
        return event_text

    def _append(self, columns: Mapping[str, NDArray[Any]]) -> None:
        end = self._filled + len(columns["event_item"])
        for name, values in columns.items():
            if name not in self._arrays:
                self._arrays[name] = np.empty(self._events, dtype=values.dtype)
            self._arrays[name][self._filled : end] = values
        self._filled = end

    def finish(self) -> Corpus:
        """Return the corpus, once all histories have been added."""
        items, scale = self._items, self._scale
        columns = {field.name: self._arrays.pop(field.name) for field in dataclasses.fields(EventColumns)}
        return Corpus(
            shopper_ids=self._shopper_ids,
            starts=np.concatenate([[0], np.cumsum(self._lengths)]).astype(np.int64),
            columns=EventColumns(**columns),
            event_item=self._arrays["event_item"],
            event_text=self._arrays["event_text"],
            event_search=self._arrays["event_search"],
            event_spent=self._arrays["event_spent"],
            event_price=self._arrays["event_price"],
            items=items,
            item_text=self._item_text,
            item_percentile=np.array([scale.percentile(item.category_path, item.price) for item in items]),
            texts=list(self._text_rows),
            price_scale=scale,
        )


def _event_columns(
    events: pl.DataFrame, event_item: NDArray[np.int64], items: list[Item], scale: PriceScale
) -> EventColumns:
    """Read the columns of each event; the search that led to it is filled in later."""
    codes = {kind.value: code for kind, code in EVENT_TYPE_CODES.items()}
    microseconds = events["time"].dt.epoch("us").cast(pl.Float64)
    return EventColumns(
        type_code=events["type"].cast(pl.String).replace_strict(codes, return_dtype=pl.Int64).to_numpy(),
        time=(microseconds / 1e6).fill_null(float("nan")).to_numpy().astype(np.float64),
        price_percentile=_price_percentiles(event_item, _number_column(events, "price"), items, scale),
        dwell_seconds=_number_column(events, "dwell_seconds"),
        position=_number_column(events, "position"),
        search_seconds=np.full(len(events), np.nan),
        rating=_number_column(events, "rating"),
        quantity=_number_column(events, "quantity"),
    )


def _price_percentiles(
    event_item: NDArray[np.int64], prices: NDArray[np.float64], items: list[Item], scale: PriceScale
) -> NDArray[np.float64]:
    """`[events]`: the percentile of each event's price, NaN if unknown. Each price of an item is looked up once."""
    percentiles = np.full(len(prices), np.nan)
    events = np.flatnonzero((event_item != NO_ITEM) & np.isfinite(prices))
    distinct, price_code = np.unique(prices[events], return_inverse=True)
    _, first, pair = np.unique(event_item[events] * len(distinct) + price_code, return_index=True, return_inverse=True)
    chosen = events[first]
    found = [
        scale.percentile(items[item].category_path, price)
        for item, price in zip(event_item[chosen].tolist(), prices[chosen].tolist(), strict=True)
    ]
    percentiles[events] = np.array(found, dtype=np.float64)[pair]
    return percentiles


def _number_column(events: pl.DataFrame, name: str) -> NDArray[np.float64]:
    """`[events]`: a column of numbers, NaN where it is null."""
    return events[name].cast(pl.Float64).fill_null(float("nan")).to_numpy().astype(np.float64)
