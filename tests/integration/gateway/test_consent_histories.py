"""After any history of consents, links, records and deletions, no method says what its purposes do not allow.

The methods are those that the running gateway describes, so a new one fails here until it has an oracle.
"""

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from hypothesis import HealthCheck, example, given, settings
from support.audience_tables import build_audience_table
from support.consent_oracles import NOT_READING, ORACLES, Call
from support.gateway import RunningGateway, run_gateway
from support.shopper_model import IDS, STEPS, Held, Step

from portrait.client import Client, Purpose
from portrait.server.rpc.services.registry import METHODS

_IN_TABLE = 24
"""Persons whom the audience table has; each example has one of its own."""
_SECONDS = 60.0
_EVERYTHING = [
    *(Step("grant", shopper, 0, number) for shopper in range(3) for number in range(len(Purpose))),
    *(Step("declare", shopper, 0, shopper) for shopper in range(3)),
]
_TOGETHER = [Step("join", shopper, 0, 0) for shopper in range(3)]
_LINKED = [Step("link", 0, other, 0) for other in (1, 2)]


@pytest.fixture(scope="module")
def gateway(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    folder = tmp_path_factory.mktemp("consent-histories")
    with run_gateway(repository, folder, "--min-audience-size", "1") as served:
        with Client(served.address) as client:
            for number in range(_IN_TABLE):
                begin(client, number)
        assert build_audience_table(served)["shoppers"] == _IN_TABLE * len(IDS)
        yield served
        assert "shopper-" not in served.log_text
        assert "internal_error" not in {line["event"] for line in served.logged}, served.log_text


def begin(client: Client, person: int) -> Held:
    """Have two events under each id of a person."""
    held = Held(tuple(f"shopper-{person}-{name}" for name in IDS), in_table=person < _IN_TABLE)
    for shopper_id in held.ids:
        for number in (8, 9):
            held.record(client, shopper_id, number)
    return held


@pytest.fixture(scope="module")
def calls(gateway: RunningGateway) -> Iterator[dict[str, Call]]:
    """Functions that call the methods of the contract, by service and method, as the gateway describes them."""
    with grpc.insecure_channel(gateway.address) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        pool = DescriptorPool(database)
        services = [pool.FindServiceByName(name) for name in database.get_services() if name.startswith("portrait.")]
        yield {
            f"{service.name}/{method.name}": make_call(channel, known[f"{service.full_name}.{method.name}"])
            for known in [{method.full_name: method for method in METHODS}]
            for service in services
            for method in service.methods
        }


def make_call(channel: grpc.Channel, method: MethodDescriptor) -> Call:
    kind = channel.unary_stream if method.server_streaming else channel.unary_unary
    calling: Callable[..., Any] = kind(
        f"/{method.containing_service.full_name}/{method.name}",
        request_serializer=lambda request: request.SerializeToString(),
        response_deserializer=GetMessageClass(method.output_type).FromString,
    )

    def call(request: Message) -> list[Any]:
        answer = calling(request, timeout=_SECONDS)
        return [*answer] if method.server_streaming else [answer]

    return call


def test_each_method_has_an_oracle_or_reads_nothing_of_shoppers(calls: dict[str, Call]) -> None:
    assert calls.keys() == ORACLES.keys() | NOT_READING
    assert ORACLES.keys().isdisjoint(NOT_READING)


_persons = count()


@given(steps=STEPS)
@example(steps=[*_EVERYTHING, *_LINKED])
@example(steps=[*_EVERYTHING, *_LINKED, Step("withdraw", 2, 0, 0)])
@example(steps=[*_EVERYTHING, *_LINKED, Step("withdraw", 1, 0, 3)])
@example(steps=[*_EVERYTHING, *_LINKED, Step("review", 1, 0, 0), Step("withdraw", 2, 0, 0)])
@example(steps=[*_LINKED, Step("review", 0, 0, 0), Step("unlink", 0, 1, 0), Step("forget", 0, 0, 0)])
@example(steps=[*_EVERYTHING, *_LINKED, Step("unlink", 0, 1, 0), Step("forget", 2, 0, 0)])
@example(steps=[*_EVERYTHING, *_TOGETHER, Step("withdraw", 1, 0, 0), Step("forget", 2, 0, 0)])
@settings(max_examples=8, suppress_health_check=list(HealthCheck))
def test_no_method_says_what_no_purpose_allows(
    gateway: RunningGateway, calls: dict[str, Call], steps: list[Step]
) -> None:
    with Client(gateway.address) as client:
        held = begin(client, next(_persons))
        middle = len(steps) // 2
        for part in (steps[:middle], steps[middle:]):  # what was cached after the first counts no more after the second
            for step in part:
                held.take(client, step)
            for shopper_id in held.ids:
                for name, check in ORACLES.items():
                    check(calls[name], held, shopper_id)
