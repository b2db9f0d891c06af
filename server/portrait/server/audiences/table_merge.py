"""Tables into one: the parts that a long run wrote, and a table with the rows of shoppers who have changed."""

import dataclasses
import heapq
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from portrait.server.audiences.table import (
    CHUNK_ROWS,
    AudienceTable,
    Rows,
    TableDescription,
    list_columns,
    write_description,
)


@dataclasses.dataclass(frozen=True, slots=True)
class MergeSource:
    """Rows to take of a table."""

    table: AudienceTable
    rows: Rows
    """Ascending; no shopper is in two sources."""


def merge_tables(sources: Sequence[MergeSource], description: TableDescription, folder: Path) -> None:
    """Write one table of several; memory is bounded by some bytes a shopper.

    Args:
        sources: of the same release and traits.
        description: of which release, snapshot, and events; the rest is filled in.
        folder: exists.
    """
    source, row = _order_rows(sources)
    # Sorted, so that a table does not depend on how its shoppers were shared out.
    paths = sorted({tuple(path) for each in sources for path in each.table.description.paths})
    places = {path: place for place, path in enumerate(paths, start=1)}
    renamed = [_remap_paths(each.table, places) for each in sources]
    width = max((each.table["shopper"].dtype.itemsize for each in sources), default=1)
    oldest, newest = [], []
    for name, (dtype, shape) in list_columns(description, width).items():
        whole = _create_column(folder / f"{name}.npy", np.dtype(dtype), (len(row), *shape))
        for begin in range(0, len(row), CHUNK_ROWS):
            chunk = slice(begin, begin + CHUNK_ROWS)
            for number in np.unique(source[chunk]).tolist():
                mine = np.flatnonzero(source[chunk] == number)
                taken = sources[number].table[name][row[chunk][mine]]
                whole[begin + mine] = renamed[number][taken] if name == "interest_path" else taken
            if name == "as_of":
                oldest.append(int(whole[chunk].min()))
                newest.append(int(whole[chunk].max()))
        del whole  # unmapped: what was written needs no more memory
    write_description(
        dataclasses.replace(
            description,
            shoppers=len(row),
            paths=[list(path) for path in paths],
            oldest_as_of=min(oldest, default=0),
            newest_as_of=max(newest, default=0),
        ),
        folder,
    )


def _order_rows(sources: Sequence[MergeSource]) -> tuple[NDArray[np.int32], Rows]:
    """MergeSource and row of every shopper, ascending by their keys."""
    count = sum(len(each.rows) for each in sources)
    source, row = np.zeros(count, dtype=np.int32), np.zeros(count, dtype=np.int64)
    streams = (_read_keys(each, number) for number, each in enumerate(sources))
    for place, (_, number, found) in enumerate(heapq.merge(*streams)):
        source[place], row[place] = number, found
    return source, row


def _read_keys(source: MergeSource, number: int) -> Iterator[tuple[bytes, int, int]]:
    for begin in range(0, len(source.rows), CHUNK_ROWS):
        rows = source.rows[begin : begin + CHUNK_ROWS]
        for key, row in zip(source.table["shopper"][rows].tolist(), rows.tolist(), strict=True):
            yield key, number, row


def _remap_paths(table: AudienceTable, places: Mapping[tuple[str, ...], int]) -> NDArray[np.uint32]:
    """`[paths + 1]`: places in all paths by places in the table's own."""
    return np.array([0, *(places[tuple(path)] for path in table.description.paths)], dtype=np.uint32)


def _create_column(path: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """A column to be filled, mapped; an empty one can't be."""
    if 0 in shape:
        np.save(path, np.zeros(shape, dtype=dtype))
        return np.zeros(shape, dtype=dtype)
    created: NDArray[Any] = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    return created
