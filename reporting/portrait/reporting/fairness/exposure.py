"""Exposure: which items, categories and brands the first ten places show, beside what shoppers had done before."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from portrait.features.events import Item
from portrait.features.items.item_table import fold_brand
from portrait.training.dataset.corpus import NO_ITEM, Corpus
from portrait.training.run.evaluation import SHOWN_POSITIONS, RankedTargets

MAX_NAMES = 200
"""Categories or brands that are told apart; all others count as one."""
CATEGORIES, BRANDS = "categories", "brands"
_OTHERS = "all others"


@dataclass(frozen=True)
class Exposure:
    """Shares of items, by test target. A place of the ranking counts by `1 / log2(place + 1)`, as in NDCG."""

    shown: sparse.csr_array
    """`[targets, items]`: share of the first ten places."""
    earlier: sparse.csr_array
    """`[targets, items]`: share of the shopper's earlier events; no entries where none has an item."""
    items: list[Item]

    def average(self, values: NDArray[np.float64], rows: sparse.csr_array | None = None) -> NDArray[np.float64]:
        """`[targets]`: mean of a value of the items, by their shares; NaN without items of a known value.

        Args:
            values: `[items]`, NaN if unknown.
            rows: `[targets, items]`, shares; by default what is shown.
        """
        rows = self.shown if rows is None else rows
        known = np.isfinite(values)
        weight = rows @ known.astype(np.float64)
        total = rows @ np.where(known, values, 0.0)
        return np.divide(total, weight, out=np.full(len(total), np.nan), where=weight > 0)


def compute_exposure(corpus: Corpus, ranked: RankedTargets) -> Exposure:
    """Compute what a ranking shows to each test shopper, and what they had done before."""
    items = ranked.items[:, :SHOWN_POSITIONS]
    weights = np.where(items >= 0, 1.0 / np.log2(np.arange(items.shape[1]) + 2.0), 0.0)
    row, place = np.nonzero(items >= 0)
    shape = (len(items), len(corpus.items))
    shown = _normalise_rows(weights[row, place], row, items[row, place], shape)
    targets = ranked.vectors.targets
    start, end = corpus.shopper_start[targets], corpus.context_end[targets]
    owner = np.repeat(np.arange(len(targets)), end - start)
    # Rows of all contexts: an ascending count, which begins anew at the start of each.
    events = np.arange(len(owner)) + np.repeat(start - (np.cumsum(end - start) - (end - start)), end - start)
    with_item = corpus.event_item[events] != NO_ITEM
    owner, events = owner[with_item], events[with_item]
    return Exposure(shown, _normalise_rows(np.ones(len(owner)), owner, corpus.event_item[events], shape), corpus.items)


def _normalise_rows(
    weights: NDArray[np.float64], rows: NDArray[np.int64], columns: NDArray[np.int64], shape: tuple[int, int]
) -> sparse.csr_array:
    """Make a matrix whose rows sum to 1; a row without entries stays empty."""
    totals = np.bincount(rows, weights, minlength=shape[0])
    return sparse.csr_array(sparse.coo_array((weights / totals[rows], (rows, columns)), shape=shape))


@dataclass(frozen=True)
class Distribution:
    """Shares of categories or brands, by test target; only targets that have both."""

    subject: str
    """`CATEGORIES` or `BRANDS`."""
    names: list[str]
    of_item: NDArray[np.int64]
    """`[items]`: number of the name of each item, -1 without one."""
    targets: NDArray[np.int64]
    """`[rows]`: row of the target in the test."""
    shown: sparse.csr_array
    """`[rows, names]`: shares of the first ten places; rows sum to 1."""
    earlier: sparse.csr_array
    """`[rows, names]`: shares of earlier events; rows sum to 1."""

    def merge_rare(self) -> "Distribution":
        """Merge all but the `MAX_NAMES` most frequent names into one."""
        if len(self.names) <= MAX_NAMES:
            return self
        order = np.argsort(-(self.shown + self.earlier).sum(axis=0), kind="stable")
        columns = np.minimum(np.arange(len(order)), MAX_NAMES)
        merge = sparse.csr_array(
            sparse.coo_array((np.ones(len(order)), (order, columns)), shape=(len(order), MAX_NAMES + 1))
        )
        names = [*(self.names[column] for column in order[:MAX_NAMES].tolist()), _OTHERS]
        of_item = np.where(self.of_item < 0, -1, np.minimum(np.argsort(order), MAX_NAMES)[self.of_item])
        return Distribution(self.subject, names, of_item, self.targets, self.shown @ merge, self.earlier @ merge)


def list_distributions(exposure: Exposure) -> list[Distribution]:
    """Distributions over categories and brands; of each only if the catalogue has two or more.

    Categories are those of the first level at which the catalogue has several.
    """
    paths = [tuple(item.category_path) for item in exposure.items]
    levels = ([path[:depth] for path in paths] for depth in range(1, max(map(len, paths), default=0) + 1))
    categories: Sequence[tuple[str, ...]] = next((level for level in levels if len(set(filter(None, level))) > 1), [])
    brands: list[tuple[str, ...]] = [(brand,) if (brand := fold_brand(item.brand)) else () for item in exposure.items]
    subjects = {CATEGORIES: categories, BRANDS: brands}
    return [
        _distribute(exposure, subject, names)
        for subject, names in subjects.items()
        if len(set(filter(None, names))) > 1
    ]


def _distribute(exposure: Exposure, subject: str, groups: Sequence[tuple[str, ...]]) -> Distribution:
    names = sorted(set(filter(None, groups)))
    number = {name: column for column, name in enumerate(names)}
    of_item = np.array([number.get(name, -1) for name in groups], dtype=np.int64)
    rows = np.flatnonzero(of_item >= 0)
    shape = (len(groups), len(names))
    member = sparse.csr_array(sparse.coo_array((np.ones(len(rows)), (rows, of_item[rows])), shape=shape))
    shares = [exposure.shown @ member, exposure.earlier @ member]
    totals = [each.sum(axis=1) for each in shares]
    targets = np.flatnonzero((totals[0] > 0) & (totals[1] > 0))
    shown, earlier = (
        sparse.csr_array(sparse.diags_array(1.0 / total[targets]) @ each[targets])
        for each, total in zip(shares, totals, strict=True)
    )
    return Distribution(subject, [" › ".join(name) for name in names], of_item, targets, shown, earlier)
