"""Relations: item-to-item matrices of a release, each of which says in its own way where a history leads."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from portrait.features.candidates.associations import AssociatedItems, Associations
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

    by_name: Mapping[str, AssociatedItems]

    @property
    def association(self) -> AssociatedItems:
        """Those of the linear fit."""
        return self.by_name[ASSOCIATION]

    def average_scores(self, neighbours: ColdStartNeighbours) -> NDArray[np.float32]:
        """Average the scores of some items over their cold-start neighbours: `[items, relations]`, 0 without any."""
        return neighbours.average_of(self._read_scores)

    def _read_scores(self, rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """`[…]` rows → `[…, relations]`."""
        flat = rows.reshape(-1).astype(np.int64)
        scores = [self.by_name[name].scores_of(flat) for name in RELATIONS]
        return np.stack(scores, axis=-1).reshape(*rows.shape, len(RELATIONS))


@dataclass(frozen=True, slots=True)
class Relations:
    """The matrices of all `RELATIONS`, over the same rows of items."""

    by_name: Mapping[str, Associations]

    @property
    def association(self) -> Associations:
        """The linear fit."""
        return self.by_name[ASSOCIATION]

    def score_history(self, rows: ArrayLike, times: ArrayLike) -> RelatedItems:
        """Score where a history leads by each relation; the arguments are those of `Associations.score_history`."""
        return RelatedItems({name: matrix.score_history(rows, times) for name, matrix in self.by_name.items()})

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
