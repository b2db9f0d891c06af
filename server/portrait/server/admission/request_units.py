"""The cost of parsed requests: units by what a request asks for; equal entries count once.

A unit is the work of an ordinary call, some milliseconds of CPU time. Data that a request names but does not contain,
such as the stored events of a shopper, is charged when the store has counted it (`charges`).
"""

from collections.abc import Callable, Iterable
from typing import Any

from google.protobuf.descriptor import Descriptor

from portrait.server.admission.costs import UnlistedMethod

EVENTS_PER_UNIT = 256
"""Events of the history that a profile is computed from, stored or inline."""
TEXTS_PER_UNIT = 8
"""Texts are encoded in batches: this many take about as long as a recommendation."""
_TYPED_CHARACTERS_PER_UNIT = 2_048
"""Characters of searches, which are split into words, and the latest of which are encoded."""
_JUDGED_CHARACTERS_PER_UNIT = 16_384
"""Characters of earlier searches, which are only judged by sensitive topics; unheard-of words take the longest."""
_ITEMS_PER_UNIT = 128
"""Items that are looked up, ranked, written or excluded."""
_SEARCHES_PER_UNIT = 4
"""Searches of the nearest items; a recommendation has two of them, and runs the models as well."""
_EVENTS_PER_WRITE = 128
_SEED_SHOPPERS_PER_UNIT = 1_024
_AUDIENCE_UNITS = 4
"""One thread serves all audiences, and some callers read the response slowly: about ten at a time are enough."""
_BYTES_PER_UNIT = 1 << 15
"""Long texts cost time even where the models read only their beginning."""


def count_units(request: Any, size: int) -> int | None:
    """Count the units of a request, at least one; None if only its size counts.

    Args:
        request: the message, which may break the contract.
        size: the size of the message in bytes; `ByteSize()` would take as long as serialising the message again.
    """
    name = request.DESCRIPTOR.full_name
    count = _UNITS.get(name)
    return None if count is None else count(request) + (size // _BYTES_PER_UNIT if name in _OF_LONG_TEXTS else 0)


def history_units(events: int) -> int:
    """Count the units of a history, beyond those of the call itself.

    Args:
        events: the number of its events.
    """
    return events // EVENTS_PER_UNIT


def search_units(latest: int, earlier: int = 0) -> float:
    """Count the units of a shopper's searches, usually a small fraction.

    Args:
        latest: the characters of the searches whose words are read.
        earlier: the characters of those before them.
    """
    return latest / _TYPED_CHARACTERS_PER_UNIT + earlier / _JUDGED_CHARACTERS_PER_UNIT


def shopper_key(shopper: Any) -> bytes:
    """Make a key of a shopper's id, or of an inline history; equal shoppers have equal keys."""
    key: bytes = shopper.SerializeToString(deterministic=True)
    return key


def _inline(shopper: Any) -> int:
    return history_units(len(shopper.history.events))


def _shoppers(shoppers: Iterable[Any]) -> int:
    """Count the units of several shoppers, equal ones once."""
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


def _get_shelf(request: Any) -> int:
    searches = _distinct(request.item_ids) // _SEARCHES_PER_UNIT
    return _recommend(request) + searches


def _rank(request: Any) -> int:
    titled = sum(1 for candidate in request.candidates if candidate.item.title)
    held = len(request.candidates) - titled
    return 1 + _inline(request.shopper) + titled // TEXTS_PER_UNIT + held // _ITEMS_PER_UNIT


def _explain(request: Any) -> int:
    """Count the minimum; the history is charged when it has been read."""
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
    "portrait.v1.GetShelfRequest": _get_shelf,
    "portrait.v1.ExplainRecommendationRequest": _explain,
    "portrait.v1.ExplainProfileRequest": _explain,
    "portrait.v1.UpsertItemsRequest": _upsert,
    "portrait.v1.DeleteItemsRequest": lambda request: 1 + _distinct(request.item_ids) // _ITEMS_PER_UNIT,
    "portrait.v1.EncodeTextsRequest": _encode,
    "portrait.v1.EncodeTextStreamRequest": _encode,
    "portrait.v1.FindAudienceRequest": _audience,
    "portrait.v1.EstimateAudienceRequest": _audience,
    # An event is read of each linked id, of which a page takes the newest.
    "portrait.v1.ListEventsRequest": lambda request: 1 + history_units(request.page_size),
    "portrait.v1.RecordEventsRequest": lambda request: 1 + len(request.events) // _EVENTS_PER_WRITE,
}
_OF_LONG_TEXTS = {
    "portrait.v1.RankRequest",
    "portrait.v1.UpsertItemsRequest",
    "portrait.v1.EncodeTextsRequest",
    "portrait.v1.EncodeTextStreamRequest",
}
_COUNTED_BY_SIZE = {
    "portrait.v1.SetConsentsRequest",
    "portrait.v1.SetReviewRequest",
    "portrait.v1.RemoveReviewRequest",
}
"""Requests with lists whose size in bytes says how much they ask for."""
LISTED_REQUESTS = frozenset({*_UNITS, *_COUNTED_BY_SIZE})
"""Full names of the requests whose units are counted."""


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
