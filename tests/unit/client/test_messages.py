"""Values of the client to messages of the contract and back."""

import math
from array import array
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import portrait.client
from portrait.client import (
    Embeddings,
    Event,
    EventType,
    Filter,
    Item,
    Profile,
    ProfileError,
    ShelfKind,
    messages,
    profiles,
)
from portrait.v1 import (
    catalogue_service_pb2,
    customer_value_pb2,
    demographics_pb2,
    event_pb2,
    event_service_pb2,
    item_pb2,
    profile_pb2,
    profile_service_pb2,
    shelf_pb2,
    text_service_pb2,
    trait_pb2,
)

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
prices = st.none() | st.floats(allow_nan=False)
times = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))
items = st.builds(
    Item, words, words, st.lists(words).map(tuple), words, st.dictionaries(words, words, max_size=3), prices
)
events = st.builds(
    Event,
    type=st.sampled_from(EventType),
    event_id=words,
    time=st.none() | times,
    item_id=words,
    query=words,
    price=prices,
    rating=prices,
    position=st.none() | st.integers(-(2**31), 2**31 - 1),
)


@given(items)
def test_an_item_comes_back_as_it_was(item: Item) -> None:
    assert messages.read_item(messages.build_item(item)) == item


@given(events)
def test_an_event_keeps_every_field_and_what_is_not_set(event: Event) -> None:
    message = event_pb2.Event.FromString(messages.build_event(event).SerializeToString())
    assert event_pb2.EventType.Name(message.type) == f"EVENT_TYPE_{event.type.name}"
    for name in ("event_id", "item_id", "query"):
        assert getattr(message, name) == getattr(event, name)
    for name in ("price", "quantity", "rating", "dwell_seconds", "position"):
        assert (getattr(message, name) if message.HasField(name) else None) == getattr(event, name)
    assert (message.time.ToDatetime(tzinfo=UTC) if message.HasField("time") else None) == event.time


def test_every_field_of_the_contract_has_one_in_the_client() -> None:
    def names(descriptor: Any) -> set[str]:
        return {field.name for field in descriptor.fields}

    assert names(event_pb2.Event.DESCRIPTOR) == set(Event.__slots__)
    assert names(item_pb2.Item.DESCRIPTOR) == set(Item.__slots__)
    assert names(profile_pb2.Profile.DESCRIPTOR) == set(Profile.__slots__)
    for file in (profile_pb2, customer_value_pb2, demographics_pb2, trait_pb2, shelf_pb2):
        for part in file.DESCRIPTOR.message_types_by_name.values():
            if part.name != "Vector":  # an array in the client
                assert names(part) == set(getattr(portrait.client, part.name).__slots__)
    assert names(messages.build_filter(Filter()).DESCRIPTOR) == set(Filter.__slots__)
    assert {f"EVENT_TYPE_{kind.name}" for kind in EventType} == set(event_pb2.EventType.keys()[1:])
    assert {f"SHELF_KIND_{kind.name}" for kind in ShelfKind} == set(shelf_pb2.ShelfKind.keys()[1:])


def test_times_are_utc_whatever_their_zone() -> None:
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    for same in (noon, noon.astimezone(timezone(timedelta(hours=8))), noon.replace(tzinfo=None)):
        message = messages.build_timestamp(same)
        assert message is not None
        assert message.ToDatetime(tzinfo=UTC) == noon


def test_a_shopper_is_an_id_or_a_history() -> None:
    assert messages.build_shopper("a").shopper_id == "a"
    assert [each.query for each in messages.build_shopper([Event(EventType.SEARCH, query="灯")]).history.events] == [
        "灯"
    ]
    assert messages.build_shopper([]).WhichOneof("shopper") == "history"


def test_a_profile_is_read_whole() -> None:
    message = profile_pb2.Profile(shopper_id="a", event_count=2, release=3)
    message.embedding.values.extend([0.6, 0.8])
    message.as_of.FromDatetime(datetime(2026, 1, 1, tzinfo=UTC))
    message.interests.add(category_path=["Home", "Lamps"], weight=0.5, confidence=0.25, evidence_event_ids=["1"])
    message.session.stage = profile_pb2.SESSION_STAGE_COMPARING
    message.session.categories.add(category_path=["Home"], share=0.75)
    message.customer_value.monetary = 7.0
    message.customer_value.tier = 99  # of a later contract
    message.absent.add(field="activity_pattern", reason=profile_pb2.ABSENCE_REASON_NO_CONSENT, explanation="none")
    profile = profiles.read_profile(message)
    assert profile.embedding is not None
    assert math.hypot(*profile.embedding) == pytest.approx(1.0)
    assert profile.interests[0].category_path == ("Home", "Lamps")
    assert profile.as_of == datetime(2026, 1, 1, tzinfo=UTC)
    assert profile.first_event_time is None
    assert (profile.interests[0].next_event_probability, profile.activity_pattern, profile.brands) == (None, None, ())
    assert profile.session is not None
    assert (profile.session.stage, profile.session.categories[0].share) == ("comparing", 0.75)
    assert profile.customer_value is not None
    assert (profile.customer_value.monetary, profile.customer_value.monetary_score, profile.customer_value.tier) == (
        7.0,
        None,
        "99",
    )
    assert profile.absent[0].reason == "no_consent"


def test_a_batch_of_profiles_keeps_its_order() -> None:
    message = profile_service_pb2.BatchGetProfilesResponse()
    message.results.add().error.code = 5
    message.results.add().profile.shopper_id = "b"
    unknown, known = profiles.read_profiles(message)
    assert isinstance(unknown, ProfileError)
    assert isinstance(known, Profile)


def test_a_rejection_names_the_place_among_all_and_the_field_within() -> None:
    recorded = event_service_pb2.RecordEventsResponse(accepted=1, rejected=1)
    recorded.results.add(status=event_service_pb2.RECORD_STATUS_ACCEPTED)
    refused = recorded.results.add(status=event_service_pb2.RECORD_STATUS_REJECTED)
    refused.error.field, refused.error.message = "events[1].event.price", "events[1].event.price: sent -1"
    [rejection] = messages.read_record_summary(recorded, first=1000).rejected
    assert (rejection.index, rejection.field, rejection.message) == (1001, "price", "sent -1")

    upserted = catalogue_service_pb2.UpsertItemsResponse(stored=0)
    upserted.errors.add(index=4).error.field = "items[4].category_path[0]"
    [rejection] = messages.read_upsert_summary(upserted).rejected
    assert (rejection.index, rejection.field) == (4, "category_path[0]")


def test_embeddings_come_as_one_vector_for_each_text() -> None:
    message = text_service_pb2.EncodeTextsResponse(values=[1.0, 0.0, 0.0, 1.0], dimension=2, release=7)
    assert messages.read_embeddings(message) == Embeddings((array("f", [1.0, 0.0]), array("f", [0.0, 1.0])), 7)


@pytest.mark.parametrize("dimension", [0, 3])
def test_embeddings_of_another_kind_are_refused(dimension: int) -> None:
    with pytest.raises(ValueError, match="update the client"):
        messages.read_embeddings(text_service_pb2.EncodeTextsResponse(values=[0.0] * 4, dimension=dimension))
