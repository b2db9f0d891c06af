"""Relations: item-to-item matrices of a release, each of which says in its own way where a history leads."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from portrait.features.candidates.associations import (
    AssociatedItems,
    Associations,
    find_known_events,
    list_ranges,
    sum_by_item,
)
from portrait.features.candidates.cold_start import ColdStartNeighbours
from portrait.features.files.array_archive import write_arrays
from portrait.features.files.atomic_write import atomic_write

ASSOCIATION, TRANSITION, TWO_HOPS, TITLE = "association", "transition", "two_hops", "title"
RELATIONS = (ASSOCIATION, TRANSITION, TWO_HOPS, TITLE)
"""`association`: the linear fit of what follows what. `transition`: how often one item is acted on soon after another,
given how often both are. `two_hops`: two transitions in a row. `title`: cosine of the TF-IDF vectors of their words."""


@dataclass(frozen=True, slots=True)
class RelatedItems:
    """The items that a history leads to, by relation."""

    joined: AssociatedItems
    """Those of all relations: rows of the relation with place p in `RELATIONS` are p times `items` higher."""
    items: int
    """Number of the release's items."""

    @property
    def association(self) -> AssociatedItems:
        """Those of the linear fit."""
        return self.of(ASSOCIATION)

    def of(self, relation: str) -> AssociatedItems:
        """Those of one relation."""
        first = RELATIONS.index(relation) * self.items
        begin, end = np.searchsorted(self.joined.rows, (first, first + self.items))
        return AssociatedItems(self.joined.rows[begin:end] - first, self.joined.scores[begin:end])

    def average_scores(self, neighbours: ColdStartNeighbours) -> NDArray[np.float32]:
        """Average the scores of some items over their cold-start neighbours: `[items, relations]`, 0 without any."""
        return neighbours.average_of(self._read_scores)

    def _read_scores(self, rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """`[…]` rows → `[…, relations]`; those of row -1 mean nothing."""
        joined = rows.astype(np.int64)[..., None] + self.items * np.arange(len(RELATIONS))
        return self.joined.scores_of(joined.reshape(-1)).reshape(joined.shape)


class Relations:
    """The matrices of all `RELATIONS`, over the same rows of items.

    Args:
        by_name: each of them. Their numbers are copied into common arrays, so that one pass reads all.
    """

    def __init__(self, by_name: Mapping[str, Associations]) -> None:
        matrices = [by_name[name] for name in RELATIONS]
        self._starts = np.stack([matrix.starts for matrix in matrices])
        self._items = np.concatenate([matrix.items for matrix in matrices])
        self._weights = np.concatenate([matrix.weights for matrix in matrices])
        self._decays = np.array([matrix.decay for matrix in matrices])
        ends = np.cumsum([len(matrix.items) for matrix in matrices])
        self._begins = np.concatenate([[0], ends[:-1]])
        self.by_name: Mapping[str, Associations] = {
            name: Associations(starts, self._items[begin:end], self._weights[begin:end], matrix.decay)
            for name, matrix, starts, begin, end in zip(
                RELATIONS, matrices, self._starts, self._begins.tolist(), ends.tolist(), strict=True
            )
        }

    @property
    def association(self) -> Associations:
        """The linear fit."""
        return self.by_name[ASSOCIATION]

    def score_history(self, rows: ArrayLike, times: ArrayLike) -> RelatedItems:
        """Score where a history leads by each relation; the arguments are those of `Associations.score_history`."""
        _, row, later = find_known_events(rows, times)
        begins = self._starts[:, row]
        counts = self._starts[:, row + 1] - begins
        weights = list_ranges((begins + self._begins[:, None]).reshape(-1), counts.reshape(-1))
        shares: NDArray[np.float64] = np.repeat(self._decays[:, None] ** later, counts.reshape(-1))
        values: NDArray[np.float64] = self._weights[weights] * shares
        items = self._starts.shape[1] - 1
        first: NDArray[np.int64] = np.repeat(items * np.arange(len(RELATIONS)), counts.sum(axis=1))
        return RelatedItems(sum_by_item(self._items[weights] + first, values), items)

    def save(self, path: Path) -> None:
        """Write to a file, all of it or nothing."""
        arrays = {
            f"{name}.{part}": np.asarray(getattr(matrix, part))
            for name, matrix in self.by_name.items()
            for part in ("starts", "items", "weights", "decay")
        }
        with atomic_write(path) as temporary:
            write_arrays(temporary, arrays)

    @classmethod
    def load(cls, path: Path) -> "Relations":
        """The inverse of `save`."""
        with np.load(path) as arrays:
            return cls(
                {
                    name: Associations(
                        arrays[f"{name}.starts"],
                        arrays[f"{name}.items"],
                        arrays[f"{name}.weights"],
                        float(arrays[f"{name}.decay"]),
                    )
                    for name in RELATIONS
                }
            )
