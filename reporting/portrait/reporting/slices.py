"""Parts of the test: how shoppers fare by what they did, what they wanted and who they say they are."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from portrait.reporting.estimates import Estimate
from portrait.training.dataset import readers
from portrait.training.run.evaluation import RankedTargets
from portrait.training.run.run import TrainedRun

MINIMUM_SLICE = 10
"""Test shoppers; of fewer, an interval says nothing."""
MINIMUM_GROUP = 50
"""Test shoppers of a declared group; a smaller one might tell of single people."""

DECLARED = {"gender": "Gender", "age_band": "Age", "region": "Region"}
"""Columns of shoppers.parquet, and what they are called."""


@dataclass(frozen=True)
class Slice:
    """Test shoppers who have something in common. Values are hit rates among the first ten."""

    name: str
    shoppers: int
    ours: Estimate
    popularity: Estimate
    against_others: Estimate | None
    """Ours minus that of all other test shoppers; None if there are no others."""


@dataclass(frozen=True)
class Slicing:
    """The test shoppers in parts."""

    title: str
    slices: list[Slice]
    small: int
    """Parts that are left out, as too few shoppers are in them or would be left without them."""
    unknown: int
    """Shoppers who are in no part, or in one that is left out."""


def slicing(
    title: str,
    names: list[str],
    part: NDArray[np.int64],
    ours: NDArray[np.float64],
    popularity: NDArray[np.float64],
    minimum: int,
) -> Slicing:
    """Cut the test into parts.

    Args:
        title: of the whole.
        names: of the parts, in the order to show.
        part: `[shoppers]`, part of each, -1 for none.
        ours: `[shoppers]`, 1 where the item was hit.
        popularity: the same of popularity.
        minimum: parts with fewer shoppers are left out, and so is who would be alone with them.
    """
    counts = np.bincount(part[part >= 0], minlength=len(names))
    chosen = _shown(counts, minimum, len(part))
    against = _against_others(part, chosen, ours)
    slices = [
        Slice(
            name=names[number],
            shoppers=int(counts[number]),
            ours=Estimate.of_mean(ours[part == number]),
            popularity=Estimate.of_mean(popularity[part == number]),
            against_others=against.get(number),
        )
        for number in chosen
    ]
    shown = sum(each.shoppers for each in slices)
    return Slicing(title, slices, int((counts > 0).sum()) - len(slices), len(part) - shown)


def _shown(counts: NDArray[np.int64], minimum: int, shoppers: int) -> list[int]:
    """Parts to show: all but the small ones.

    What is left out is the whole less what is shown, so anybody can work it out: it must be nobody or `minimum`
    shoppers too, and the smallest parts join it until it is.
    """
    shown = np.flatnonzero((counts >= minimum) & (counts > 0)).tolist()
    while shown and 0 < shoppers - counts[shown].sum() < minimum:
        shown.remove(min(shown, key=lambda number: int(counts[number])))
    return shown


def _against_others(part: NDArray[np.int64], numbers: list[int], ours: NDArray[np.float64]) -> dict[int, Estimate]:
    """Compute the lead of each part over all others; two parts differ equally, and must not be judged apart."""
    if len(numbers) == 2 and np.isin(part, numbers).all():
        first, second = numbers
        difference = Estimate.of_difference(ours[part == first], ours[part == second])
        return {first: difference, second: -difference}
    return {
        number: Estimate.of_difference(ours[part == number], ours[part != number])
        for number in numbers
        if (part != number).any()
    }


def by_behaviour(
    trained: TrainedRun, ranked: RankedTargets, ours: NDArray[np.float64], popularity: NDArray[np.float64]
) -> list[Slicing]:
    """Slices by length of history, by how well the wanted item is known, and by whether it was searched for.

    Those of which no part is large enough are left out: a small test has none.
    """
    corpus, targets = trained.corpus, ranked.vectors.targets
    length = corpus.context_end[targets] - corpus.shopper_start[targets]
    known = trained.holdout.item_counts[corpus.event_item[targets]]
    cuts = [
        (
            "Length of the history",
            ["1 to 4 events", "5 to 9 events", "10 events and more"],
            np.digitize(length, [5, 10]),
        ),
        (
            "How often training had seen the wanted item",
            ["never: a new item", "1 to 9 times", "10 times and more"],
            np.digitize(known, [1, 10]),
        ),
    ]
    asked = ranked.chosen.query >= 0
    if asked.any() and not asked.all():
        cuts.append(("Search", ["right after a search", "without a search"], np.where(asked, 0, 1)))
    found = (slicing(title, names, part, ours, popularity, MINIMUM_SLICE) for title, names, part in cuts)
    return [cut for cut in found if cut.slices]


def by_declaration(
    trained: TrainedRun, ranked: RankedTargets, ours: NDArray[np.float64], popularity: NDArray[np.float64]
) -> list[Slicing]:
    """Slices by what shoppers declared; none where the data set knows nothing of the kind."""
    path = Path(trained.data["path"]) / "shoppers.parquet"
    if not path.exists():
        return []
    corpus = trained.corpus
    ids = pl.DataFrame(
        {"shopper_id": [corpus.shopper_ids[shopper] for shopper in corpus.event_shopper[ranked.vectors.targets]]}
    )
    declared = ids.join(readers.read_parquet(path), on="shopper_id", how="left", maintain_order="left")
    found = []
    for column, title in DECLARED.items():
        names = declared[column].drop_nulls().unique().sort().to_list()
        rows = {name: row for row, name in enumerate(names)}
        part = np.array([rows.get(name, -1) for name in declared[column]], dtype=np.int64)
        cut = slicing(title, names, part, ours, popularity, MINIMUM_GROUP)
        if cut.slices:
            found.append(cut)
    return found
