"""Every field of every request, inside and outside of its limit; and whatever else can be sent."""

import math
import time
from functools import cache
from typing import Any
from uuid import UUID

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from portrait.server.rpc.contract.bounds import (
    FieldMaskPaths,
    FloatRange,
    IntRange,
    Limit,
    ListSize,
    MapSize,
    TextLength,
    TimeRange,
    WrittenId,
)
from portrait.server.rpc.contract.limits import LIMITS, REQUIRED
from portrait.server.rpc.contract.validation import find_violations
from portrait.server.rpc.services.registry import METHODS
from portrait.server.storage.histories import MAX_HISTORY_EVENTS
from portrait.v1 import (
    audience_service_pb2,
    catalogue_service_pb2,
    consent_service_pb2,
    event_pb2,
    event_service_pb2,
    explanation_service_pb2,
    identity_service_pb2,
    item_pb2,
    profile_service_pb2,
    recommendation_service_pb2,
    review_pb2,
    review_service_pb2,
    shelf_pb2,
    shopper_pb2,
    text_service_pb2,
)

REQUESTS: list[type[Message]] = [
    *(GetMessageClass(method.input_type) for method in METHODS),
    event_service_pb2.ShopperEvent,
    item_pb2.Item,
    shopper_pb2.ShopperRef,
]
"""Every request, and every entry that its service holds against the table by itself."""

SECRET = "秘密 lamp for ann@example.org"


def now() -> Timestamp:
    return Timestamp(seconds=int(time.time()))


def viewed(**fields: Any) -> event_pb2.Event:
    return event_pb2.Event(
        **{"event_id": "e1", "type": event_pb2.EVENT_TYPE_VIEW, "item_id": "lamp", "time": now()} | fields
    )


ANN = shopper_pb2.ShopperRef(shopper_id="ann")
LAMP = item_pb2.Item(item_id="lamp", title="Lamp")
LOYAL = audience_service_pb2.Criterion(customer_value={"segments": [1]})
EVERYBODY = audience_service_pb2.Audience(criteria=[LOYAL])
ADS = consent_service_pb2.Consent(
    purpose=consent_service_pb2.PURPOSE_ADVERTISING, decision=consent_service_pb2.CONSENT_DECISION_GRANTED
)
TARGET = review_pb2.ReviewTarget(all_shoppers=review_pb2.AllShoppers(), trait="buyer")
REVIEW = review_pb2.Review(target=TARGET, action="REVIEW_ACTION_BLOCK", reviewed_by="ana")
MINIMAL: dict[str, Message] = {
    "ActivityCriterion": audience_service_pb2.ActivityCriterion(),
    "Audience": EVERYBODY,
    "Criterion": LOYAL,
    "EstimateAudienceRequest": audience_service_pb2.EstimateAudienceRequest(audience=EVERYBODY),
    "FindAudienceRequest": audience_service_pb2.FindAudienceRequest(audience=EVERYBODY),
    "InterestCriterion": audience_service_pb2.InterestCriterion(),
    "LookAlike": audience_service_pb2.LookAlike(shoppers={"shopper_ids": ["ann"]}, top=1),
    "RegionCriterion": audience_service_pb2.RegionCriterion(regions=["US-CA"]),
    "SeedCriteria": audience_service_pb2.SeedCriteria(criteria=[LOYAL]),
    "SeedShoppers": audience_service_pb2.SeedShoppers(shopper_ids=["ann"]),
    "TraitCriterion": audience_service_pb2.TraitCriterion(name="buys"),
    "CustomerValueCriterion": audience_service_pb2.CustomerValueCriterion(),
    "BatchGetProfilesRequest": profile_service_pb2.BatchGetProfilesRequest(shoppers=[ANN]),
    "CategoryPath": item_pb2.CategoryPath(names=["Home"]),
    "Consent": ADS,
    "SetDemographicsRequest": consent_service_pb2.SetDemographicsRequest(shopper_id="ann"),
    "DeleteItemsRequest": catalogue_service_pb2.DeleteItemsRequest(item_ids=["lamp"]),
    "EncodeTextsRequest": text_service_pb2.EncodeTextsRequest(texts=["lamp"]),
    "Event": viewed(),
    "ExplainProfileRequest": explanation_service_pb2.ExplainProfileRequest(shopper=ANN),
    "ExplainRecommendationRequest": explanation_service_pb2.ExplainRecommendationRequest(shopper=ANN, item_id="lamp"),
    "ForgetShopperRequest": consent_service_pb2.ForgetShopperRequest(shopper_id="ann"),
    "GetConsentsRequest": consent_service_pb2.GetConsentsRequest(shopper_id="ann"),
    "GetItemRequest": catalogue_service_pb2.GetItemRequest(item_id="lamp"),
    "GetProfileRequest": profile_service_pb2.GetProfileRequest(shopper=ANN),
    "GetShelfRequest": recommendation_service_pb2.GetShelfRequest(
        shopper=ANN, kind=shelf_pb2.SHELF_KIND_SIMILAR_ITEMS, item_ids=["lamp"]
    ),
    "History": shopper_pb2.History(),
    "ListReviewQueueRequest": review_service_pb2.ListReviewQueueRequest(),
    "ListEventsRequest": event_service_pb2.ListEventsRequest(shopper_id="ann"),
    "LinkShoppersRequest": identity_service_pb2.LinkShoppersRequest(
        shopper_id="ann", anonymous_id="web", source="login", confidence=1.0
    ),
    "LabelExamples": profile_service_pb2.LabelExamples(label="gardeners", shoppers=[ANN]),
    "Item": LAMP,
    "ItemFilter": item_pb2.ItemFilter(),
    "RankCandidate": recommendation_service_pb2.RankCandidate(item=LAMP),
    "RankRequest": recommendation_service_pb2.RankRequest(shopper=ANN, candidates=[{"item": LAMP}]),
    "RecommendRequest": recommendation_service_pb2.RecommendRequest(shopper=ANN),
    "RecordEventsRequest": event_service_pb2.RecordEventsRequest(events=[{"shopper_id": "ann", "event": viewed()}]),
    "SetConsentsRequest": consent_service_pb2.SetConsentsRequest(shopper_id="ann", consents=[ADS]),
    "ShopperEvent": event_service_pb2.ShopperEvent(shopper_id="ann", event=viewed()),
    "ShopperRef": ANN,
    "RemoveReviewRequest": review_service_pb2.RemoveReviewRequest(target=TARGET),
    "Review": REVIEW,
    "ReviewSegment": review_pb2.ReviewSegment(),
    "ReviewTarget": TARGET,
    "ReviewedItem": review_pb2.ReviewedItem(item_id="lamp"),
    "SetReviewRequest": review_service_pb2.SetReviewRequest(review=REVIEW),
    "JoinHouseholdRequest": identity_service_pb2.JoinHouseholdRequest(
        household_id="home", shopper_id="ann", source="account", confidence=0.9
    ),
    "LeaveHouseholdRequest": identity_service_pb2.LeaveHouseholdRequest(household_id="home", shopper_id="ann"),
    "GetHouseholdRequest": identity_service_pb2.GetHouseholdRequest(household_id="home"),
    "UnlinkShoppersRequest": identity_service_pb2.UnlinkShoppersRequest(shopper_id="ann", anonymous_id="web"),
    "UpsertItemsRequest": catalogue_service_pb2.UpsertItemsRequest(items=[LAMP]),
}


for request in REQUESTS:
    # A request whose fields may all be unset needs no entry above.
    MINIMAL.setdefault(request.DESCRIPTOR.name, request())


def minimal(name: str) -> Message:
    message = type(MINIMAL[name])()
    message.CopyFrom(MINIMAL[name])
    return message


def put(message: Message, name: str, value: Any) -> Message:
    """Set a field of any kind."""
    field = message.DESCRIPTOR.fields_by_name[name]
    message.ClearField(name)
    if isinstance(value, dict):
        getattr(message, name).update(value)
    elif field.is_repeated:
        getattr(message, name).extend(value)
    elif isinstance(value, Message):
        getattr(message, name).CopyFrom(value)
    else:
        setattr(message, name, value)
    return message


def entries(limit: ListSize, field: FieldDescriptor, count: int) -> list[Any]:
    if field.enum_type is not None:
        entry: Any = 1
    else:
        entry = "x" * limit.each.minimum if limit.each else minimal(field.message_type.name)
    return [entry] * count


def inside(limit: Limit, field: FieldDescriptor) -> list[Any]:
    match limit:
        case TextLength():
            return ["x" * max(limit.minimum, 1), "x" * limit.maximum, *(["灯🛋"] if limit.pattern is None else [])]
        case ListSize():
            return [entries(limit, field, count) for count in (max(limit.minimum, 1), limit.maximum)]
        case MapSize():
            return [{f"{n}": "红" * limit.each.maximum for n in range(limit.maximum)}]
        case FieldMaskPaths():
            return [FieldMask(paths=["interests"]), FieldMask(paths=["embedding"] * limit.maximum)]
        case IntRange():
            return [limit.minimum, limit.maximum]
        case FloatRange():
            return [math.nextafter(limit.minimum, math.inf) if limit.excludes_minimum else limit.minimum, limit.maximum]
        case TimeRange():
            return [Timestamp(seconds=631_152_000), Timestamp(seconds=int(time.time()) + 86_300)]
    raise AssertionError(limit)


def outside(limit: Limit, field: FieldDescriptor) -> list[Any]:
    match limit:
        case WrittenId():
            return [
                "x" * (limit.maximum + 1),
                "undefined",
                " NaN",
                "[object Object]",
                f"{UUID(int=0)}",
                "1.23E+11",
                "\t",
            ]
        case TextLength():
            return ["x" * (limit.maximum + 1), *(["a b", "灯"] if limit.pattern else [])]
        case ListSize(each=TextLength() as each):
            too_long = ["x" * (each.maximum + 1)]
            return [entries(limit, field, limit.maximum + 1), too_long, [""], *([[]] if limit.minimum else [])]
        case ListSize():
            return [entries(limit, field, limit.maximum + 1), *([[]] if limit.minimum else [])]
        case MapSize():
            too_long = "x" * (limit.each.maximum + 1)
            return [{str(n): "x" for n in range(limit.maximum + 1)}, {"x": too_long}, {too_long: "x"}, {"x": ""}]
        case FieldMaskPaths():
            return [FieldMask(paths=[SECRET]), FieldMask(paths=["interests"] * (limit.maximum + 1))]
        case IntRange():
            return [limit.minimum - 1, limit.maximum + 1]
        case FloatRange():
            below = limit.minimum if limit.excludes_minimum else math.nextafter(limit.minimum, -math.inf)
            return [below, math.nextafter(limit.maximum, math.inf), math.nan, math.inf, -math.inf]
        case TimeRange():
            too_late = Timestamp(seconds=int(time.time()) + 86_500)
            return [Timestamp(seconds=631_151_999), too_late, Timestamp(seconds=10**12), Timestamp(nanos=-1)]
    raise AssertionError(limit)


@pytest.mark.parametrize("name", LIMITS)
def test_a_value_at_its_limit_passes(name: str) -> None:
    message_name, field_name = name.split(".")
    field = MINIMAL[message_name].DESCRIPTOR.fields_by_name[field_name]
    for value in inside(LIMITS[name], field):
        assert list(find_violations(put(minimal(message_name), field_name, value))) == []


@pytest.mark.parametrize("name", LIMITS)
def test_a_value_beyond_its_limit_names_the_field_and_the_limit(name: str) -> None:
    message_name, field_name = name.split(".")
    field = MINIMAL[message_name].DESCRIPTOR.fields_by_name[field_name]
    for value in outside(LIMITS[name], field):
        found = list(find_violations(put(minimal(message_name), field_name, value), "here[3]"))
        assert found, value
        for violation in found:
            assert violation.field.startswith(f"here[3].{field_name}")
            assert str(LIMITS[name]) in violation.description
            assert SECRET not in violation.description


@pytest.mark.parametrize("name", [name for name, need in REQUIRED.items() if need.sentence == "Required"])
def test_a_missing_field_is_named(name: str) -> None:
    message_name, field_name = name.split(".")
    message = minimal(message_name)
    is_oneof = field_name in message.DESCRIPTOR.oneofs_by_name
    message.ClearField(message.WhichOneof(field_name) if is_oneof else field_name)
    found = [violation.field for violation in find_violations(message, "here")]
    assert ("here" if is_oneof else f"here.{field_name}") in found


def fields_at_fault(message: Message) -> list[str]:
    return [violation.field for violation in find_violations(message)]


def test_what_an_event_needs_depends_on_where_it_stands_and_on_its_type() -> None:
    bare = event_pb2.Event(type=event_pb2.EVENT_TYPE_VIEW, item_id="lamp")
    assert fields_at_fault(shopper_pb2.ShopperRef(history=shopper_pb2.History(events=[bare]))) == []
    assert fields_at_fault(event_service_pb2.ShopperEvent(shopper_id="ann", event=bare)) == [
        "event.event_id",
        "event.time",
    ]
    search = event_pb2.Event(type=event_pb2.EVENT_TYPE_SEARCH)
    assert fields_at_fault(search) == ["query"]
    assert fields_at_fault(event_pb2.Event(type=event_pb2.EVENT_TYPE_RATE)) == ["item_id"]
    assert fields_at_fault(event_pb2.Event(item_id="lamp", type=99)) == ["type"]


def test_only_a_candidate_to_rank_needs_no_title() -> None:
    item = item_pb2.Item(item_id="lamp")
    assert fields_at_fault(item) == ["title"]
    assert fields_at_fault(recommendation_service_pb2.RankCandidate(item=item)) == []


def test_a_shopper_ref_that_refers_to_nobody_is_named() -> None:
    assert fields_at_fault(profile_service_pb2.GetProfileRequest()) == ["shopper"]
    assert fields_at_fault(profile_service_pb2.GetProfileRequest(shopper=shopper_pb2.ShopperRef())) == ["shopper"]
    assert fields_at_fault(profile_service_pb2.GetProfileRequest(shopper=shopper_pb2.ShopperRef(shopper_id=""))) == [
        "shopper.shopper_id"
    ]


def test_paths_lead_to_the_field_at_fault() -> None:
    history = shopper_pb2.History(events=[viewed(), viewed(price=math.nan)])
    request = recommendation_service_pb2.RecommendRequest(shopper=shopper_pb2.ShopperRef(history=history), k=10**6)
    request.filter.categories.add(names=["Home", ""])
    assert fields_at_fault(request) == ["shopper.history.events[1].price", "k", "filter.categories[0].names[1]"]


def test_the_longest_history_passes_and_a_longer_one_is_not_walked() -> None:
    history = shopper_pb2.History(events=[viewed()] * MAX_HISTORY_EVENTS)
    assert fields_at_fault(shopper_pb2.ShopperRef(history=history)) == []
    history.events.add(price=math.nan)
    assert fields_at_fault(shopper_pb2.ShopperRef(history=history)) == ["history.events"]


def type_of(descriptor: Descriptor) -> type[Message]:
    made: type[Message] = descriptor._concrete_class
    return made


SCALARS: dict[int, st.SearchStrategy[Any]] = {
    FieldDescriptor.CPPTYPE_STRING: st.text(max_size=10) | st.just("x" * 2000),
    FieldDescriptor.CPPTYPE_DOUBLE: st.floats(),
    FieldDescriptor.CPPTYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: st.integers(-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_ENUM: st.integers(-1, 10),
    FieldDescriptor.CPPTYPE_BOOL: st.booleans(),
}


def values(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    if field.message_type and field.message_type.GetOptions().map_entry:
        return st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3)
    value = anything(type_of(field.message_type)) if field.message_type else SCALARS[field.cpp_type]
    return st.lists(value, max_size=2) if field.is_repeated else value


@cache
def anything(kind: type[Message]) -> st.SearchStrategy[Message]:
    """Messages of a type with any fields set to anything that the wire can carry."""

    def assembled(fields: dict[str, Any]) -> Message:
        message = kind()
        for name, value in fields.items():
            put(message, name, value)
        return message

    fields = {field.name: values(field) for field in kind.DESCRIPTOR.fields}
    return st.fixed_dictionaries({}, optional=fields).map(assembled)


@given(st.one_of(*map(anything, REQUESTS)))
def test_whatever_is_sent_gets_violations_that_lead_to_fields(message: Message) -> None:
    for violation in find_violations(message):
        value: Any = message
        for step in violation.field.replace("[", ".[").split("."):
            if step.startswith("["):
                value = value[int(step[1:-1])]
            elif step:
                value = getattr(value, step)
        assert violation.description.startswith("sent ")


@given(st.text(min_size=1, max_size=1000), st.floats(0, 1e9), st.integers(1, 100_000))
def test_any_text_is_fine_within_its_length(text: str, price: float, position: int) -> None:
    sent = viewed(query=text, item_id=text[:256], price=price, position=position)
    assert list(find_violations(event_service_pb2.ShopperEvent(shopper_id=f"s{text[:127]}", event=sent))) == []
