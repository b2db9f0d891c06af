"""Diversity: no category has more than so many of the items that are shown."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from portrait.features.candidates.history_summary import NO_GROUP
from portrait.server.catalogue.snapshot import Selection, Snapshot

_MAX_COMPARED_ROWS = 20_000
"""Above this many rows, only popular ones are scored, and the rest if needed: scoring all takes too long."""


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
