"""Simple, deterministic rules of the in-memory gateway."""

import dataclasses
import hashlib
import math
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from portrait.client.profiles import Interest, Profile
from portrait.client.results import Event, Filter, Item, RankedItem

RELEASE = 1
NOW = datetime(2026, 1, 1, tzinfo=UTC)
_DIMENSION = 8
_ON_REQUEST = ("embedding", "traits")
"""Fields that a profile has only if they are requested."""
_AGES = {18: "0-17", 25: "18-24", 35: "25-34", 45: "35-44", 55: "45-54", 65: "55-64"}


def make_profile(
    shopper_id: str,
    events: Sequence[Event],
    items: Mapping[str, Item],
    as_of: datetime | None,
    fields: Sequence[str] | None,
) -> Profile:
    """Make a profile of the events up to a time.

    Args:
        shopper_id: id of the shopper; empty for a history.
        events: the history.
        items: known items by id.
        as_of: the time; None for all events.
        fields: fields to fill; None for the default ones.
    """
    seen = [event for event in events if event.time is None or as_of is None or event.time <= as_of]
    times = sorted(event.time for event in seen if event.time)
    whole = Profile(
        shopper_id,
        _interests(seen, items),
        (),
        (),
        make_vector(" ".join(event.item_id or event.query for event in seen)),
        len(seen),
        times[0] if times else None,
        times[-1] if times else None,
        RELEASE,
        as_of or NOW,
        NOW,
    )
    empty = Profile(shopper_id, (), (), (), None, 0, None, None, RELEASE, as_of or NOW, NOW)
    left_out = _ON_REQUEST if fields is None else [f.name for f in dataclasses.fields(Profile) if f.name not in fields]
    kept = {"shopper_id", "release", "as_of", "computed_at"}
    return dataclasses.replace(whole, **{name: getattr(empty, name) for name in left_out if name not in kept})


def _interests(events: Sequence[Event], items: Mapping[str, Item]) -> tuple[Interest, ...]:
    """Shares of the events in each category, the largest first."""
    evidence: dict[tuple[str, ...], list[str]] = {}
    for event in events:
        path = tuple(items[event.item_id].category_path) if event.item_id in items else ()
        for depth in range(1, len(path) + 1):
            evidence.setdefault(path[:depth], []).append(event.event_id)
    found = [Interest(path, len(ids) / len(events), 1.0, tuple(ids)) for path, ids in evidence.items()]
    return tuple(sorted(found, key=lambda each: (-each.weight, each.category_path)))


def rank(
    items: Sequence[Item], events: Sequence[Event], known: Mapping[str, Item], query: str
) -> tuple[RankedItem, ...]:
    """Rank items by one point per query word in the title plus the share of events in the item's category."""
    paths = Counter(tuple(known[event.item_id].category_path) for event in events if event.item_id in known)
    asked = words(query)
    scored = [
        (item, len(asked & words(item.title)) + paths[tuple(item.category_path)] / max(len(events), 1))
        for item in items
    ]
    total = sum(math.exp(score) for _, score in scored)
    return tuple(
        RankedItem(item, score, math.exp(score) / total, math.exp(score) / total / 2)
        for item, score in sorted(scored, key=lambda pair: -pair[1])
    )


def limit_categories(ranked: Sequence[RankedItem], limit: int) -> tuple[RankedItem, ...]:
    """Keep the first `limit` items of each category in order, and all items without a category."""
    shown: Counter[tuple[str, ...]] = Counter()
    kept = []
    for each in ranked:
        path = tuple(each.item.category_path)
        shown[path] += 1
        if not path or shown[path] <= limit:
            kept.append(each)
    return tuple(kept)


def meets(item: Item, filter: Filter | None) -> bool:
    """Tell whether an item may be shown."""
    if filter is None:
        return True
    path = tuple(item.category_path)
    prices = (filter.min_price, filter.max_price)
    return (
        (not filter.categories or any(path[: len(each)] == tuple(each) for each in filter.categories))
        and (not filter.brands or item.brand in filter.brands)
        and item.item_id not in filter.exclude_item_ids
        and (prices == (None, None) or (item.price is not None and _is_between(item.price, *prices)))
    )


def _is_between(price: float, low: float | None, high: float | None) -> bool:
    return (low is None or price >= low) and (high is None or price <= high)


def words(text: str) -> set[str]:
    """Return the words of a text in lower case."""
    return set(text.lower().split())


def make_vector(text: str) -> "array[float]":
    """Make a vector of unit length that is the same for the same text."""
    numbers = [byte - 127.5 for byte in hashlib.sha256(text.encode()).digest()[:_DIMENSION]]
    return array("f", [number / math.hypot(*numbers) for number in numbers])


def age_band(age: int | None) -> str:
    """Name the band of an age in years; empty if it was not declared."""
    return "" if age is None else next((band for limit, band in _AGES.items() if age < limit), "65+")
