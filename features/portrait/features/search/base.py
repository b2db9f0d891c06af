"""The interface of every index of a release's items."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from portrait.features.search.conditions import NO_CONDITIONS, RowConditions
from portrait.features.search.row_bitmap import RowBitmap


class Want(NamedTuple):
    """A search for the nearest rows among some."""

    k: int
    """Number of rows that are wanted."""
    among: RowBitmap
    """The rows that may be found."""
    share: float
    """Share of all rows that these are at most."""
    conditions: RowConditions = NO_CONDITIONS
    """Conditions that all of these rows meet; other rows may meet them too."""


Found = tuple[NDArray[np.int64], NDArray[np.float32]]
"""Rows, best first, and their inner products."""


class ItemIndex(ABC):
    """Finds the rows whose vectors have the largest inner products with others. Any number of threads may search."""

    is_remote: ClassVar[bool] = False
    """True if a search is a call of another process: it waits, and it may fail with `Unavailable`."""
    failures: int = 0
    """Searches that a remote index did not answer."""

    def find_fault(self) -> str | None:
        """Ask a remote index whether it can be searched; returns why it can't, None if it can.

        Waits for at most some seconds. While there is a fault, searches fail at once.
        """
        return None

    @abstractmethod
    def __len__(self) -> int:
        """Count the rows."""

    @property
    @abstractmethod
    def dimension(self) -> int:
        """Length of the vectors."""

    @abstractmethod
    def search(
        self,
        vectors: NDArray[np.float32],
        k: int,
        among: RowBitmap,
        share: float,
        conditions: RowConditions = NO_CONDITIONS,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Find the nearest rows to each vector, best first, and their inner products.

        Args:
            vectors: `[vectors, dimension]`.
            k: how many for each.
            among: the rows that may be found.
            share: of all rows, how many these are at most.
            conditions: see `Want`; an index in memory does without.

        Returns:
            Twice `[vectors, k]`; row -1 where there are no more.
        """

    def search_several(self, vector: NDArray[np.float32], wants: Sequence[Want]) -> list[Found]:
        """Find the nearest rows to one vector among several sets of rows.

        Args:
            vector: `[dimension]`.
            wants: each is answered.

        Returns:
            For each want at most so many rows, best first, and their inner products.
        """
        answers = []
        for want in wants:
            rows, scores = self.search(vector[None], *want)
            answers.append(drop_missing(rows[0], scores[0]))
        return answers


def drop_missing(rows: NDArray[np.int64], scores: NDArray[np.float32]) -> Found:
    """Leave out the places of one vector's answer where there are no more rows."""
    there = rows >= 0
    return rows[there], scores[there]
