"""Slices of the test: hit rates by behaviour, by the wanted item, and by what shoppers declared."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from portrait.reporting.estimates import Estimate
from portrait.reporting.groups import MIN_GROUP_SHOPPERS, TITLES, choose_shown, read_declarations
from portrait.training.run.evaluation import RankedTargets
from portrait.training.run.run import TrainedRun

MIN_SLICE_SHOPPERS = 10
"""Test shoppers in a slice by behaviour; with fewer, the interval is too wide to mean anything."""


@dataclass(frozen=True)
class Slice:
    """Test shoppers who have something in common. Values are hit rates among the first ten."""

    name: str
    shoppers: int
    ours: Estimate
    popularity: Estimate
    against_others: Estimate | None
    """Portrait's hit rate here minus that for all other test shoppers; None if there are no others."""


@dataclass(frozen=True)
class Slicing:
    """The test shoppers, divided by one property."""

    title: str
    slices: list[Slice]
    small: int
    """Number of slices that are left out, so that no group below the minimum is shown or can be computed."""
    unknown: int
    """Shoppers in no slice, or in one that is left out."""


def cut_into_slices(
    title: str,
    names: list[str],
    part: NDArray[np.int64],
    ours: NDArray[np.float64],
    popularity: NDArray[np.float64],
    minimum: int,
) -> Slicing:
    """Cut the test into slices.

    Args:
        title: title of the slicing.
        names: names of the slices, in the order to show.
        part: `[shoppers]`, slice of each shopper, -1 for none.
        ours: `[shoppers]`, 1 where Portrait's first ten have the target, else 0.
        popularity: `[shoppers]`, the same for the popularity baseline.
        minimum: slices with fewer shoppers are left out; see `groups.choose_shown`.
    """
    counts = np.bincount(part[part >= 0], minlength=len(names))
    chosen = choose_shown(counts, minimum, len(part))
    against = _compare_with_others(part, chosen, ours)
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


def _compare_with_others(part: NDArray[np.int64], numbers: list[int], ours: NDArray[np.float64]) -> dict[int, Estimate]:
    """Compute the hit rate of each slice minus that of all other shoppers.

    If two slices are the whole test, their differences are opposite: one bootstrap serves both, so that they can't
    contradict each other.
    """
    if len(numbers) == 2 and np.isin(part, numbers).all():
        first, second = numbers
        difference = Estimate.of_difference(ours[part == first], ours[part == second])
        return {first: difference, second: -difference}
    return {
        number: Estimate.of_difference(ours[part == number], ours[part != number])
        for number in numbers
        if (part != number).any()
    }


def slice_by_behaviour(
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
    found = (cut_into_slices(title, names, part, ours, popularity, MIN_SLICE_SHOPPERS) for title, names, part in cuts)
    return [cut for cut in found if cut.slices]


def slice_by_declaration(
    trained: TrainedRun, ranked: RankedTargets, ours: NDArray[np.float64], popularity: NDArray[np.float64]
) -> list[Slicing]:
    """Cut the test by what shoppers declared; no slices where the data set has no such declarations."""
    shoppers = trained.corpus.event_shopper[ranked.vectors.targets]
    found = (
        cut_into_slices(each.title, each.names, each.of_shopper[shoppers], ours, popularity, MIN_GROUP_SHOPPERS)
        for each in read_declarations(trained, list(TITLES))
    )
    return [cut for cut in found if cut.slices]
