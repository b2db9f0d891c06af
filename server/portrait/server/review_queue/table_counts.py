"""Counts of an audience table: the shoppers who have each interest and each trait, and how surely."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from portrait.server.audiences.table import AudienceTable, CategoryPath
from portrait.server.release.traits import Trait


@dataclass(frozen=True, slots=True)
class InterestCount:
    """The shoppers of one interest."""

    shoppers: int
    confidence: float
    """Mean over them."""


@dataclass(frozen=True, slots=True)
class TraitCount:
    """The shoppers of one trait."""

    trait: Trait
    shoppers: int
    """Those with a probability."""
    by_bin: NDArray[np.int64] | None
    """`[bins]`: their probabilities in the bins of `trait.distribution`; None if it has none."""


def count_interests(table: AudienceTable) -> Mapping[CategoryPath, InterestCount]:
    """Count the shoppers of each interest, and average its confidence over them."""
    paths = table.description.paths
    shoppers, confidence = np.zeros(len(paths) + 1, dtype=np.int64), np.zeros(len(paths) + 1)
    for rows in table.iterate_chunks():
        places = table["interest_path"][rows].ravel()
        shoppers += np.bincount(places, minlength=len(shoppers))
        confidence += np.bincount(places, table["interest_confidence"][rows].ravel(), minlength=len(shoppers))
    return {
        tuple(path): InterestCount(int(shoppers[place]), float(confidence[place] / shoppers[place]))
        for place, path in enumerate(paths, start=1)
        if shoppers[place]
    }


def count_trait(table: AudienceTable, trait: Trait) -> TraitCount:
    """Count the shoppers with a probability of a trait that the table has."""
    column, count, by_bin = table.description.traits.index(trait.name), 0, None
    for rows in table.iterate_chunks():
        values = table["trait"][rows, column]
        values = values[~np.isnan(values)]
        count += len(values)
        if trait.distribution is not None:
            counted = trait.distribution.count(values)
            by_bin = counted if by_bin is None else by_bin + counted
    return TraitCount(trait, count, by_bin)
