"""Responses as dataclasses: a message becomes the public dataclass of the same name, field by field.

A new message whose dataclass has the same field names needs no code here.
"""

from dataclasses import fields
from datetime import UTC
from functools import cache
from importlib import import_module
from typing import Any

from google.protobuf.descriptor import EnumDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from portrait.client.messages import read_vector
from portrait.v1 import profile_pb2


def read_message(message: Message) -> Any:
    """Convert a message to the dataclass of its name in `portrait.client`; fields of a later contract are ignored.

    Timestamps become datetimes in UTC, durations timedeltas, enums the lower-case names of their values.
    """
    name = message.DESCRIPTOR.name
    known = _field_names(name)
    return _dataclass(name)(
        **{field.name: _read_field(message, field) for field in message.DESCRIPTOR.fields if field.name in known}
    )


def _dataclass(name: str) -> Any:
    return getattr(import_module("portrait.client"), name)


@cache
def _field_names(name: str) -> frozenset[str]:
    return frozenset(field.name for field in fields(_dataclass(name)))


def _read_field(message: Message, field: Any) -> Any:
    """Read the value of a field; `field` is its descriptor, whose type depends on the implementation of protobuf."""
    value = getattr(message, field.name)
    if field.is_repeated:
        return tuple(map(read_message, value)) if field.message_type else tuple(value)
    if field.has_presence and not message.HasField(field.name):
        return None
    if isinstance(value, Timestamp):
        return value.ToDatetime(tzinfo=UTC)
    if isinstance(value, Duration):
        return value.ToTimedelta()
    if isinstance(value, profile_pb2.Vector):
        return read_vector(value)
    if field.message_type:
        return read_message(value)
    return _enum_name(field.enum_type, value) if field.enum_type else value


def _enum_name(enum: EnumDescriptor, number: int) -> str:
    """Return the name of an enum value without the enum's prefix, or the number if a later contract defines it."""
    names = enum.values_by_number
    prefix = names[0].name.removesuffix("UNSPECIFIED")
    return names[number].name.removeprefix(prefix).lower() if number in names else str(number)
