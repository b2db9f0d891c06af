"""The contract as callers in other languages, and in JSON, meet it."""

from array import array
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor, FileDescriptor
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.json_format import MessageToDict

from portrait.client.messages import read_embeddings, read_vector
from portrait.features.release.layout import MAX_RELEASE
from portrait.server.rpc.services import messages as translation
from portrait.v1 import profile_pb2, text_service_pb2

STUBS = Path(profile_pb2.__file__).parent
FILES = [import_module(f"portrait.v1.{path.stem}").DESCRIPTOR for path in sorted(STUBS.glob("*_pb2.py"))]
VECTORS = {
    "portrait.v1.Vector.values",
    "portrait.v1.EncodeTextsResponse.values",
    "portrait.v1.EncodeTextStreamResponse.values",
}
_64_BITS = {"INT64", "UINT64", "SINT64", "FIXED64", "SFIXED64"}


def fields() -> Iterator[FieldDescriptor]:
    unread: list[Descriptor] = [m for file in FILES for m in file.message_types_by_name.values()]
    while unread:
        message = unread.pop()
        unread.extend(message.nested_types)
        yield from message.fields


def type_name(field: FieldDescriptor) -> str:
    return FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_")


def test_no_number_is_a_text_in_json() -> None:
    assert [field.full_name for field in fields() if type_name(field) in _64_BITS] == []
    profile = profile_pb2.Profile(release=MAX_RELEASE)
    assert MessageToDict(profile) == {"release": MAX_RELEASE}


def test_vectors_are_packed_numbers_and_nothing_is_bytes() -> None:
    assert [field.full_name for field in fields() if type_name(field) == "BYTES"] == []
    floats = {field.full_name: field for field in fields() if type_name(field) == "FLOAT" and field.is_repeated}
    assert floats.keys() == VECTORS
    assert all(field.is_packed and field.number == 1 for field in floats.values())


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_file_says_where_each_language_puts_it(file: FileDescriptor) -> None:
    described = FileDescriptorProto()
    file.CopyToProto(described)
    options = described.options
    assert (options.go_package, options.csharp_namespace) == ("portrait/v1;portraitv1", "Portrait.V1")
    assert (options.java_package, options.java_multiple_files) == ("portrait.v1", True)
    # Else `profile.proto` and the message `Profile` are one class.
    assert options.java_outer_classname == "".join(map(str.capitalize, Path(file.name).stem.split("_"))) + "Proto"


@pytest.mark.parametrize("count", [0, 1, 2, 31, 32, 128, 384, 5_000])
def test_a_vector_comes_back_as_it_was(count: int) -> None:
    numbers = np.random.default_rng(count).normal(size=count).astype(np.float32)
    message = translation.vector_to_message(numbers)
    assert message == profile_pb2.Vector(values=numbers.tolist())
    assert read_vector(message) == array("f", numbers.tolist())
    assert profile_pb2.Vector.FromString(message.SerializeToString()) == message


def test_a_vector_of_any_layout_and_precision_is_read_in_its_order() -> None:
    grid = np.arange(12, dtype=np.float64).reshape(3, 4)
    assert list(translation.vector_to_message(grid.T[1]).values) == [1.0, 5.0, 9.0]
    assert list(translation.vector_to_message(grid[0].astype(">f4")).values) == [0.0, 1.0, 2.0, 3.0]
    response = text_service_pb2.EncodeTextsResponse.FromString(translation.pack_floats(grid))
    response.dimension, response.release = 4, 7
    assert [list(row) for row in read_embeddings(response).vectors] == grid.tolist()
