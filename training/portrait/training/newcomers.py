"""Newcomers: items that training has no event of, and what their nearest in words lend them."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from portrait.features.associations import Associations
from portrait.training.model import PortraitModel

LENDERS = 3
"""An item without events borrows from so many known items."""


@dataclass(frozen=True)
class Newcomers:
    """Items without events, each with the known items whose words are nearest to its own."""

    items: NDArray[np.int64]
    """`[newcomers]`, rows."""
    lenders: NDArray[np.int64]
    """`[newcomers, lenders]`, rows of known items."""

    def counts(self, item_counts: NDArray[np.float64]) -> NDArray[np.float64]:
        """`[items]`: how often each item occurs; of a newcomer, how often its lenders do on average."""
        lent = item_counts.copy()
        lent[self.items] = item_counts[self.lenders].mean(1)
        return lent

    def lend_residuals(self, model: PortraitModel) -> None:
        """Give each newcomer the mean of its lenders' residuals."""
        weight = model.residual.weight
        with torch.no_grad():
            weight[torch.from_numpy(self.items)] = weight[torch.from_numpy(self.lenders)].mean(1)

    def lend_associations(self, associations: Associations) -> Associations:
        """What leads to a newcomer's lenders leads to it, and it leads where they lead: each with its share."""
        count = len(associations.starts) - 1
        source = np.repeat(np.arange(count), np.diff(associations.starts))
        target, weight = associations.items.astype(np.int64), associations.weights
        borrower = np.repeat(self.items, self.lenders.shape[1])
        lender, share = self.lenders.ravel(), np.float32(1.0 / max(1, self.lenders.shape[1]))
        to_newcomers = _matches(target, lender)
        from_newcomers = _matches(source, lender)
        source = np.concatenate([source, source[to_newcomers[0]], borrower[from_newcomers[1]]])
        target = np.concatenate([target, borrower[to_newcomers[1]], target[from_newcomers[0]]])
        weight = np.concatenate([weight, share * weight[to_newcomers[0]], share * weight[from_newcomers[0]]])
        pairs, inverse = np.unique(source * count + target, return_inverse=True)
        starts = np.searchsorted(pairs, np.arange(count + 1) * count)
        summed = np.bincount(inverse, weight, minlength=len(pairs)).astype(np.float32)
        return replace(associations, starts=starts, items=(pairs % count).astype(np.int32), weights=summed)


def find(texts: NDArray[np.float32], item_text: NDArray[np.int64], item_counts: NDArray[np.float64]) -> Newcomers:
    """The items without events and their nearest known items.

    Args:
        texts: `[texts, dimension]`, embeddings, unit length.
        item_text: `[items]`, row of each item's text.
        item_counts: `[items]`, how often each occurs in what is learnt from.
    """
    unknown, known = np.flatnonzero(item_counts == 0), np.flatnonzero(item_counts)
    lenders = min(LENDERS, len(known))
    nearest = np.zeros((len(unknown), lenders), dtype=np.int64)
    for begin in range(0, len(unknown), 512):
        part = slice(begin, begin + 512)
        cosines = texts[item_text[unknown[part]]] @ texts[item_text[known]].T
        nearest[part] = known[np.argpartition(-cosines, lenders - 1, axis=1)[:, :lenders]]
    return Newcomers(unknown, nearest)


def _matches(rows: NDArray[np.int64], wanted: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All pairs of places in `rows` and in `wanted` that hold the same row."""
    order = np.argsort(rows, kind="stable")
    first = np.searchsorted(rows[order], wanted, "left")
    counts = np.searchsorted(rows[order], wanted, "right") - first
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return order[np.repeat(first, counts) + within], np.repeat(np.arange(len(wanted)), counts)
