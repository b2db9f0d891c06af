"""Bad input on the port itself, in short; `python -m benchmarks serving.fuzz` is the long run."""

import grpc
import pytest
from support.gateway import RunningGateway

from benchmarks.common.fuzzing import fuzzer
from benchmarks.common.fuzzing.bad_input import CONNECTION_INPUTS, STREAM_INPUTS
from benchmarks.common.load.generator import Call
from portrait.v1 import event_pb2, shopper_pb2
from portrait.v1.profile_service_pb2 import GetProfileRequest
from portrait.v1.recommendation_service_pb2 import RecommendRequest

VISIT = shopper_pb2.ShopperRef(
    history={"events": [{"type": event_pb2.EVENT_TYPE_VIEW, "item_id": "desk-lamp-red"}] * 5}
)
CALLS = [
    Call("/portrait.v1.ProfileService/GetProfile", GetProfileRequest(shopper=VISIT).SerializeToString()),
    Call(
        "/portrait.v1.RecommendationService/Recommend",
        RecommendRequest(shopper=VISIT, query="red lamp").SerializeToString(),
    ),
]


def test_bad_input_of_every_kind(gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzzer, "MAX_SECONDS", 60.0)  # what is slow on a busy machine has not hung
    before = len(gateway.logged)
    report = fuzzer.send_bad_inputs(gateway.address, CALLS, 3_000, seed=1)
    kinds = {end.partition(":")[0] for end in report.ends}
    assert kinds == {make.__name__ for make in (*STREAM_INPUTS, *CONNECTION_INPUTS)}
    assert not report.faults
    assert (report.good_calls, report.failed_calls) == (3, 0)
    assert gateway.process.poll() is None
    logged = gateway.logged[before:]
    assert [line for line in logged if "level" not in line] == [], "something else than our own log wrote them"
    assert "internal_error" not in {line["event"] for line in logged}, logged


def test_a_call_that_ends_without_a_message_is_answered(gateway: RunningGateway) -> None:
    with grpc.insecure_channel(gateway.address) as channel:
        call = channel.stream_unary("/portrait.v1.ProfileService/GetProfile").future(iter(()), timeout=20)
        assert call.exception() is not None
    assert call.code() is grpc.StatusCode.INVALID_ARGUMENT
