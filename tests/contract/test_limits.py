"""The comments of the protos and the server's table say the same, in both directions."""

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto, FileDescriptorSet

from portrait.server.rpc.contract.limits import LIMITS, MAX_BATCH_BYTES, MAX_BATCH_EVENTS, MAX_REQUEST_ENTRIES, REQUIRED
from portrait.v1 import customer_value_pb2, demographics_pb2, profile_pb2, shelf_pb2, trait_pb2

STUBS = Path(profile_pb2.__file__).parent
CONTRACT = [import_module(f"portrait.v1.{path.stem}") for path in sorted(STUBS.glob("*_pb2.py"))]
PARTS_OF_RESPONSES = (profile_pb2, customer_value_pb2, demographics_pb2, shelf_pb2, trait_pb2)
"""Modules whose messages occur in responses only."""

PROTOS = Path(__file__).parents[2] / "protos"


def comments_of(file: FileDescriptorProto) -> dict[str, str]:
    """The comment of each field and oneof, on one line, by `Message.field`."""
    comments = {}
    # Paths are made of field numbers in descriptor.proto: 4 is message_type, 2 is field, 8 is oneof_decl.
    for location in file.source_code_info.location:
        match list(location.path):
            case [4, message, 2, index]:
                parent: DescriptorProto = file.message_type[message]
                name = parent.field[index].name
            case [4, message, 8, index]:
                parent = file.message_type[message]
                name = parent.oneof_decl[index].name
            case _:
                continue
        comments[f"{parent.name}.{name}"] = " ".join(location.leading_comments.split())
    return comments


@pytest.fixture(scope="module")
def comments(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    out = tmp_path_factory.mktemp("descriptors") / "all.binpb"
    files = sorted(PROTOS.glob("portrait/v1/*.proto"))
    command = [sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={PROTOS}", "--include_source_info"]
    subprocess.run([*command, f"--descriptor_set_out={out}", *map(str, files)], check=True)
    found: dict[str, str] = {}
    for file in FileDescriptorSet.FromString(out.read_bytes()).file:
        found |= comments_of(file)
    return found


def test_every_limit_in_a_comment_is_in_the_table(comments: dict[str, str]) -> None:
    limits = {
        name: match[1].rstrip(".")
        for name, comment in comments.items()
        if (match := re.search(r"Limit: (.*)$", comment))
    }
    assert limits == {name: str(limit) for name, limit in LIMITS.items()}


def test_every_requirement_in_a_comment_is_in_the_table(comments: dict[str, str]) -> None:
    required = {
        name: match[1] for name, comment in comments.items() if (match := re.search(r"(Required[^.;]*)[.;]", comment))
    }
    assert required == {name: requirement.sentence for name, requirement in REQUIRED.items()}


def test_every_text_and_list_of_a_request_has_a_limit() -> None:
    answers = re.compile(
        r"Response|RankedItem|Result|Error|AudienceMember|AudienceSummary|^Profile\.|Interest|Keyword|PriceBand|Vector|Effect"
        r"|^Identity\.|^Link\.|^Membership\.|^ReviewQueueEntry\."
    )
    parts_of_responses = {
        message.name for module in PARTS_OF_RESPONSES for message in module.DESCRIPTOR.message_types_by_name.values()
    }
    unlimited = [
        f"{message.name}.{field.name}"
        for module in CONTRACT
        for message in module.DESCRIPTOR.message_types_by_name.values()
        for field in message.fields
        if (field.is_repeated or field.cpp_type == field.CPPTYPE_STRING)
        and f"{message.name}.{field.name}" not in LIMITS
        and not answers.search(f"{message.name}.{field.name}")
        and message.name not in parts_of_responses
    ]
    assert unlimited == []


@pytest.mark.parametrize("limit", [MAX_BATCH_EVENTS, MAX_BATCH_BYTES, MAX_REQUEST_ENTRIES])
def test_limits_of_whole_requests_stand_in_the_contract(limit: int) -> None:
    assert any(f" {limit} " in path.read_text(encoding="utf-8") for path in PROTOS.glob("**/*.proto"))
