"""Fixed places among ranked items: one rule for pins of the shop's rules, and of reviews."""

from collections.abc import Iterable, Sequence


def insert_pinned(order: list[int], pins: Iterable[tuple[int, Sequence[int]]]) -> None:
    """Insert ranked items into an order at their fixed places.

    The foremost come first, so that a later one counts its place among them. What is pinned twice has the foremost
    place.

    Args:
        order: the items that have no fixed place; gets the others.
        pins: the place of the first of some items, from 1, and these items, which follow each other.
    """
    inserted: set[int] = set()
    for place, items in sorted(pins, key=lambda pin: pin[0]):
        fresh = [item for item in dict.fromkeys(items) if item not in inserted]
        order[place - 1 : place - 1] = fresh
        inserted.update(fresh)
