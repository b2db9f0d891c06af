"""Catalogues: a release's items and those changed since, as arrays that a request reads without being disturbed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from portrait.features.events import Item
from portrait.features.prices import PriceScale
from portrait.server.releases import Release


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


@dataclass(frozen=True)
class CandidateSet:
    """Items as the ranker sees them; all of one length."""

    items: list[Item]
    vectors: NDArray[np.float32]
    """`[items, dimension]`."""
    popularity: NDArray[np.float32]
    percentile: NDArray[np.float64]
    """Price percentile in the item's category, NaN if unknown."""


class _Codes:
    """Numbers for words, so that filters compare numbers."""

    def __init__(self) -> None:
        self.of: dict[object, int] = {}

    def __call__(self, word: object) -> int:
        return self.of.setdefault(word, len(self.of))


@dataclass(frozen=True)
class _Columns:
    """Everything known of the rows; a replaced item leaves a dead row behind."""

    items: list[Item]
    vectors: NDArray[np.float32]
    popularity: NDArray[np.float32]
    percentile: NDArray[np.float64]
    price: NDArray[np.float64]
    path: NDArray[np.int64]
    brand: NDArray[np.int64]


class Snapshot:
    """A catalogue at one moment."""

    def __init__(
        self, columns: _Columns, alive: NDArray[np.bool_], rows: dict[str, int], catalogue: "Catalogue"
    ) -> None:
        self._columns = columns
        self._alive = alive
        self._rows = rows
        self._catalogue = catalogue
        self.popularity = columns.popularity
        """`[rows]`, 0 to 1."""

    def __len__(self) -> int:
        return len(self._alive)

    def row(self, item_id: str) -> int | None:
        """Row of an item, None if the catalogue does not hold it."""
        row = self._rows.get(item_id)
        return row if row is not None and row < len(self._alive) and self._alive[row] else None

    def item(self, item_id: str) -> Item | None:
        """An item by its id."""
        row = self.row(item_id)
        return None if row is None else self._columns.items[row]

    def vector(self, row: int) -> NDArray[np.float32]:
        """`[dimension]`."""
        return self._columns.vectors[row]

    def take(self, rows: NDArray[np.int64]) -> CandidateSet:
        """Some rows."""
        columns = self._columns
        return CandidateSet(
            [columns.items[row] for row in rows.tolist()],
            columns.vectors[rows],
            columns.popularity[rows],
            columns.percentile[rows],
        )

    def scores(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        """`[rows]`: inner products with all vectors."""
        return self._columns.vectors @ vector

    def allowed(self, wanted: Filter) -> NDArray[np.bool_]:
        """`[rows]`: which items live and pass a filter; the caller may change the array."""
        columns, allowed = self._columns, self._alive.copy()
        if wanted.categories:
            allowed &= np.isin(columns.path, self._catalogue.paths_under(wanted.categories))
        if wanted.brands:
            allowed &= np.isin(columns.brand, self._catalogue.brand_codes(wanted.brands))
        if wanted.min_price is not None:
            allowed &= columns.price >= wanted.min_price
        if wanted.max_price is not None:
            allowed &= columns.price <= wanted.max_price
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
        self._scale: PriceScale = release.price_scale
        self._paths, self._brands = _Codes(), _Codes()
        own = [row for row, item in enumerate(release.items) if item.catalogue == name]
        items = [release.items[row] for row in own]
        vectors = release.vectors if len(own) == len(release.items) else release.vectors[own]
        self._columns = self._describe(
            items, np.asarray(vectors).reshape(-1, release.dimension), release.popularity[own]
        )
        self._alive = np.ones(len(items), dtype=bool)
        self._rows = {item.item_id: row for row, item in enumerate(items)}

    def snapshot(self) -> Snapshot:
        """The catalogue as it is now."""
        return Snapshot(self._columns, self._alive, self._rows, self)

    def upsert(self, items: Sequence[Item], vectors: NDArray[np.float32]) -> None:
        """Add or replace items; of two with one id the last counts. A replaced item keeps its popularity."""
        last = {item.item_id: place for place, item in enumerate(items)}
        places = list(last.values())
        replaced = [self._rows.get(item_id, -1) for item_id in last]
        popularity = np.array(
            [self._columns.popularity[row] if row >= 0 else 0.0 for row in replaced], dtype=np.float32
        )
        added = self._describe([items[place] for place in places], vectors[places], popularity)
        first = len(self._alive)
        alive = np.concatenate([self._alive, np.ones(len(places), dtype=bool)])
        alive[[row for row in replaced if row >= 0]] = False
        self._columns = _joined(self._columns, added)
        self._alive = alive
        self._rows = self._rows | {item_id: first + place for place, item_id in enumerate(last)}

    def delete(self, item_ids: Sequence[str]) -> int:
        """Remove items; returns how many were there."""
        rows = [row for item_id in set(item_ids) if (row := self.snapshot().row(item_id)) is not None]
        alive = self._alive.copy()
        alive[rows] = False
        self._alive = alive
        return len(rows)

    def paths_under(self, categories: Sequence[tuple[str, ...]]) -> list[int]:
        """Codes of the category paths that begin with one of the given paths."""
        return [code for path, code in self._paths.of.items() if any(path[: len(c)] == tuple(c) for c in categories)]  # type: ignore[index]

    def brand_codes(self, brands: Sequence[str]) -> list[int]:
        """Codes of brands, whatever their case."""
        return [self._brands.of[brand.casefold()] for brand in brands if brand.casefold() in self._brands.of]

    def _describe(self, items: list[Item], vectors: NDArray[np.float32], popularity: NDArray[np.float32]) -> _Columns:
        return _Columns(
            items=items,
            vectors=vectors,
            popularity=popularity,
            percentile=np.array([self._scale.percentile(item.category_path, item.price) for item in items]),
            price=np.array([math.nan if item.price is None else item.price for item in items]),
            path=np.array([self._paths(item.category_path) for item in items], dtype=np.int64),
            brand=np.array([self._brands((item.brand or "").casefold()) for item in items], dtype=np.int64),
        )


def _joined(first: _Columns, second: _Columns) -> _Columns:
    return _Columns(
        items=[*first.items, *second.items],
        **{
            name: np.concatenate([getattr(first, name), getattr(second, name)])
            for name in ("vectors", "popularity", "percentile", "price", "path", "brand")
        },
    )
