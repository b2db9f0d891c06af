"""Whatever a caller sends: an answer or a refusal that says why, never a fault of ours."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import grpc
import pytest
from google.protobuf.descriptor import Descriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import request_strategies
from support.gateway import RunningGateway, run_gateway

from benchmarks.common.contract import list_unary_methods, method_path
from portrait.server.error_reasons import ErrorReason
from portrait.server.settings import Settings
from portrait.v1.audience_service_pb2 import DESCRIPTOR
from portrait.v1.entry_error_pb2 import EntryError

ANSWERED = {
    grpc.StatusCode.OK,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.FAILED_PRECONDITION,  # there is no audience table, or no consent
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}
"""While Triton is up and nobody else calls, no request has another status than these."""
WORDS = [
    "desk-lamp-red",
    "gift-card",
    "Home",
    "Lamps",
    "Acme",
    "red desk lamp",
    "红色台灯",
    "products",
    "ads",
    "somebody",
    "",
]
DEADLINE = 60.0
MAX_MESSAGE_BYTES = Settings.model_fields["max_message_bytes"].default
EXAMPLES = 60
"""Examples of each method."""
BYTES_EXAMPLES = 20
"""Examples of bytes for each method: few of them are a request."""
METHODS = [*list_unary_methods(), DESCRIPTOR.services_by_name["AudienceService"].methods_by_name["FindAudience"]]
"""FindAudience streams its answers, but here there is no audience table to find anybody in."""

_STEP = re.compile(r"(\w+)(?:\[\d+\])?")


@pytest.fixture(scope="module")
def gateway(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway whose catalogues and shoppers these tests may change; at the end it has logged no fault."""
    with run_gateway(repository, tmp_path_factory.mktemp("any_request")) as served:
        yield served
        assert served.process.poll() is None
    assert "internal_error" not in {line["event"] for line in served.logged}, served.log_text
    assert "Traceback" not in served.log_text


@pytest.fixture(scope="module")
def channel(gateway: RunningGateway) -> Iterator[grpc.Channel]:
    # gRPC itself would refuse answers of more than 4 MiB, which long requests may get.
    with grpc.insecure_channel(gateway.address, [("grpc.max_receive_message_length", -1)]) as channel:
        yield channel


def exists(path: str, descriptor: Descriptor) -> bool:
    """Tell whether a path names a field that a message can have."""
    for step in path.split("."):
        named = _STEP.fullmatch(step)
        field = descriptor.fields_by_name.get(named[1]) if named and descriptor else None
        if field is None:
            return False
        descriptor = field.message_type
    return True


def entry_errors(message: Message) -> Iterator[EntryError]:
    """Every error of an entry, anywhere in an answer."""
    for field, value in message.ListFields():
        if field.message_type is None or field.message_type.GetOptions().map_entry:
            continue
        for each in value if field.is_repeated else [value]:
            yield from [each] if isinstance(each, EntryError) else entry_errors(each)


def call(
    channel: grpc.Channel, method: MethodDescriptor, request: bytes, metadata: Sequence[tuple[str, str]] = ()
) -> grpc.Call | Message:
    """The answer, or the call that failed."""
    path = method_path(method)
    made = channel.unary_unary(path).future(request, timeout=DEADLINE, metadata=metadata)
    if made.exception() is not None:
        return made
    return GetMessageClass(method.output_type).FromString(made.result())


def hold(method: MethodDescriptor, sent: bytes, answer: grpc.Call | Message, keys: Sequence[str] = ()) -> None:
    """An answer is one of the documented ones, and names fields that there are, or a key of the metadata."""
    if isinstance(answer, Message):
        for error in entry_errors(answer):
            assert error.code != grpc.StatusCode.INTERNAL.value[0], error
            assert error.reason in set(ErrorReason), error
            assert not error.field or exists(error.field, method.input_type), error
        return
    assert answer.code() in ANSWERED, answer
    assert "Traceback" not in (answer.details() or "")
    status = rpc_status.from_call(answer)
    if len(sent) > MAX_MESSAGE_BYTES:  # gRPC itself refuses it, without details
        return
    assert status is not None
    for detail in status.details:
        info, broken = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        if detail.Unpack(info):
            assert info.reason in set(ErrorReason), info
        elif detail.Unpack(broken):
            for violation in broken.field_violations:
                named = not violation.field or violation.field in keys or exists(violation.field, method.input_type)
                assert named, violation


@pytest.mark.parametrize("method", METHODS, ids=[method.name for method in METHODS])
def test_any_request(channel: grpc.Channel, method: MethodDescriptor) -> None:
    refused = []
    """The first failure, told here: Hypothesis would print the whole request, which may take gigabytes to print."""

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
    @given(request_strategies.requests(method, WORDS))
    def answered(request: Message) -> None:
        if refused:
            return
        sent = request.SerializeToString()
        try:
            hold(method, sent, call(channel, method, sent))
        except AssertionError as error:
            refused.append(f"{len(sent)} bytes, {sent[:500]!r}: {str(error)[:2000]}")

    answered()
    assert not refused


@pytest.mark.parametrize("method", METHODS, ids=[method.name for method in METHODS])
def test_any_bytes(channel: grpc.Channel, method: MethodDescriptor) -> None:
    @settings(max_examples=BYTES_EXAMPLES)
    @given(st.binary(max_size=200))
    def answered(request: bytes) -> None:
        hold(method, request, call(channel, method, request))

    answered()


def test_any_metadata(channel: grpc.Channel) -> None:
    printable = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=300)
    keys = st.sampled_from(["x-request-id", "x-priority", "x-caller", "user-agent", "x-b3-traceid", "traceparent"])

    @settings(max_examples=EXAMPLES)
    @given(st.sampled_from(METHODS), st.lists(st.tuples(keys, printable | st.just("batch")), max_size=4))
    def answered(method: MethodDescriptor, metadata: list[tuple[str, str]]) -> None:
        hold(method, b"", call(channel, method, b"", metadata), [key for key, _ in metadata])

    answered()
