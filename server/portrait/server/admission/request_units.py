"""What requests cost that were read: units by what they ask for, entries that are alike counted once.

A unit is the work of an ordinary call, some milliseconds of the processor. What a request names but does not hold, as
the stored events of a shopper, is added when the store has counted it (`charges`).
"""

from collections.abc import Callable, Iterable
from typing import Any

from google.protobuf.descriptor import Descriptor

from portrait.server.admission.costs import UnlistedMethod

EVENTS_PER_UNIT = 256
"""Events of a history that a profile is computed from, read from the store or from the request."""
TEXTS_PER_UNIT = 8
"""Texts are encoded in batches: so many take about as long as a recommendation."""
_TYPED_CHARACTERS_PER_UNIT = 2_048
"""Of searches, whose words are told apart, and the latest of which are encoded."""
_ITEMS_PER_UNIT = 128
"""Items that are looked up, ranked, written or left out."""
_EVENTS_PER_WRITE = 128
_SEED_SHOPPERS_PER_UNIT = 1_024
_AUDIENCE_UNITS = 4
"""One thread works for all audiences, and some callers are slow to take what it found: ten at a time are enough."""
_BYTES_PER_UNIT = 1 << 15
"""Long texts cost time even where the models read their beginning only."""


def count_units(request: Any, size: int) -> int | None:
    """Units of a request, at least one; None if it has none but those of its size.

    Args:
        request: a message, which need not keep the contract.
        size: of the message, in bytes. To ask the message for it takes as long as writing it.
    """
    name = request.DESCRIPTOR.full_name
    count = _UNITS.get(name)
    return None if count is None else count(request) + (size // _BYTES_PER_UNIT if name in _OF_LONG_TEXTS else 0)


def history_units(events: int) -> int:
    """Units of reading a history and computing from it, beyond those of the call itself.

    Args:
        events: how many it has.
    """
    return events // EVENTS_PER_UNIT


def search_units(characters: int) -> float:
    """Units of what a shopper typed: a small part of one, as a rule.

    Args:
        characters: of the searches whose words are read.
    """
    return characters / _TYPED_CHARACTERS_PER_UNIT


def shopper_key(shopper: Any) -> bytes:
    """The same of shoppers that are the same: by their id, or by all of their history."""
    key: bytes = shopper.SerializeToString(deterministic=True)
    return key


def _inline(shopper: Any) -> int:
    return history_units(len(shopper.history.events))


def _shoppers(shoppers: Iterable[Any]) -> int:
    """Of several shoppers, each once."""
    distinct = {shopper_key(shopper): shopper for shopper in shoppers}
    return sum(1 + _inline(shopper) for shopper in distinct.values())


def _distinct(texts: Iterable[str]) -> int:
    return len(set(texts))


def _get_profile(request: Any) -> int:
    examples = [shopper for label in request.label_examples for shopper in label.shoppers]
    return 1 + _inline(request.shopper) + _distinct(request.labels) // TEXTS_PER_UNIT + _shoppers(examples)


def _batch_get_profiles(request: Any) -> int:
    return max(1, _shoppers(request.shoppers))


def _recommend(request: Any) -> int:
    return (
        1 + _inline(request.shopper) + request.k // _ITEMS_PER_UNIT
        + len(request.filter.exclude_item_ids) // (8 * _ITEMS_PER_UNIT)
    )  # fmt: skip


def _rank(request: Any) -> int:
    titled = sum(1 for candidate in request.candidates if candidate.item.title)
    held = len(request.candidates) - titled
    return 1 + _inline(request.shopper) + titled // TEXTS_PER_UNIT + held // _ITEMS_PER_UNIT


def _explain(request: Any) -> int:
    """The least; what the history adds is known when it was read."""
    return 1 + _inline(request.shopper)


def _upsert(request: Any) -> int:
    return 1 + _distinct(item.item_id for item in request.items) // TEXTS_PER_UNIT


def _encode(request: Any) -> int:
    return 1 + _distinct(request.texts) // TEXTS_PER_UNIT


def _audience(request: Any) -> int:
    audience = request.audience
    criteria = [*audience.criteria, *audience.look_alike.criteria.criteria]
    labels = sum(len(each.interest.labels) for each in criteria)
    seed = len(audience.look_alike.shoppers.shopper_ids) // _SEED_SHOPPERS_PER_UNIT
    return _AUDIENCE_UNITS + len(criteria) + labels // TEXTS_PER_UNIT + seed


_UNITS: dict[str, Callable[[Any], int]] = {
    "portrait.v1.GetProfileRequest": _get_profile,
    "portrait.v1.BatchGetProfilesRequest": _batch_get_profiles,
    "portrait.v1.RecommendRequest": _recommend,
    "portrait.v1.RankRequest": _rank,
    "portrait.v1.ExplainRecommendationRequest": _explain,
    "portrait.v1.ExplainProfileRequest": _explain,
    "portrait.v1.UpsertItemsRequest": _upsert,
    "portrait.v1.DeleteItemsRequest": lambda request: 1 + _distinct(request.item_ids) // _ITEMS_PER_UNIT,
    "portrait.v1.EncodeTextsRequest": _encode,
    "portrait.v1.FindAudienceRequest": _audience,
    "portrait.v1.EstimateAudienceRequest": _audience,
    "portrait.v1.RecordEventsRequest": lambda request: 1 + len(request.events) // _EVENTS_PER_WRITE,
}
_OF_LONG_TEXTS = {"portrait.v1.RankRequest", "portrait.v1.UpsertItemsRequest", "portrait.v1.EncodeTextsRequest"}
_COUNTED_BY_SIZE = {"portrait.v1.SetConsentsRequest"}
"""Requests with lists whose size in bytes says how much they ask for."""
LISTED_REQUESTS = frozenset({*_UNITS, *_COUNTED_BY_SIZE})
"""The requests whose units somebody has said how to count."""


def require_counted(request: Descriptor) -> None:
    """Require that the units of a request are counted: by its size if it has no list, else by a function here.

    Args:
        request: the descriptor of the message.

    Raises:
        UnlistedMethod: the request has a list that nothing counts.
    """
    if request.full_name not in LISTED_REQUESTS and _has_list(request, set()):
        raise UnlistedMethod(f"{request.full_name} has no units: add it to portrait.server.admission.request_units")


def _has_list(message: Descriptor, seen: set[str]) -> bool:
    """Tell whether a message, or a message within it, has a repeated field."""
    seen.add(message.full_name)
    nested = (field.message_type for field in message.fields if field.message_type)
    return any(field.is_repeated for field in message.fields) or any(
        _has_list(each, seen) for each in nested if each.full_name not in seen
    )
