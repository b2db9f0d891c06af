"""Numbers of categories and brands, by which a history and its candidates are compared without their texts."""

from bisect import bisect_left
from collections.abc import Hashable, Sequence
from typing import TypeVar

from portrait.features.candidates.history_summary import NO_GROUP

T = TypeVar("T", str, tuple[str, ...])

_UNKNOWN_BITS = (1 << 62) - 1


def number_value(known: Sequence[T], value: T) -> int:
    """Number a category path or a folded brand: its place in `known`, `NO_GROUP` if empty, else `number_unknown`.

    Args:
        known: the values of a release, ascending.
        value: the value to number.
    """
    if not value:
        return NO_GROUP
    place = bisect_left(known, value)
    return place if place < len(known) and known[place] == value else number_unknown(value)


def number_unknown(value: Hashable) -> int:
    """Number what the release does not know: below `NO_GROUP`, equal for equal values, within this process."""
    return NO_GROUP - 1 - (hash(value) & _UNKNOWN_BITS)
