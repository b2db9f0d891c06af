"""The recipe of a profile field: every field has all its parts, and the parts that a field lacks are named."""

import dataclasses
from datetime import datetime
from functools import cache

import pytest
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from support.example_shop import NOW, find_item, make_release, past_event
from support.profile_field_parts import find_missing_parts

import portrait.client
from portrait.client.message_reader import read_message
from portrait.features.events import EventType
from portrait.features.generators import run_to_completion
from portrait.features.profiles.evidence import Evidence
from portrait.server.profiles import profile as profiles
from portrait.server.release.release import Release
from portrait.server.rpc.services.profile_messages import profile_to_message
from portrait.v1 import profile_pb2

OPTIONAL, REPEATED = FieldDescriptorProto.LABEL_OPTIONAL, FieldDescriptorProto.LABEL_REPEATED


@dataclasses.dataclass(frozen=True)
class TimeAsCustomer:
    """Time since a shopper became a customer: a field that this test adds by the recipe."""

    days: float
    first_event_ids: tuple[str, ...]
    expires_at: datetime | None


def compute_time_as_customer(evidence: Evidence, _: Release) -> TimeAsCustomer:
    first = evidence.events[0].event
    assert first.time is not None
    return TimeAsCustomer((evidence.as_of - first.time).days, (first.event_id,), evidence.as_of)


def test_every_field_of_the_contract_has_all_its_parts() -> None:
    assert find_missing_parts(profile_pb2.Profile.DESCRIPTOR) == []


def test_a_field_that_is_only_in_the_contract_is_named_with_every_part_that_it_lacks() -> None:
    assert find_missing_parts(add_field_to_contract()) == [
        "time_as_customer: no attribute of Profile in server/portrait/server/profiles/profile.py",
        "time_as_customer: no function in FIELD_FUNCTIONS in server/portrait/server/profiles/profile.py",
        "time_as_customer: no attribute of Profile in clients/portrait/client/profiles.py",
        "time_as_customer: portrait.client exports no TimeAsCustomer",
        "time_as_customer: no row in docs/profile.md",
        "time_as_customer: no test in tests/unit/server",
    ]


def test_a_field_that_follows_the_recipe_is_computed_sent_and_read(monkeypatch: pytest.MonkeyPatch) -> None:
    attribute = ("time_as_customer", TimeAsCustomer | None, None)
    extended = dataclasses.make_dataclass("Profile", [attribute], bases=(profiles.Profile,), frozen=True)
    monkeypatch.setattr(profiles, "Profile", extended)
    monkeypatch.setitem(profiles.FIELD_FUNCTIONS, "time_as_customer", compute_time_as_customer)
    monkeypatch.setattr(portrait.client, "TimeAsCustomer", TimeAsCustomer, raising=False)
    history, fields = [past_event("e1", EventType.VIEW, "desk", 3)], frozenset({"time_as_customer"})

    work = profiles.build_profile(history, NOW, find_item, make_release(), fields, profiles.ModelOutputs())
    message = profile_to_message(run_to_completion(work), "", fields, add_field_to_contract())

    assert read_message(message.time_as_customer) == TimeAsCustomer(3.0, ("e1",), NOW)  # type: ignore[attr-defined]


@cache
def add_field_to_contract() -> Descriptor:
    """Return the descriptor of a copy of Profile, in another package, with one more field."""
    contract = FileDescriptorProto()
    profile_pb2.DESCRIPTOR.CopyToProto(contract)
    file = FileDescriptorProto(name="recipe/profile.proto", package="recipe", syntax="proto3")
    file.dependency.extend([*contract.dependency, contract.name])
    kind = file.message_type.add(name="TimeAsCustomer")
    kind.field.add(name="days", number=1, type=FieldDescriptorProto.TYPE_DOUBLE, label=OPTIONAL)
    kind.field.add(name="first_event_ids", number=2, type=FieldDescriptorProto.TYPE_STRING, label=REPEATED)
    add_message_field(kind, "expires_at", 3, ".google.protobuf.Timestamp")
    file.message_type.add().CopyFrom(next(each for each in contract.message_type if each.name == "Profile"))
    add_message_field(file.message_type[1], "time_as_customer", 1000, ".recipe.TimeAsCustomer")
    default_pool = descriptor_pool.Default()
    default_pool.AddSerializedFile(file.SerializeToString())
    return default_pool.FindMessageTypeByName("recipe.Profile")


def add_message_field(message: DescriptorProto, name: str, number: int, type_name: str) -> None:
    kind = FieldDescriptorProto.TYPE_MESSAGE
    message.field.add(name=name, number=number, type=kind, label=OPTIONAL, type_name=type_name)
