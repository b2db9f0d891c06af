"""Catalogues: a release's items and those changed since, as arrays that a request reads without being disturbed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from portrait.features.events import DEFAULT_CATALOGUE, Event, Item
from portrait.features.lenders import LENDERS, Lenders
from portrait.server.described import CandidateSet
from portrait.server.errors import NotFound
from portrait.server.growing import Growing
from portrait.server.releases import Release

_ROW = np.dtype(
    [
        ("popularity", np.float32),
        ("newcomer", np.bool_),
        ("lenders", np.int32, (LENDERS,)),
        ("shares", np.float32, (LENDERS,)),
        ("percentile", np.float64),
        ("price", np.float64),
        ("path", np.int64),
        ("brand", np.int64),
    ]
)
"""What is known of an item in numbers: category path and brand as codes, lenders by row of the release, NaN for an
unknown price."""
_TOLERATED_DEAD_ROWS = 1_000
"""Rows of replaced and removed items are swept out when there are more of them than this, and than of living ones."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which items may be shown."""

    categories: Sequence[tuple[str, ...]] = ()
    """Only items under one of these paths; empty for all."""
    brands: Sequence[str] = ()
    """Only items of these brands, whatever their case; empty for all."""
    min_price: float | None = None
    max_price: float | None = None
    """Items without a price pass neither bound."""
    exclude_item_ids: Sequence[str] = ()


class _Codes:
    """Category paths and brands as numbers, so that filters compare numbers. A code is never given up."""

    def __init__(self) -> None:
        self._paths: dict[tuple[str, ...], int] = {}
        self._brands: dict[str, int] = {}

    def path(self, path: tuple[str, ...]) -> int:
        return self._paths.setdefault(path, len(self._paths))

    def brand(self, brand: str | None) -> int:
        return self._brands.setdefault((brand or "").casefold(), len(self._brands))

    def under(self, categories: Sequence[tuple[str, ...]]) -> NDArray[np.bool_]:
        """By code: whether a path begins with one of the categories."""
        # One step, since other threads look while new paths come in.
        paths = tuple(self._paths)
        return np.array([any(path[: len(each)] == each for each in categories) for path in paths], dtype=bool)

    def of_brands(self, brands: Sequence[str]) -> list[int]:
        """Codes of the brands that any item has."""
        return [self._brands[brand] for brand in map(str.casefold, brands) if brand in self._brands]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A catalogue at one moment. What a row holds never changes, and every row lives or is dead."""

    name: str
    _items: list[Item]
    _own: NDArray[np.float32]
    """Vectors of the release's rows, which come first."""
    _added: NDArray[np.float32]
    """Vectors of the others."""
    _numbers: NDArray[np.void]
    _alive: NDArray[np.bool_]
    _rows: Mapping[str, int]
    _codes: _Codes

    def __len__(self) -> int:
        return len(self._alive)

    @property
    def popularity(self) -> NDArray[np.float32]:
        """`[rows]`, 0 to 1."""
        return self._numbers["popularity"]

    @property
    def newcomer(self) -> NDArray[np.bool_]:
        """`[rows]`: whether the release knows no event of the item."""
        return self._numbers["newcomer"]

    def row(self, item_id: str) -> int | None:
        """Row of an item, None if the catalogue does not hold it."""
        row = self._rows.get(item_id)
        return row if row is not None and self._alive[row] else None

    def row_of(self, event: Event) -> int | None:
        """Row of the item that an event was done to, None if the catalogue does not hold it."""
        return self.row(event.item_id) if event.item_id is not None and event.is_of(self.name) else None

    def item(self, item_id: str) -> Item | None:
        """An item by its id."""
        row = self.row(item_id)
        return None if row is None else self._items[row]

    def item_of(self, event: Event) -> Item | None:
        """The item that an event was done to."""
        row = self.row_of(event)
        return None if row is None else self._items[row]

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """`[rows, dimension]`."""
        own = rows < len(self._own)
        vectors = np.empty((len(rows), self._own.shape[1]), dtype=np.float32)
        vectors[own] = self._own[rows[own]]
        vectors[~own] = self._added[rows[~own] - len(self._own)]
        return vectors

    def take(self, rows: NDArray[np.int64]) -> CandidateSet:
        """Some rows."""
        numbers = self._numbers[rows]
        items = [self._items[row] for row in rows.tolist()]
        return CandidateSet(
            items,
            self.vectors(rows),
            numbers["popularity"],
            numbers["newcomer"],
            Lenders(numbers["lenders"], numbers["shares"]),
            numbers["percentile"],
        )

    def scores(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        """`[rows]`: inner products with all vectors."""
        return np.concatenate([self._own @ vector, self._added @ vector])

    def allowed(self, wanted: Filter) -> NDArray[np.bool_]:
        """`[rows]`: which items live and pass a filter; the caller may change the array."""
        numbers, allowed = self._numbers, self._alive.copy()
        if wanted.categories:
            allowed &= self._codes.under(wanted.categories)[numbers["path"]]
        if wanted.brands:
            allowed &= np.isin(numbers["brand"], self._codes.of_brands(wanted.brands))
        if wanted.min_price is not None:
            allowed &= numbers["price"] >= wanted.min_price
        if wanted.max_price is not None:
            allowed &= numbers["price"] <= wanted.max_price
        excluded = [row for item_id in wanted.exclude_item_ids if (row := self.row(item_id)) is not None]
        allowed[excluded] = False
        return allowed


class Catalogue:
    """A named set of items.

    Args:
        name: its name.
        release: whose items it begins with.
    """

    def __init__(self, name: str, release: Release) -> None:
        self._name = name
        self._codes = _Codes()
        own = [row for row, item in enumerate(release.items) if item.catalogue == name]
        self._items = [release.items[row] for row in own]
        # A release's vectors stay in its file unless it holds other catalogues too.
        self._own = np.asarray(release.vectors if len(own) == len(release.items) else release.vectors[own])
        self._added = Growing(np.empty((0, release.dimension), dtype=np.float32))
        self._numbers = Growing(self._rows_of(_held(release, self._items, own, self._own)))
        self._alive = np.ones(len(own), dtype=bool)
        self._rows = {item.item_id: row for row, item in enumerate(self._items)}
        self._publish()

    def upsert(self, described: CandidateSet) -> None:
        """Add or replace items; of two with one id the last counts."""
        places = list({item.item_id: place for place, item in enumerate(described.items)}.values())
        added = [described.items[place] for place in places]
        replaced = [row for item in added if (row := self._rows.get(item.item_id)) is not None]
        first = len(self._alive)
        alive = np.append(self._alive, np.ones(len(added), dtype=bool))
        alive[replaced] = False
        self._alive = alive
        self._items.extend(added)  # readers know nothing of rows beyond their own
        self._added.append(described.vectors[places])
        self._numbers.append(self._rows_of(described)[places])
        self._rows = self._rows | {item.item_id: first + place for place, item in enumerate(added)}
        self._sweep()
        self._publish()

    def delete(self, item_ids: Sequence[str]) -> int:
        """Remove items; returns how many were there."""
        rows = [row for item_id in set(item_ids) if (row := self.now.row(item_id)) is not None]
        self._alive = self._alive.copy()
        self._alive[rows] = False
        self._publish()
        return len(rows)

    def _publish(self) -> None:
        self.now = Snapshot(
            self._name,
            self._items,
            self._own,
            self._added.rows,
            self._numbers.rows,
            self._alive,
            self._rows,
            self._codes,
        )
        """The catalogue as it is now."""

    def _sweep(self) -> None:
        """Give up the dead rows beyond the release's own, if there are many."""
        first = len(self._own)
        living = np.flatnonzero(self._alive[first:])
        if len(self._added) - len(living) <= max(_TOLERATED_DEAD_ROWS, len(living)):
            return
        kept = np.concatenate([np.arange(first), first + living])
        self._items = [self._items[row] for row in kept.tolist()]
        self._added = Growing(self._added.rows[living])
        self._numbers = Growing(self._numbers.rows[kept])
        self._alive = self._alive[kept]
        self._rows = {item.item_id: row for row, item in enumerate(self._items)}

    def _rows_of(self, described: CandidateSet) -> NDArray[np.void]:
        """`[items]` of `_ROW`."""
        rows, items = np.empty(len(described.items), dtype=_ROW), described.items
        rows["popularity"], rows["newcomer"] = described.popularity, described.newcomer
        rows["lenders"], rows["shares"] = described.lenders.rows, described.lenders.shares
        rows["percentile"] = described.percentile
        rows["price"] = [math.nan if item.price is None else item.price for item in items]
        rows["path"] = [self._codes.path(item.category_path) for item in items]
        rows["brand"] = [self._codes.brand(item.brand) for item in items]
        return rows


def _held(release: Release, items: list[Item], rows: list[int], vectors: NDArray[np.float32]) -> CandidateSet:
    """Items of a release as it holds them."""
    scale = release.price_scale
    return CandidateSet(
        items,
        vectors,
        release.popularity[rows],
        release.newcomer[rows],
        release.lenders.take(np.array(rows, dtype=np.int64)),
        np.array([scale.percentile(item.category_path, item.price) for item in items], dtype=np.float64),
    )


class Catalogues:
    """All catalogues: the release's, and those begun since.

    Args:
        release: whose items they begin with.
    """

    def __init__(self, release: Release) -> None:
        self._release = release
        names = {DEFAULT_CATALOGUE, *(item.catalogue for item in release.items)}
        self._by_name = {name: Catalogue(name, release) for name in sorted(names)}

    def __getitem__(self, name: str) -> Catalogue:
        """A catalogue by its name.

        Raises:
            NotFound: there is none.
        """
        try:
            return self._by_name[name]
        except KeyError:
            raise NotFound("catalogue", "there is no such catalogue") from None

    def begin(self, name: str) -> Catalogue:
        """A catalogue by its name; a new one if there is none."""
        return self._by_name.get(name) or self._by_name.setdefault(name, Catalogue(name, self._release))

    def now(self) -> "Shelves":
        """All of them as they are now."""
        return Shelves({name: catalogue.now for name, catalogue in self._by_name.items()})


@dataclass(frozen=True, slots=True)
class Shelves:
    """All catalogues at one moment."""

    by_name: Mapping[str, Snapshot]

    def item(self, event: Event) -> Item | None:
        """The item that an event was done to; None for a search, and if no catalogue holds it."""
        shelf = self.by_name.get(event.catalogue)
        return shelf.item_of(event) if shelf is not None else None
