"""The items of a release, read where they lie: lines of a file, and columns that say what is in which line.

An `Item` is made of its line when somebody asks for it, so that a catalogue of a million items takes the memory of the
columns, which processes share. The lookup by id is a hash table with linear probing (Knuth, The Art of Computer
Programming, volume 3, section 6.4, algorithm L).
"""

import json
import mmap
import time
import zlib
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, TypeVar, overload

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from portrait.features.events import Item
from portrait.features.items.prices import PriceScale
from portrait.features.release import layout as release_layout

T = TypeVar("T", str, tuple[str, ...])

CACHED_ITEMS = 1 << 14
"""So many of the items that were asked for last are kept as they were made; about a kilobyte each."""
_CODES_FILE = "codes.json"
_LINES_PER_CHECK = 256
_COLUMN_TYPES = {
    "line_start": np.int64, "ids": np.uint8, "id_start": np.int64, "slots": np.int32, "catalogue": np.int32,
    "path": np.int32, "brand": np.int32, "price": np.float64, "percentile": np.float64,
}  # fmt: skip
"""The types of the columns."""
_ITEMS = TypeAdapter(list[Item])


@dataclass(frozen=True)
class ItemColumns:
    """Columns of the items, by row."""

    line_start: NDArray[np.int64]
    """`[items + 1]`: the line of item i are the bytes `line_start[i]:line_start[i + 1]`."""
    ids: NDArray[np.uint8]
    """All ids in UTF-8, one behind the other."""
    id_start: NDArray[np.int64]
    """`[items + 1]`: the id of item i are the bytes `id_start[i]:id_start[i + 1]` of `ids`."""
    slots: NDArray[np.int32]
    """The hash table: rows, -1 where free. Its length is a power of two."""
    catalogue: NDArray[np.int32]
    """`[items]`, as the other codes a place in the list of that name."""
    path: NDArray[np.int32]
    """`[items]`: code of the category path."""
    brand: NDArray[np.int32]
    """`[items]`: code of the brand, case folded; of the empty brand where there is none."""
    price: NDArray[np.float64]
    """`[items]`, NaN if unknown."""
    percentile: NDArray[np.float64]
    """`[items]`: price percentile in the item's category, NaN if unknown."""


@dataclass(frozen=True)
class ItemCodes:
    """Values that the codes stand for, each list in ascending order."""

    catalogues: list[str]
    paths: list[tuple[str, ...]]
    brands: list[str]


class ItemTable(Sequence[Item]):
    """Items by row.

    Args:
        lines: one item a line, as `format_item_line` writes it.
        columns: of these lines.
        codes: of these columns.
    """

    def __init__(self, lines: bytes | mmap.mmap, columns: ItemColumns, codes: ItemCodes) -> None:
        self.columns, self.codes, self._lines = columns, codes, lines
        # Single numbers come faster out of a memoryview than out of an array.
        self._line_start, self._id_start = columns.line_start.data, columns.id_start.data
        self._ids, self._slots, self._catalogue = columns.ids.data, columns.slots.data, columns.catalogue.data
        self._code_of = {name: code for code, name in enumerate(codes.catalogues)}
        self._item = lru_cache(CACHED_ITEMS)(partial(_read_item, lines, self._line_start))
        self._row = lru_cache(CACHED_ITEMS)(self._look_up)

    def __len__(self) -> int:
        return len(self._line_start) - 1

    @overload
    def __getitem__(self, row: int) -> Item: ...
    @overload
    def __getitem__(self, row: slice) -> list[Item]: ...
    def __getitem__(self, row: int | slice) -> Item | list[Item]:
        """One item, or some."""
        if isinstance(row, slice):
            return [self._item(each) for each in range(len(self))[row]]
        return self._item(row if row >= 0 else range(len(self))[row])

    def item_id(self, row: int) -> str:
        """The id of an item, without making the item."""
        return str(self._ids[self._id_start[row] : self._id_start[row + 1]], "utf-8")

    def row(self, catalogue: str, item_id: str) -> int:
        """Row of an item, -1 if there is none."""
        return self._row(catalogue, item_id)

    def verify(self) -> None:
        """Require that lines, columns and codes fit together, so that no row fails later. Reads every line.

        Raises:
            ValueError: they do not; the message names the line or column at fault.
        """
        _check_columns(self.columns, self.codes, self._lines)
        for first in range(0, len(self), _LINES_PER_CHECK):
            rows = range(first, min(first + _LINES_PER_CHECK, len(self)))
            part = self._lines[self._line_start[first] : self._line_start[rows.stop]]
            try:
                items = _ITEMS.validate_json(b"[%b]" % part.removesuffix(b"\n").replace(b"\n", b","), strict=True)
            except ValidationError as error:
                told = error.errors(include_url=False, include_input=False, include_context=False)[0]
                row = first + next((place for place in told["loc"] if isinstance(place, int)), 0)
                raise ValueError(f"line {row + 1} or one after it is no item: {told['msg']}") from error
            names = [self.codes.catalogues[self._catalogue[row]] for row in rows]
            wanted = list(zip(map(self.item_id, rows), names, strict=True))
            if [(item.item_id, item.catalogue) for item in items] != wanted:
                raise ValueError(f"lines {first + 1} to {rows.stop} are not those of their columns")
            time.sleep(0)  # other threads answer requests meanwhile, and would wait for the GIL for 5 ms

    def _look_up(self, catalogue: str, item_id: str) -> int:
        code = self._code_of.get(catalogue, -1)
        if code < 0:
            return -1
        wanted, mask = item_id.encode(), len(self._slots) - 1
        slot = _hash_key(catalogue, wanted) & mask
        while (row := self._slots[slot]) >= 0:
            known = self._ids[self._id_start[row] : self._id_start[row + 1]]
            if known == wanted and self._catalogue[row] == code:
                return int(row)
            slot = (slot + 1) & mask
        return -1

    @classmethod
    def from_lines(cls, lines: bytes | mmap.mmap, scale: PriceScale) -> "ItemTable":
        """Make the columns of lines.

        Args:
            lines: one item a line, as `format_item_line` writes it.
            scale: gives the percentiles.
        """
        return cls(lines, *_build_columns(lines, scale))

    def save(self, folder: Path) -> None:
        """Write the columns and codes into a release's folder; its lines are there."""
        target = folder / release_layout.ITEM_COLUMNS
        target.mkdir()
        for field in fields(ItemColumns):
            np.save(target / f"{field.name}.npy", getattr(self.columns, field.name))
        (target / _CODES_FILE).write_text(json.dumps(vars(self.codes), ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, scale: PriceScale) -> "ItemTable":
        """Read the items of a release's folder.

        Where there are no columns they are made, which takes some twenty seconds for a million items.

        Raises:
            OSError: a file is missing.
            ValueError: the columns are not those of the lines.
        """
        lines, source = map_file(folder / release_layout.ITEMS), folder / release_layout.ITEM_COLUMNS
        if not source.is_dir():
            return cls.from_lines(lines, scale)
        arrays = {each.name: map_array(source / f"{each.name}.npy") for each in fields(ItemColumns)}
        told = json.loads((source / _CODES_FILE).read_text(encoding="utf-8"))
        if arrays["line_start"][-1] != len(lines):
            raise ValueError(f"{release_layout.ITEM_COLUMNS} are not those of {release_layout.ITEMS}")
        codes = ItemCodes(told["catalogues"], [tuple(path) for path in told["paths"]], told["brands"])
        return cls(lines, ItemColumns(**arrays), codes)


def _check_columns(columns: ItemColumns, codes: ItemCodes, lines: bytes | mmap.mmap) -> None:
    """Require columns that only point at what is there."""
    for field in fields(ItemColumns):
        column = getattr(columns, field.name)
        if column.dtype != _COLUMN_TYPES[field.name] or column.ndim != 1:
            raise ValueError(f"column {field.name} has another type or shape")
    count, slots = len(columns.line_start) - 1, columns.slots
    for name, end in (("line_start", len(lines)), ("id_start", len(columns.ids))):
        starts = getattr(columns, name)
        if len(starts) != count + 1 or starts[0] != 0 or starts[-1] != end or (np.diff(starts) < 0).any():
            raise ValueError(f"column {name} does not fit")
    ends = columns.line_start[1:]
    if (np.diff(columns.line_start) == 0).any() or (np.frombuffer(lines, dtype=np.uint8)[ends - 1] != ord("\n")).any():
        raise ValueError("column line_start does not fit")
    for name, known in (("catalogue", codes.catalogues), ("path", codes.paths), ("brand", codes.brands)):
        column = getattr(columns, name)
        if len(column) != count or sorted(known) != known or ((column < 0) | (column >= len(known))).any():
            raise ValueError(f"column {name} does not fit")
    if len(columns.price) != count or len(columns.percentile) != count:
        raise ValueError("price or percentile do not fit")
    # A table without a free slot would let a search for an unknown id run for ever.
    rows = np.sort(slots[slots >= 0])
    if len(slots) & (len(slots) - 1) or len(slots) <= count or not np.array_equal(rows, np.arange(count)):
        raise ValueError("column slots does not fit")


def fold_brand(brand: str | None) -> str:
    """Fold the case of a brand, so that one spelt in two ways is one; empty without a brand."""
    return (brand or "").casefold()


def format_item_line(item: Item) -> str:
    """An item as a line of JSON."""
    return json.dumps({name: getattr(item, name) for name in Item.__slots__}, ensure_ascii=False) + "\n"


def write_item_lines(items: Iterable[Item], path: Path) -> None:
    """Write items, one a line."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(map(format_item_line, items))


def map_file(path: Path) -> bytes | mmap.mmap:
    """The bytes of a file, mapped into memory."""
    with path.open("rb") as file:
        # Nothing can't be mapped.
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if path.stat().st_size else b""


def map_array(path: Path) -> NDArray[Any]:
    """An array in a file, mapped into memory; processes share it."""
    return np.asarray(np.load(path, mmap_mode="r"))


def _read_item(lines: bytes | mmap.mmap, starts: "memoryview[int]", row: int) -> Item:
    return _build_item(json.loads(lines[starts[row] : starts[row + 1]]))


def _build_item(told: dict[str, Any]) -> Item:
    return Item(**(told | {"category_path": tuple(told["category_path"])}))


def _hash_key(catalogue: str, item_id: bytes) -> int:
    return zlib.crc32(item_id, zlib.crc32(catalogue.encode()))


def _build_columns(lines: bytes | mmap.mmap, scale: PriceScale) -> tuple[ItemColumns, ItemCodes]:
    line_start, id_start, prices, hashes = array("q", [0]), array("q", [0]), array("d"), array("L")
    ids = bytearray()
    catalogues: dict[str, int] = {}
    paths: dict[tuple[str, ...], int] = {}
    brands: dict[str, int] = {}
    coded = {name: array("i") for name in ("catalogue", "path", "brand")}
    begin = 0
    while begin < len(lines):
        end = lines.find(b"\n", begin) + 1 or len(lines)
        item = _build_item(json.loads(lines[begin:end]))
        key = item.item_id.encode()
        ids += key
        line_start.append(end)
        id_start.append(len(ids))
        coded["catalogue"].append(catalogues.setdefault(item.catalogue, len(catalogues)))
        coded["path"].append(paths.setdefault(item.category_path, len(paths)))
        coded["brand"].append(brands.setdefault(fold_brand(item.brand), len(brands)))
        prices.append(float("nan") if item.price is None else item.price)
        hashes.append(_hash_key(item.catalogue, key))
        begin = end
    codes = ItemCodes(sorted(catalogues), sorted(paths), sorted(brands))
    numbers = {
        "catalogue": _rank_codes(catalogues, coded["catalogue"]),
        "path": _rank_codes(paths, coded["path"]),
        "brand": _rank_codes(brands, coded["brand"]),
    }
    price = np.array(prices, dtype=np.float64)
    columns = ItemColumns(
        np.array(line_start, dtype=np.int64), np.frombuffer(bytes(ids), dtype=np.uint8),
        np.array(id_start, dtype=np.int64), _build_hash_table(np.array(hashes, dtype=np.int64)), **numbers, price=price,
        percentile=_compute_percentiles(scale, codes.paths, numbers["path"], price),
    )  # fmt: skip
    return columns, codes


def _rank_codes(known: dict[T, int], codes: "array[int]") -> NDArray[np.int32]:
    """Codes in the order of what they stand for, of codes in the order in which it came."""
    rank = np.empty(len(known), dtype=np.int32)
    rank[[known[each] for each in sorted(known)]] = np.arange(len(known))
    return rank[np.array(codes, dtype=np.int64)]


def _build_hash_table(hashes: NDArray[np.int64]) -> NDArray[np.int32]:
    """A hash table at most half full, all rows put in at once: who finds its place taken tries the next."""
    size = 1 << (2 * len(hashes)).bit_length()
    slots = np.full(size, -1, dtype=np.int32)
    rows, places = np.arange(len(hashes), dtype=np.int32), hashes & (size - 1)
    while len(rows):
        free = slots[places] < 0
        slots[places[free]] = rows[free]
        left = slots[places] != rows
        rows, places = rows[left], (places[left] + 1) & (size - 1)
    return slots


def _compute_percentiles(
    scale: PriceScale, paths: list[tuple[str, ...]], codes: NDArray[np.int32], prices: NDArray[np.float64]
) -> NDArray[np.float64]:
    percentiles = np.full(len(prices), np.nan)
    known = np.flatnonzero(np.isfinite(prices) & (prices > 0.0))
    known = known[np.argsort(codes[known], kind="stable")]
    bounds = np.flatnonzero(np.diff(codes[known])) + 1
    for rows in np.split(known, bounds) if len(known) else ():
        percentiles[rows] = scale.percentiles(paths[codes[rows[0]]], prices[rows])
    return percentiles
