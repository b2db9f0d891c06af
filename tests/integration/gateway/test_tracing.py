"""Traces from a caller through the gateway to state file and Triton, as a collector gets them."""

import time
import urllib.request
from collections import Counter
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest
from opentelemetry.instrumentation.grpc import client_interceptor
from opentelemetry.instrumentation.grpc.grpcext import intercept_channel
from opentelemetry.sdk.trace import TracerProvider
from support.gateway import run_gateway
from support.otlp_collector import Collector, run_collector

from portrait.client import Client, InvalidRequestError
from portrait.v1 import event_pb2, shopper_pb2
from portrait.v1.event_service_pb2 import RecordEventsRequest
from portrait.v1.event_service_pb2_grpc import EventServiceStub
from portrait.v1.recommendation_service_pb2 import RecommendRequest
from portrait.v1.recommendation_service_pb2_grpc import RecommendationServiceStub

SECRET = "secret-of-ann"
ANN = shopper_pb2.ShopperRef(shopper_id=SECRET)
_SECONDS = 60.0
RECOMMEND = "portrait.v1.RecommendationService/Recommend"


def test_a_caller_who_traces_gets_its_trace_through_to_triton(
    repository: Path, shared_triton: tuple[str, str], tmp_path: Path
) -> None:
    provider = TracerProvider()
    tracer = provider.get_tracer("a caller")
    with run_collector() as collector:
        options = (*shared_triton, "--otlp-endpoint", collector.url, "--trace-ratio", "0")
        with run_gateway(repository, tmp_path, *options) as gateway:
            with grpc.insecure_channel(gateway.address) as plain:
                viewed = event_pb2.Event(
                    type=event_pb2.EVENT_TYPE_SEARCH, event_id=SECRET, query=SECRET, time=datetime.now(UTC)
                )
                EventServiceStub(plain).RecordEvents(
                    RecordEventsRequest(events=[{"shopper_id": SECRET, "event": viewed}])
                )
                channel = intercept_channel(plain, client_interceptor(tracer_provider=provider))
                with tracer.start_as_current_span("a page of the shop") as page:
                    RecommendationServiceStub(channel).Recommend(RecommendRequest(shopper=ANN, query=f"{SECRET} lamp"))
            trace_id = f"{page.get_span_context().trace_id:032x}"
            assert gateway.line("rpc", method=RECOMMEND)["trace_id"] == trace_id
            assert "trace_id" not in gateway.line("rpc", method="portrait.v1.EventService/RecordEvents")
            request = urllib.request.Request(
                gateway.line("ready")["metrics"], headers={"Accept": "application/openmetrics-text; version=1.0.0"}
            )
            with urllib.request.urlopen(request, timeout=_SECONDS) as answer:
                assert f'# {{trace_id="{trace_id}"}}' in answer.read().decode()
        spans = {span.span_id: span for span in collector.spans}  # all are sent when the gateway ends
    assert {span.trace_id.hex() for span in spans.values()} == {trace_id}
    names = Counter(span.name for span in spans.values())
    models = ("text_encoder", "profile_encoder", "ranker")
    assert {
        RECOMMEND,
        "state read",
        *(f"wait for {each}" for each in models),
        *(f"triton {each}" for each in models),
    } == {*names}
    [server] = [span for span in spans.values() if span.name == RECOMMEND]
    assert server.parent_span_id not in spans  # the caller's own span
    for span in spans.values():
        wanted = "wait for " + span.name.removeprefix("triton ") if span.name.startswith("triton ") else RECOMMEND
        assert span is server or spans[span.parent_span_id].name == wanted
        assert server.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano
    assert {each.key: each.value.int_value for each in server.attributes}["rpc.grpc.status_code"] == 0
    assert SECRET not in str(collector.spans)
    attributes = {each.key: each.value.string_value for each in collector.resources[0].attributes}
    assert attributes["service.name"] == "portrait-gateway"


def test_a_share_of_calls_is_traced_and_a_collector_that_is_gone_fails_no_call(
    repository: Path, shared_triton: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")  # milliseconds until spans are sent: the default is 5 s
    monkeypatch.setenv("PYTHONFAULTHANDLER", "1")  # the log tells where a process crashed
    with ExitStack() as closing:
        collector = closing.enter_context(run_collector())
        options = (*shared_triton, "--otlp-endpoint", collector.url, "--trace-ratio", "1")
        with run_gateway(repository, tmp_path, *options) as gateway, Client(gateway.address) as client:
            for _ in range(3):
                with pytest.raises(InvalidRequestError):
                    client.get_profile("")
            until = time.monotonic() + _SECONDS
            while len(codes := list_codes(collector)) < 3:
                assert time.monotonic() < until
                time.sleep(0.02)
            assert codes == [grpc.StatusCode.INVALID_ARGUMENT.value[0]] * 3
            assert not any(span.status.code for span in collector.spans)  # the caller's fault is none of the server
            closing.close()
            assert client.recommend("ann").items
            assert gateway.terminate() == 0, gateway.log_text


def list_codes(collector: Collector) -> list[int]:
    """The status codes of calls; a span that was sent twice counts once."""
    spans = {span.span_id: span for span in collector.spans}.values()
    attributes = [each for span in spans for each in span.attributes]
    return [each.value.int_value for each in attributes if each.key == "rpc.grpc.status_code"]
