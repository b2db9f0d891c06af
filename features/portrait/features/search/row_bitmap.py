"""Sets of rows as one bit a row, the lowest bit of a byte first, as faiss reads them: 125 KB for a million rows."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

RowBitmap: TypeAlias = NDArray[np.uint8]


def pack_rows(mask: NDArray[np.bool_]) -> RowBitmap:
    """`[rows]` as bits."""
    return np.packbits(mask, bitorder="little")


def unpack_rows(bits: RowBitmap, count: int) -> NDArray[np.bool_]:
    """The inverse of `pack_rows` for so many rows."""
    return np.unpackbits(bits, count=count, bitorder="little").view(np.bool_)


def contains_rows(bits: RowBitmap, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """`[rows]`: which of some rows are in the set."""
    return (bits[rows >> 3] >> (rows & 7) & 1).astype(bool)


def remove_rows(bits: RowBitmap, rows: NDArray[np.int64]) -> RowBitmap:
    """The set without some rows; it is copied."""
    left = bits.copy()
    np.bitwise_and.at(left, rows >> 3, ~(1 << (rows & 7)).astype(np.uint8))
    return left


def count_rows(bits: RowBitmap) -> int:
    """Count the rows in a set."""
    return int.from_bytes(bits.tobytes(), "little").bit_count()
