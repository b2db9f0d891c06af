"""Conversion between the client's values and the contract's messages: builds requests, reads responses."""

import re
import sys
from array import array
from collections.abc import Iterable, Sequence
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
    EventPage,
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

_TYPE_NAMES = {kind: f"EVENT_TYPE_{kind.name}" for kind in EventType}
EVENT_TYPE_NUMBERS: dict[EventType, int] = {kind: event_pb2.EventType.Value(name) for kind, name in _TYPE_NAMES.items()}
_TYPE_BY_NUMBER = {number: kind for kind, number in EVENT_TYPE_NUMBERS.items()}
_PURPOSE_NAMES = {purpose: f"PURPOSE_{purpose.name}" for purpose in Purpose}
_PURPOSE_BY_NUMBER: dict[int, Purpose] = {
    consent_service_pb2.Purpose.Value(name): purpose for purpose, name in _PURPOSE_NAMES.items()
}
_IS_GRANTED: dict[int, bool] = {
    consent_service_pb2.CONSENT_DECISION_GRANTED: True,
    consent_service_pb2.CONSENT_DECISION_WITHDRAWN: False,
}
_NUMBERS = ("price", "quantity", "rating", "dwell_seconds", "position")
_UNREADABLE = "the server sent vectors that this version of the client can't read; update the client"
_ENTRY = re.compile(r"(events|items)\[\d+\]\.(event\.)?")
"""Prefix of a rejected field's path: the index in one call. Callers know the index over all calls instead."""


def build_timestamp(time: datetime | None) -> Timestamp | None:
    """Build a timestamp; a time without a time zone is taken as UTC."""
    if time is None:
        return None
    message = Timestamp()
    message.FromDatetime(time if time.tzinfo else time.replace(tzinfo=UTC))
    return message


def build_event(value: Event) -> event_pb2.Event:
    """Build the message of an event."""
    message = event_pb2.Event(
        event_id=value.event_id,
        type=_TYPE_NAMES[EventType(value.type)],
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
    """Build the reference to a shopper from an id or a history."""
    if isinstance(value, str):
        return shopper_pb2.ShopperRef(shopper_id=value)
    return shopper_pb2.ShopperRef(history=shopper_pb2.History(events=[build_event(each) for each in value]))


def build_item(value: Item) -> item_pb2.Item:
    """Build the message of an item."""
    return item_pb2.Item(
        item_id=value.item_id,
        title=value.title,
        category_path=value.category_path,
        brand=value.brand,
        attributes=value.attributes,
        price=value.price,
    )


def build_filter(value: Filter) -> item_pb2.ItemFilter:
    """Build the message of a filter."""
    return item_pb2.ItemFilter(
        categories=[item_pb2.CategoryPath(names=path) for path in value.categories],
        brands=value.brands,
        min_price=value.min_price,
        max_price=value.max_price,
        exclude_item_ids=value.exclude_item_ids,
    )


def build_shopper_event(shopper_id: str, event: Event) -> event_service_pb2.ShopperEvent:
    """Build the message of an event and its shopper."""
    return event_service_pb2.ShopperEvent(shopper_id=shopper_id, event=build_event(event))


def build_record_request(events: Iterable[tuple[str, Event]]) -> event_service_pb2.RecordEventsRequest:
    """Build the request that records events of shoppers."""
    return event_service_pb2.RecordEventsRequest(events=[build_shopper_event(who, what) for who, what in events])


def build_consents_request(shopper_id: str, consents: Iterable[Consent]) -> consent_service_pb2.SetConsentsRequest:
    """Build the request that records consent decisions."""
    decisions = [
        consent_service_pb2.Consent(
            purpose=_PURPOSE_NAMES[Purpose(each.purpose)],
            decision="CONSENT_DECISION_GRANTED" if each.granted else "CONSENT_DECISION_WITHDRAWN",
            time=build_timestamp(each.time),
            notice=each.notice,
            source=each.source,
        )
        for each in consents
    ]
    return consent_service_pb2.SetConsentsRequest(shopper_id=shopper_id, consents=decisions)


def read_permissions(
    message: consent_service_pb2.SetConsentsResponse | consent_service_pb2.GetConsentsResponse,
) -> dict[Purpose, Permission]:
    """Read a shopper's permissions; purposes of a later contract are ignored."""
    return {
        _PURPOSE_BY_NUMBER[each.purpose]: Permission(each.allowed, _IS_GRANTED.get(each.decision))
        for each in message.permissions
        if each.purpose in _PURPOSE_BY_NUMBER
    }


def read_consents(message: consent_service_pb2.GetConsentsResponse) -> Consents:
    """Read a shopper's permissions and recorded decisions."""
    return Consents(read_permissions(message), read_consent_records(message.records))


def read_consent_records(messages: Iterable[consent_service_pb2.ConsentRecord]) -> tuple[ConsentRecord, ...]:
    """Read recorded decisions; purposes of a later contract are ignored."""
    return tuple(
        ConsentRecord(
            Consent(
                _PURPOSE_BY_NUMBER[consent.purpose],
                _IS_GRANTED[consent.decision],
                consent.time.ToDatetime(tzinfo=UTC),
                consent.notice,
                consent.source,
            ),
            each.recorded_at.ToDatetime(tzinfo=UTC),
        )
        for each in messages
        if (consent := each.consent).purpose in _PURPOSE_BY_NUMBER
    )


def read_event(message: event_pb2.Event) -> Event | None:
    """Read a recorded event; None if its type is one of a later contract."""
    if message.type not in _TYPE_BY_NUMBER:
        return None
    numbers = {name: getattr(message, name) for name in _NUMBERS if message.HasField(name)}
    return Event(
        type=_TYPE_BY_NUMBER[message.type],
        event_id=message.event_id,
        time=message.time.ToDatetime(tzinfo=UTC),
        item_id=message.item_id,
        catalogue=message.catalogue,
        query=message.query,
        **numbers,
    )


def build_list_request(
    shopper_id: str,
    types: Sequence[EventType],
    since: datetime | None,
    before: datetime | None,
    page_size: int,
    page_token: str,
) -> event_service_pb2.ListEventsRequest:
    """Build the request for a page of a shopper's events."""
    return event_service_pb2.ListEventsRequest(
        shopper_id=shopper_id,
        types=[_TYPE_NAMES[kind] for kind in types],
        since=build_timestamp(since),
        before=build_timestamp(before),
        page_size=page_size,
        page_token=page_token,
    )


def read_event_page(response: event_service_pb2.ListEventsResponse) -> EventPage:
    """Read a page of a shopper's events; those of a type of a later contract are left out."""
    events = ((each.shopper_id, read_event(each.event)) for each in response.events)
    return EventPage(tuple((name, event) for name, event in events if event is not None), response.next_page_token)


def read_forget_summary(message: consent_service_pb2.ForgetShopperResponse) -> ForgetSummary:
    """Read the result of forgetting a shopper."""
    return ForgetSummary(message.event_count, message.forgotten_at.ToDatetime(tzinfo=UTC))


def read_record_summary(response: event_service_pb2.RecordEventsResponse, first: int) -> RecordSummary:
    """Read the result of recording events; `first` is the index of the response's first event over all calls."""
    return RecordSummary(
        response.accepted,
        response.duplicates,
        tuple(
            _read_rejection(first + place, result.error)
            for place, result in enumerate(response.results)
            if result.status == event_service_pb2.RECORD_STATUS_REJECTED
        ),
    )


def read_upsert_summary(response: catalogue_service_pb2.UpsertItemsResponse) -> UpsertSummary:
    """Read the result of upserting items."""
    return UpsertSummary(response.stored, tuple(_read_rejection(each.index, each.error) for each in response.errors))


def _read_rejection(index: int, error: entry_error_pb2.EntryError) -> Rejection:
    message = error.message.removeprefix(f"{error.field}: ")
    return Rejection(index, _ENTRY.sub("", error.field, count=1), message, error.reason)


def read_item(message: item_pb2.Item) -> Item:
    """Read an item of a response."""
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
    """Read a ranking of a response."""
    return Ranking(
        tuple(map(_read_ranked_item, message.items)),
        message.release,
        message.event_count,
        message.degraded,
        tuple(message.reviewed_by),
    )


def _read_ranked_item(message: item_pb2.RankedItem) -> RankedItem:
    return RankedItem(
        read_item(message.item),
        message.score,
        message.click_probability,
        message.purchase_probability,
        tuple(message.rules),
        message.reviewed_by,
    )


def read_ranking_explanation(message: explanation_service_pb2.ExplainRecommendationResponse) -> RankingExplanation:
    """Read the explanation of an item's score."""
    return RankingExplanation(
        _read_ranked_item(message.ranked_item),
        _read_event_effects(message.events),
        tuple(WordEffect(each.word, each.effect) for each in message.words),
        message.release,
        message.event_count,
        _read_item_effects(message.items),
    )


def read_profile_explanation(message: explanation_service_pb2.ExplainProfileResponse) -> ProfileExplanation:
    """Read the explanation of a profile."""
    return ProfileExplanation(
        _read_event_effects(message.events),
        message.weight,
        message.release,
        message.event_count,
        message.probability if message.HasField("probability") else None,
        _read_item_effects(message.items),
        message.reviewed_by,
    )


def _read_event_effects(messages: Iterable[explanation_service_pb2.EventEffect]) -> tuple[EventEffect, ...]:
    return tuple(
        EventEffect(
            each.event_id,
            each.effect,
            _TYPE_BY_NUMBER.get(each.type),
            each.time.ToDatetime(tzinfo=UTC) if each.HasField("time") else None,
            each.subject,
        )
        for each in messages
    )


def _read_item_effects(messages: Iterable[explanation_service_pb2.ItemEffect]) -> tuple[ItemEffect, ...]:
    return tuple(ItemEffect(each.subject, tuple(each.event_ids), each.effect) for each in messages)


def read_embeddings(
    message: text_service_pb2.EncodeTextsResponse | text_service_pb2.EncodeTextStreamResponse,
) -> Embeddings:
    """Read embeddings of texts."""
    numbers, width = _read_floats(message), message.dimension
    if not width or len(numbers) % width:
        raise ValueError(_UNREADABLE)
    rows = tuple(numbers[begin : begin + width] for begin in range(0, len(numbers), width))
    return Embeddings(rows, message.release)


def read_vector(message: profile_pb2.Vector) -> "array[float]":
    """Read the components of a vector."""
    return _read_floats(message)


def _read_floats(message: Message) -> "array[float]":
    """Read the numbers of a message whose field 1 is `repeated float`.

    On the wire, a packed float field looks like `bytes`. Reading it as bytes avoids one Python object per number.
    """
    numbers = array("f", BytesValue.FromString(message.SerializeToString()).value)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
