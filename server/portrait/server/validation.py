"""Holds requests against the limits of the contract."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from portrait.server.bounds import Entries, Limit, Requirement
from portrait.server.errors import Violation
from portrait.server.limits import LIMITS, REQUIRED, SERVED_ONE_BY_ONE
from portrait.v1 import types_pb2


@dataclass(frozen=True, slots=True)
class _FieldRule:
    """What the limits say of one field, looked up once: a long history has many thousand fields."""

    place: str
    """Message and field, for example `ShopperEvent.event`."""
    limit: Limit | None
    enum: EnumDescriptor | None
    has_messages: bool
    """Whether it holds messages of the contract that are held against the limits with this one."""


def violations(message: Message, path: str = "", place: str = "") -> Iterator[Violation]:
    """Hold a message, and every message within, against the limits.

    Args:
        message: a request, or an entry of one.
        path: where the message stands in the request, for example `events[3]`; empty for the request.
        place: the field that holds it, for example `ShopperEvent.event`.
    """
    yield from _missing(message, path, place)
    rules = _field_rules(message.DESCRIPTOR)
    for field, value in message.ListFields():
        rule = rules[field.name]
        below = _join(path, field.name)
        broken = list(_broken(rule, value, below))
        yield from broken
        if rule.has_messages and not broken:
            yield from _within(rule, value, below)


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


def _broken(rule: _FieldRule, value: object, path: str) -> Iterator[Violation]:
    if rule.enum is not None and value not in rule.enum.values_by_number:
        yield Violation(path, f"sent {value}, which is no {rule.enum.name}")
    if rule.limit is not None:
        for suffix, sent in rule.limit.broken(value):
            yield Violation(path + suffix, f"sent {sent}; the limit is {rule.limit}")


def _within(rule: _FieldRule, value: object, path: str) -> Iterator[Violation]:
    if isinstance(value, Message):
        yield from violations(value, path, rule.place)
    elif isinstance(value, Iterable):
        for index, entry in enumerate(value):
            yield from violations(entry, f"{path}[{index}]", rule.place)


@cache
def _field_rules(descriptor: Descriptor) -> dict[str, _FieldRule]:
    rules = {}
    for field in descriptor.fields:
        place = f"{descriptor.name}.{field.name}"
        has_messages = _is_ours(field) and place not in SERVED_ONE_BY_ONE
        rules[field.name] = _FieldRule(place, LIMITS.get(place), field.enum_type, has_messages)
    return rules


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
