"""Groups of shoppers by what they declared about themselves, and which of them may be shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from portrait.training.dataset import tables
from portrait.training.enums import Demographic
from portrait.training.run.run import TrainedRun

MIN_GROUP_SHOPPERS = 50
"""Test shoppers in a declared group; a smaller one could reveal something about single people."""
UNDECLARED = -1
TITLES = {Demographic.GENDER: "Gender", Demographic.AGE_BAND: "Age", Demographic.REGION: "Region"}
"""Titles of the attributes in the report, in its order."""


@dataclass(frozen=True)
class Declarations:
    """Values of one attribute that the shoppers of a run declared."""

    attribute: Demographic
    names: list[str]
    """Declared values, ascending."""
    of_shopper: NDArray[np.int64]
    """`[shoppers]`: number of the value that each shopper of the corpus declared, `UNDECLARED` without one."""

    @property
    def title(self) -> str:
        """Title of the attribute in the report."""
        return TITLES[self.attribute]


def read_declarations(trained: TrainedRun, attributes: Sequence[Demographic]) -> list[Declarations]:
    """Read what the shoppers of a run declared; empty if its data set has no such table.

    Raises:
        TrainingError: the table is broken.
    """
    data = Path(trained.data["path"])
    if not (data / "shoppers.parquet").exists():
        return []
    columns = {name: tables.SHOPPER_COLUMNS[name] for name in ("shopper_id", *attributes)}
    order = pl.DataFrame({"shopper_id": trained.corpus.shopper_ids})
    declared = order.join(
        tables.read_table(data, "shoppers", columns), on="shopper_id", how="left", maintain_order="left"
    )
    return [_number_values(attribute, declared[attribute.value]) for attribute in attributes]


def _number_values(attribute: Demographic, values: pl.Series) -> Declarations:
    names = values.drop_nulls().unique().sort().to_list()
    rows = {name: row for row, name in enumerate(names)}
    return Declarations(attribute, names, np.array([rows.get(name, UNDECLARED) for name in values], dtype=np.int64))


def choose_shown(counts: NDArray[np.int64], minimum: int, shoppers: int) -> list[int]:
    """Choose the groups to show: all but the small ones.

    A reader can subtract the shown groups from the whole test. So the shoppers who are left out must be none, or at
    least `minimum`: further groups are left out, smallest first, until that holds.

    Args:
        counts: `[groups]`, shoppers in each.
        minimum: groups with fewer shoppers are left out.
        shoppers: shoppers in the whole test, those in no group among them.
    """
    shown = np.flatnonzero((counts >= minimum) & (counts > 0)).tolist()
    while shown and 0 < shoppers - counts[shown].sum() < minimum:
        shown.remove(min(shown, key=lambda number: int(counts[number])))
    return shown
