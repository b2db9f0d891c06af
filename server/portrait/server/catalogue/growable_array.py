"""An array that grows at its end."""

from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T", bound=np.generic)


class GrowableArray(Generic[T]):
    """Rows that are only ever added. Nothing that was read changes, and adding a row costs the same on average.

    Args:
        rows: what it begins with.
    """

    def __init__(self, rows: NDArray[T]) -> None:
        self._buffer = rows
        self._count = len(rows)

    def __len__(self) -> int:
        return self._count

    @property
    def rows(self) -> NDArray[T]:
        """All rows as of now."""
        return self._buffer[: self._count]

    def append(self, rows: NDArray[T]) -> None:
        """Add rows at the end."""
        count = self._count + len(rows)
        if count > len(self._buffer):
            grown = np.empty((max(count, 2 * self._count), *rows.shape[1:]), dtype=self._buffer.dtype)
            grown[: self._count] = self.rows
            self._buffer = grown
        self._buffer[self._count : count] = rows
        self._count = count
