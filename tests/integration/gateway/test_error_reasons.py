"""Refusals of a real gateway say why in one word of the closed list, and which field is at fault."""

import json
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from support.gateway import RunningGateway

from benchmarks.common.contract import list_unary_methods, method_path
from portrait.client import Client, FailedPreconditionError, NotFoundError, PortraitError
from portrait.v1 import profile_service_pb2
from portrait.v1.event_service_pb2 import RecordEventsRequest, RecordEventsResponse

METHODS = {method.name: method for method in list_unary_methods()}
NOBODY = {"shopperId": "nobody"}
HISTORY = {"history": {"events": [{"type": "EVENT_TYPE_VIEW", "itemId": "desk-lamp-red"}]}}
AUDIENCE = {"criteria": [{"trait": {"name": "no-such-trait"}}]}


def refusal(address: str, name: str, request: bytes, **options: Any) -> tuple[str, str, list[str]]:
    """The status, reason and fields that a call fails with."""
    with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError) as raised:
        channel.unary_unary(method_path(METHODS[name]))(request, timeout=60.0, **options)
    status = rpc_status.from_call(raised.value)
    assert status is not None
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details:
        _ = detail.Unpack(info) or detail.Unpack(bad)
    assert info.domain == "portrait"
    return raised.value.code().name, info.reason, [each.field for each in bad.field_violations]


def wire(name: str, fields: dict[str, Any]) -> bytes:
    """A request in the contract's JSON, as bytes."""
    kind: type[Message] = GetMessageClass(METHODS[name].input_type)
    return ParseDict(fields, kind()).SerializeToString()


@pytest.mark.parametrize(
    ("name", "fields", "told"),
    [
        ("GetProfile", {"shopper": NOBODY}, ("NOT_FOUND", "SHOPPER_UNKNOWN", ["shopper.shopper_id"])),
        ("ExplainProfile", {"shopper": NOBODY}, ("NOT_FOUND", "SHOPPER_UNKNOWN", ["shopper.shopper_id"])),
        ("ExplainProfile", {"shopper": HISTORY, "trait": "x"}, ("NOT_FOUND", "TRAIT_UNKNOWN", ["trait"])),
        (
            "ExplainProfile",
            {"shopper": HISTORY, "interest": {"names": ["Nothing"]}},
            ("NOT_FOUND", "INTEREST_UNKNOWN", ["interest"]),
        ),
        ("GetItem", {"itemId": "none"}, ("NOT_FOUND", "ITEM_UNKNOWN", ["item_id"])),
        ("GetItem", {"itemId": "x", "catalogue": "none"}, ("NOT_FOUND", "CATALOGUE_UNKNOWN", ["catalogue"])),
        (
            "Recommend",
            {"shopper": NOBODY, "catalogue": "none"},
            ("NOT_FOUND", "CATALOGUE_UNKNOWN", ["catalogue"]),
        ),
        (
            "Rank",
            {"shopper": NOBODY, "catalogue": "none", "candidates": [{"item": {"itemId": "x"}}]},
            ("NOT_FOUND", "CATALOGUE_UNKNOWN", ["catalogue"]),
        ),
        ("ExplainRecommendation", {"shopper": NOBODY, "itemId": "no"}, ("NOT_FOUND", "ITEM_UNKNOWN", ["item_id"])),
        ("Recommend", {"shopper": NOBODY, "k": -1}, ("INVALID_ARGUMENT", "FIELD_INVALID", ["k"])),
        (
            "SetDemographics",
            {"shopperId": "nobody", "age": 30},
            ("FAILED_PRECONDITION", "CONSENT_MISSING", ["shopper_id"]),
        ),
        ("EstimateAudience", {"audience": AUDIENCE}, ("FAILED_PRECONDITION", "AUDIENCE_TABLE_MISSING", [])),
    ],
)
def test_a_refusal_names_its_cause_and_its_field(
    gateway: RunningGateway, name: str, fields: dict[str, Any], told: tuple[str, str, list[str]]
) -> None:
    assert refusal(gateway.address, name, wire(name, fields)) == told


@pytest.mark.parametrize(
    ("request_", "metadata", "reason"),
    [
        (b"\xff\xff", (), "REQUEST_UNREADABLE"),
        (wire("EncodeTexts", {"texts": ["a"]}), (("x-priority", "soon"),), "METADATA_INVALID"),
        (wire("EncodeTexts", {"texts": ["a"]}), (("x-caller", "a b"),), "METADATA_INVALID"),
        (b"\x0a\x00" * 200_000, (), "REQUEST_TOO_LARGE"),
    ],
)
def test_a_call_that_is_no_request_says_so(
    gateway: RunningGateway, request_: bytes, metadata: tuple[tuple[str, str], ...], reason: str
) -> None:
    code, told, _ = refusal(gateway.address, "EncodeTexts", request_, metadata=metadata)
    assert (code, told) == ("INVALID_ARGUMENT", reason)


def test_health_of_a_service_that_there_is_not(gateway: RunningGateway) -> None:
    with grpc.insecure_channel(gateway.address) as channel, pytest.raises(grpc.RpcError) as raised:
        health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service="none"))
    status = rpc_status.from_call(raised.value)
    assert status is not None
    assert json.dumps(MessageToDict(status)).count("SERVICE_UNKNOWN") == 1


def test_entries_of_batches_say_why_too(gateway: RunningGateway, shopper: str) -> None:
    with grpc.insecure_channel(gateway.address) as channel:
        shoppers = [{"shopper_id": shopper}, {}]
        found = channel.unary_unary(method_path(METHODS["BatchGetProfiles"]))(
            profile_service_pb2.BatchGetProfilesRequest(shoppers=shoppers).SerializeToString()
        )
        results = profile_service_pb2.BatchGetProfilesResponse.FromString(found).results
        assert [(each.error.reason, each.error.field) for each in results] == [
            ("SHOPPER_UNKNOWN", "shoppers[0].shopper_id"),
            ("FIELD_INVALID", "shoppers[1]"),
        ]
        recorded = channel.unary_unary(method_path(METHODS["RecordEvents"]))(
            RecordEventsRequest(events=[{"shopper_id": shopper}]).SerializeToString()
        )
        [result] = RecordEventsResponse.FromString(recorded).results
        assert result.error.reason == "FIELD_INVALID"


def test_the_client_shows_the_reason(gateway: RunningGateway, shopper: str) -> None:
    with Client(gateway.address) as client:
        with pytest.raises(NotFoundError, match=r"^NOT_FOUND \(SHOPPER_UNKNOWN\): shopper\.shopper_id: ") as raised:
            client.get_profile(shopper)
        assert (raised.value.reason, raised.value.violations[0].field) == ("SHOPPER_UNKNOWN", "shopper.shopper_id")
        [unknown] = client.batch_get_profiles([shopper])
        assert getattr(unknown, "reason", None) == "SHOPPER_UNKNOWN"
        client.forget_shopper(shopper)
        with pytest.raises(FailedPreconditionError, match=r"\(CONSENT_MISSING\)"):
            client.set_demographics(shopper, age=30)
    with Client("127.0.0.1:1", timeout=0.3) as client, pytest.raises(PortraitError) as raised:
        client.get_profile(shopper)
    assert raised.value.reason == ""
