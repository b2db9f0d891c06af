"""Queries with lists, in few shapes, so that SQLite need not parse them anew."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

_SHOPPERS_AT_A_TIME = 5_000
"""Shoppers of one query; between two queries other callers read."""


def expand_placeholders(query: str, values: Sequence[T], place: str = "?") -> tuple[str, list[T]]:
    """A query with a place for each of some values in its list, and the values.

    Lists are filled up to a power of two with their last value: SQLite's statements are kept by their text.

    Args:
        query: with `{}` for the list.
        values: at least one.
        place: what the list has for each of them.
    """
    places = 1 << (len(values) - 1).bit_length()
    return query.format(", ".join([place] * places)), [*values, *[values[-1]] * (places - len(values))]


def split_ids(shopper_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """A list of any length, in parts."""
    for first in range(0, len(shopper_ids), _SHOPPERS_AT_A_TIME):
        yield shopper_ids[first : first + _SHOPPERS_AT_A_TIME]


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Write all of the block or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # after some errors SQLite has ended it already
            connection.execute("ROLLBACK")
        raise
