"""Between the client's values and the contract's messages: requests built, responses read."""

import re
import sys
from array import array
from collections.abc import Iterable
from datetime import UTC, datetime

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.protobuf.wrappers_pb2 import BytesValue

from portrait.client.results import (
    Consent,
    ConsentRecord,
    Consents,
    Embeddings,
    Event,
    EventEffect,
    EventType,
    Filter,
    ForgetSummary,
    Item,
    ItemEffect,
    Permission,
    ProfileExplanation,
    Purpose,
    RankedItem,
    Ranking,
    RankingExplanation,
    RecordSummary,
    Rejection,
    Shopper,
    UpsertSummary,
    WordEffect,
)
from portrait.v1 import (
    catalogue_service_pb2,
    consent_service_pb2,
    entry_error_pb2,
    event_pb2,
    event_service_pb2,
    explanation_service_pb2,
    item_pb2,
    profile_pb2,
    recommendation_service_pb2,
    shopper_pb2,
    text_service_pb2,
)

_TYPES = {kind: f"EVENT_TYPE_{kind.name}" for kind in EventType}
_KINDS = {event_pb2.EventType.Value(name): kind for kind, name in _TYPES.items()}
_PURPOSES = {purpose: f"PURPOSE_{purpose.name}" for purpose in Purpose}
_NUMBERED: dict[int, Purpose] = {
    consent_service_pb2.Purpose.Value(name): purpose for purpose, name in _PURPOSES.items()
}
_GRANTED: dict[int, bool] = {
    consent_service_pb2.CONSENT_DECISION_GRANTED: True,
    consent_service_pb2.CONSENT_DECISION_WITHDRAWN: False,
}
_NUMBERS = ("price", "quantity", "rating", "dwell_seconds", "position")
_UNREADABLE = "the server sent vectors that this client can't read; update the client"
_ENTRY = re.compile(r"(events|items)\[\d+\]\.(event\.)?")
"""What a rejected field's path begins with: the entry's place in one call, which a caller may not know."""


def build_timestamp(time: datetime | None) -> Timestamp | None:
    """A time as a message; a naive one is UTC."""
    if time is None:
        return None
    message = Timestamp()
    message.FromDatetime(time if time.tzinfo else time.replace(tzinfo=UTC))
    return message


def build_event(value: Event) -> event_pb2.Event:
    """An event as a message."""
    message = event_pb2.Event(
        event_id=value.event_id,
        type=_TYPES[EventType(value.type)],
        time=build_timestamp(value.time),
        item_id=value.item_id,
        catalogue=value.catalogue,
        query=value.query,
    )
    for name in _NUMBERS:
        if (number := getattr(value, name)) is not None:
            setattr(message, name, number)
    return message


def build_shopper(value: Shopper) -> shopper_pb2.ShopperRef:
    """A shopper's id, or a history, as a message."""
    if isinstance(value, str):
        return shopper_pb2.ShopperRef(shopper_id=value)
    return shopper_pb2.ShopperRef(history=shopper_pb2.History(events=[build_event(each) for each in value]))


def build_item(value: Item) -> item_pb2.Item:
    """An item as a message."""
    return item_pb2.Item(
        item_id=value.item_id,
        title=value.title,
        category_path=value.category_path,
        brand=value.brand,
        attributes=value.attributes,
        price=value.price,
    )


def build_filter(value: Filter) -> item_pb2.ItemFilter:
    """A filter as a message."""
    return item_pb2.ItemFilter(
        categories=[item_pb2.CategoryPath(names=path) for path in value.categories],
        brands=value.brands,
        min_price=value.min_price,
        max_price=value.max_price,
        exclude_item_ids=value.exclude_item_ids,
    )


def build_record_request(events: Iterable[tuple[str, Event]]) -> event_service_pb2.RecordEventsRequest:
    """Events and their shoppers as a request."""
    return event_service_pb2.RecordEventsRequest(
        events=[event_service_pb2.ShopperEvent(shopper_id=who, event=build_event(what)) for who, what in events]
    )


def build_consents_request(shopper_id: str, consents: Iterable[Consent]) -> consent_service_pb2.SetConsentsRequest:
    """What a shopper said as a request."""
    said = [
        consent_service_pb2.Consent(
            purpose=_PURPOSES[Purpose(each.purpose)],
            decision="CONSENT_DECISION_GRANTED" if each.granted else "CONSENT_DECISION_WITHDRAWN",
            time=build_timestamp(each.time),
            notice=each.notice,
            source=each.source,
        )
        for each in consents
    ]
    return consent_service_pb2.SetConsentsRequest(shopper_id=shopper_id, consents=said)


def read_permissions(
    message: consent_service_pb2.SetConsentsResponse | consent_service_pb2.GetConsentsResponse,
) -> dict[Purpose, Permission]:
    """What a shopper allows; a purpose of a later contract is passed over."""
    return {
        _NUMBERED[each.purpose]: Permission(each.allowed, _GRANTED.get(each.decision))
        for each in message.permissions
        if each.purpose in _NUMBERED
    }


def read_consents(message: consent_service_pb2.GetConsentsResponse) -> Consents:
    """What a shopper allows, and said."""
    records = tuple(
        ConsentRecord(
            Consent(
                _NUMBERED[said.purpose],
                _GRANTED[said.decision],
                said.time.ToDatetime(tzinfo=UTC),
                said.notice,
                said.source,
            ),
            each.recorded_at.ToDatetime(tzinfo=UTC),
        )
        for each in message.records
        if (said := each.consent).purpose in _NUMBERED
    )
    return Consents(read_permissions(message), records)


def read_forget_summary(message: consent_service_pb2.ForgetShopperResponse) -> ForgetSummary:
    """What was removed of a shopper."""
    return ForgetSummary(message.event_count, message.forgotten_at.ToDatetime(tzinfo=UTC))


def read_record_summary(response: event_service_pb2.RecordEventsResponse, first: int) -> RecordSummary:
    """What became of recorded events; `first` is the place of the response's first event among all that are sent."""
    return RecordSummary(
        response.accepted,
        response.duplicates,
        tuple(
            _rejection(first + place, result.error)
            for place, result in enumerate(response.results)
            if result.status == event_service_pb2.RECORD_STATUS_REJECTED
        ),
    )


def read_upsert_summary(response: catalogue_service_pb2.UpsertItemsResponse) -> UpsertSummary:
    """What became of upserted items."""
    return UpsertSummary(response.stored, tuple(_rejection(each.index, each.error) for each in response.errors))


def _rejection(index: int, error: entry_error_pb2.EntryError) -> Rejection:
    message = error.message.removeprefix(f"{error.field}: ")
    return Rejection(index, _ENTRY.sub("", error.field, count=1), message, error.reason)


def read_item(message: item_pb2.Item) -> Item:
    """An item of a response."""
    return Item(
        item_id=message.item_id,
        title=message.title,
        category_path=tuple(message.category_path),
        brand=message.brand,
        attributes=dict(message.attributes),
        price=message.price if message.HasField("price") else None,
    )


def read_ranking(
    message: recommendation_service_pb2.RecommendResponse | recommendation_service_pb2.RankResponse,
) -> Ranking:
    """A ranking of a response."""
    return Ranking(
        tuple(map(_ranked, message.items)),
        message.release,
        message.event_count,
        message.degraded,
    )


def _ranked(message: item_pb2.RankedItem) -> RankedItem:
    return RankedItem(read_item(message.item), message.score, message.click_probability, message.purchase_probability)


def read_ranking_explanation(message: explanation_service_pb2.ExplainRecommendationResponse) -> RankingExplanation:
    """Why an item has its score."""
    return RankingExplanation(
        _ranked(message.ranked_item),
        _effects(message.events),
        tuple(WordEffect(each.word, each.effect) for each in message.words),
        message.release,
        message.event_count,
        _item_effects(message.items),
    )


def read_profile_explanation(message: explanation_service_pb2.ExplainProfileResponse) -> ProfileExplanation:
    """What a profile rests on."""
    return ProfileExplanation(
        _effects(message.events),
        message.weight,
        message.release,
        message.event_count,
        message.probability if message.HasField("probability") else None,
        _item_effects(message.items),
    )


def _effects(messages: Iterable[explanation_service_pb2.EventEffect]) -> tuple[EventEffect, ...]:
    return tuple(
        EventEffect(
            each.event_id,
            each.effect,
            _KINDS.get(each.type),
            each.time.ToDatetime(tzinfo=UTC) if each.HasField("time") else None,
            each.subject,
        )
        for each in messages
    )


def _item_effects(messages: Iterable[explanation_service_pb2.ItemEffect]) -> tuple[ItemEffect, ...]:
    return tuple(ItemEffect(each.subject, tuple(each.event_ids), each.effect) for each in messages)


def read_embeddings(message: text_service_pb2.EncodeTextsResponse) -> Embeddings:
    """Texts as vectors."""
    numbers, width = _numbers(message), message.dimension
    if not width or len(numbers) % width:
        raise ValueError(_UNREADABLE)
    rows = tuple(numbers[begin : begin + width] for begin in range(0, len(numbers), width))
    return Embeddings(rows, message.release)


def read_vector(message: profile_pb2.Vector) -> "array[float]":
    """Read a vector's numbers."""
    return _numbers(message)


def _numbers(message: Message) -> "array[float]":
    """Read the numbers of a message whose field 1 is `repeated float`.

    On the wire that field is the bytes of an array, as a field `bytes` is: no number becomes an object of Python.
    """
    numbers = array("f", BytesValue.FromString(message.SerializeToString()).value)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
