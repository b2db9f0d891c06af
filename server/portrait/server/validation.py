"""Holds requests against the limits of the contract."""

from collections.abc import Iterable, Iterator
from functools import cache

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from portrait.server.bounds import Entries, Requirement
from portrait.server.errors import Violation
from portrait.server.limits import LIMITS, REQUIRED, SERVED_ONE_BY_ONE
from portrait.v1 import types_pb2


def violations(message: Message, path: str = "", place: str = "") -> Iterator[Violation]:
    """Hold a message, and every message within, against the limits.

    Args:
        message: a request, or an entry of one.
        path: where the message stands in the request, for example `events[3]`; empty for the request.
        place: the field that holds it, for example `ShopperEvent.event`.
    """
    yield from _missing(message, path, place)
    for field, value in message.ListFields():
        name = f"{message.DESCRIPTOR.name}.{field.name}"
        below = _join(path, field.name)
        broken = list(_broken(field, value, name, below))
        yield from broken
        if not broken and name not in SERVED_ONE_BY_ONE and _is_ours(field):
            yield from _within(field, value, name, below)


def _missing(message: Message, path: str, place: str) -> Iterator[Violation]:
    required, filled = _needs(message.DESCRIPTOR)
    for name, requirement in required:
        is_oneof = name in message.DESCRIPTOR.oneofs_by_name
        is_set = message.WhichOneof(name) if is_oneof else _is_set(message, name)
        if not is_set and requirement.applies(message, place):
            # A oneof has no field of its own: the message that lacks it is at fault.
            yield Violation(path if is_oneof else _join(path, name), f"sent nothing; {requirement.words}")
    for name, entries in filled:
        if not getattr(message, name):
            yield Violation(_join(path, name), f"sent 0 entries; the limit is {entries}")


def _broken(field: FieldDescriptor, value: object, name: str, path: str) -> Iterator[Violation]:
    if field.enum_type is not None and value not in field.enum_type.values_by_number:
        yield Violation(path, f"sent {value}, which is no {field.enum_type.name}")
    if limit := LIMITS.get(name):
        for suffix, sent in limit.broken(value):
            yield Violation(path + suffix, f"sent {sent}; the limit is {limit}")


def _within(field: FieldDescriptor, value: object, name: str, path: str) -> Iterator[Violation]:
    if isinstance(value, Message):
        yield from violations(value, path, name)
    elif isinstance(value, Iterable):
        for index, entry in enumerate(value):
            yield from violations(entry, f"{path}[{index}]", name)


@cache
def _needs(descriptor: Descriptor) -> tuple[list[tuple[str, Requirement]], list[tuple[str, Entries]]]:
    """What a message must have: required fields and oneofs, and repeated fields that may not be empty."""
    required = [*descriptor.fields_by_name, *descriptor.oneofs_by_name]
    prefix = f"{descriptor.name}."
    filled = [(name, LIMITS.get(prefix + name)) for name in descriptor.fields_by_name]
    return (
        [(name, REQUIRED[prefix + name]) for name in required if prefix + name in REQUIRED],
        [(name, limit) for name, limit in filled if isinstance(limit, Entries) and limit.minimum > 0],
    )


@cache
def _is_ours(field: FieldDescriptor) -> bool:
    """Whether a field holds messages of the contract: those of Google have their limits as a whole."""
    message_type = field.message_type
    return message_type is not None and message_type.file.package == types_pb2.DESCRIPTOR.package and not (
        message_type.GetOptions().map_entry
    )  # fmt: skip


def _is_set(message: Message, name: str) -> bool:
    field = message.DESCRIPTOR.fields_by_name[name]
    return message.HasField(name) if field.has_presence else bool(getattr(message, name))


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
