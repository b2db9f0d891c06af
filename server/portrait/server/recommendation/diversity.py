"""Diversity: no category has more than so many of the items that are shown, or no item is much like one above it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from portrait.features.candidates.history_summary import NO_GROUP
from portrait.server.catalogue.snapshot import Selection, Snapshot

_MAX_COMPARED_ROWS = 20_000
"""Above this many rows, only popular ones are scored, and the rest if needed: scoring all takes too long."""

MAX_SPREAD_ITEMS = 100
"""The best items, of which each place takes one; those behind them are not brought forward."""


def order_by_marginal_relevance(
    scores: NDArray[np.float32],
    vectors: NDArray[np.float32],
    amount: float,
    k: int,
    shown: NDArray[np.float32] | None = None,
) -> list[int]:
    """Order items so that none of the first `k` is much like one above it; returns all their places.

    Each place takes the item with the highest score minus `amount` times its cosine with the nearest item that is
    shown above: maximal marginal relevance (Carbonell and Goldstein 1998), whose λ is 1 / (1 + amount). A cosine below
    0 counts as 0.

    Args:
        scores: `[items]`, in nats, descending.
        vectors: `[items, dimension]`, of unit length.
        amount: nats; 0 keeps the order.
        k: how many are shown; those behind them keep their order.
        shown: `[others, dimension]`, vectors of further items that are shown whatever comes of it; None for none.
    """
    count = min(len(scores), MAX_SPREAD_ITEMS)
    worth, pool = np.array(scores[:count], dtype=np.float64), vectors[:count]
    nearest = np.zeros(count)
    if shown is not None and len(shown):
        np.maximum(nearest, (pool @ shown.T).max(axis=1), out=nearest)
    chosen: list[int] = []
    for _ in range(min(k, count)):
        best = int(np.argmax(worth - amount * nearest))
        chosen.append(best)
        worth[best] = -np.inf
        np.maximum(nearest, pool @ pool[best], out=nearest)
    left = np.ones(len(scores), dtype=bool)
    left[chosen] = False
    return [*chosen, *np.flatnonzero(left).tolist()]


def limit_categories(categories: NDArray[np.int64], limit: int) -> list[int]:
    """The places that stay, in their order: of each category the first `limit`.

    Args:
        categories: of each item its category as a number, the best item first; `NO_GROUP` is not limited.
        limit: 1 or more.
    """
    kept: list[int] = np.flatnonzero(_mark_within_limit(categories, limit)).tolist()
    return kept


def add_other_categories(
    catalogue: Snapshot,
    found: NDArray[np.int64],
    allowed: Selection,
    wishes: Sequence[NDArray[np.float32]],
    k: int,
    limit: int,
) -> NDArray[np.int64]:
    """Rows, and if the limit leaves fewer than `k` of them, others that it leaves, at most as many as there were.

    Args:
        catalogue: what there is.
        found: rows that were found, each once.
        allowed: the rows that may be found.
        wishes: vectors, each `[dimension]`; the rows nearest to one of them come first, else the most popular.
        k: how many rows are wanted.
        limit: how many of them may be of one category, 1 or more.
    """
    categories = catalogue.categories(found)
    if np.count_nonzero(_mark_within_limit(categories, limit)) >= k:
        return found
    rest = _find_open_rows(catalogue, found, allowed, categories, limit)
    for rows in (_select_popular(catalogue, rest), rest):
        best_first = rows[np.argsort(-_score_rows(catalogue, rows, wishes), kind="stable")]
        stays = _mark_within_limit(np.concatenate([categories, catalogue.categories(best_first)]), limit)
        if np.count_nonzero(stays) >= k:
            break
    return np.concatenate([found, best_first[stays[len(found) :]][: max(k, len(found))]])


def _find_open_rows(
    catalogue: Snapshot, found: NDArray[np.int64], allowed: Selection, categories: NDArray[np.int64], limit: int
) -> NDArray[np.int64]:
    """The other rows, without those of categories that have as many as the limit allows."""
    others = np.zeros(len(catalogue), dtype=bool)
    others[catalogue.rows_in(allowed)] = True
    others[found] = False
    rest = np.flatnonzero(others)
    numbers, counts = np.unique(categories, return_counts=True)
    full = numbers[(counts >= limit) & (numbers != NO_GROUP)]
    return rest[~np.isin(catalogue.categories(rest), full)]


def _select_popular(catalogue: Snapshot, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    if len(rows) <= _MAX_COMPARED_ROWS:
        return rows
    return rows[np.argpartition(-catalogue.popularity(rows), _MAX_COMPARED_ROWS)[:_MAX_COMPARED_ROWS]]


def _score_rows(
    catalogue: Snapshot, rows: NDArray[np.int64], wishes: Sequence[NDArray[np.float32]]
) -> NDArray[np.float32]:
    if not wishes or len(rows) > _MAX_COMPARED_ROWS:
        return catalogue.popularity(rows)
    vectors = catalogue.vectors(rows)
    return np.asarray(np.max([vectors @ wish for wish in wishes], axis=0), dtype=np.float32)


def _mark_within_limit(categories: NDArray[np.int64], limit: int) -> NDArray[np.bool_]:
    """`[items]`: whether fewer than `limit` of the same category stand before each."""
    order = np.argsort(categories, kind="stable")
    places = np.arange(len(categories)) - np.searchsorted(categories[order], categories[order], side="left")
    stays = np.empty(len(categories), dtype=bool)
    stays[order] = places < limit
    return stays | (categories == NO_GROUP)
