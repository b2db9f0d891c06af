"""Holds requests against the limits of the contract."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from portrait.server.contract.bounds import Entries, Limit, Requirement
from portrait.server.contract.limits import LIMITS, REQUIRED, SERVED_ONE_BY_ONE
from portrait.server.errors import Violation
from portrait.v1 import types_pb2


@dataclass(frozen=True, slots=True)
class _Field:
    """What the limits say of one field."""

    place: str
    """Message and field, for example `ShopperEvent.event`."""
    limit: Limit | None
    enum: EnumDescriptor | None
    is_message: bool
    """Whether it holds a message of the contract that is held against the limits with this one."""
    are_messages: bool
    """The same of a repeated field."""


@dataclass(frozen=True, slots=True)
class _Needed:
    """A field or oneof that must be set."""

    name: str
    is_oneof: bool
    requirement: Requirement


@dataclass(frozen=True, slots=True)
class _Rules:
    """What the limits say of a message, looked up once: a long history has many thousand fields."""

    needed: tuple[_Needed, ...]
    filled: tuple[tuple[str, Entries], ...]
    """Repeated fields that may not be empty."""
    fields: dict[str, _Field]
    """Those of which anything is said."""


def violations(message: Message, path: str = "", place: str = "") -> Iterator[Violation]:
    """Hold a message, and every message within, against the limits.

    Args:
        message: a request, or an entry of one.
        path: where the message stands in the request, for example `events[3]`; empty for the request.
        place: the field that holds it, for example `ShopperEvent.event`.
    """
    for below, description in _broken(message, place):
        yield Violation(_join(path, below), description)


def _broken(message: Message, place: str) -> list[tuple[str, str]]:
    """Paths below the message, and what is wrong there. A path is made only where something is."""
    rules = _rules(message.DESCRIPTOR)
    sent = [(descriptor.name, value) for descriptor, value in message.ListFields()]
    names = {name for name, _ in sent}
    broken = []
    for need in rules.needed:
        if not _is_set(message, need, names) and need.requirement.applies(message, place):
            # A oneof has no field of its own: the message that lacks it is at fault.
            broken.append(("" if need.is_oneof else need.name, f"sent nothing; {need.requirement.words}"))
    for name, entries in rules.filled:
        if name not in names:
            broken.append((name, f"sent 0 entries; the limit is {entries}"))
    for name, value in sent:
        if (field := rules.fields.get(name)) and (wrong := _broken_field(field, name, value)):
            broken += wrong
    return broken


def _broken_field(field: _Field, name: str, value: Any) -> list[tuple[str, str]]:
    broken = [(name + suffix, sent) for suffix, sent in _broken_numbers(field.enum, value)] if field.enum else []
    if field.limit is not None:
        for suffix, sent in field.limit.broken(value):
            broken.append((name + suffix, f"sent {sent}; the limit is {field.limit}"))
    if broken:
        return broken
    if field.is_message:
        return [(_join(name, below), description) for below, description in _broken(value, field.place)]
    if field.are_messages:
        for index, entry in enumerate(value):
            for below, description in _broken(entry, field.place):
                broken.append((_join(f"{name}[{index}]", below), description))
    return broken


def _broken_numbers(enum: EnumDescriptor, value: Any) -> Iterator[tuple[str, str]]:
    """What is no value of an enum; in a repeated field, 0 says nothing and is none either."""
    single = isinstance(value, int)
    for index, number in enumerate([value] if single else value):
        if number not in enum.values_by_number or not (number or single):
            yield "" if single else f"[{index}]", f"sent {number}, which is no {enum.name}"


@cache
def _rules(descriptor: Descriptor) -> _Rules:
    prefix = f"{descriptor.name}."
    fields = {field.name: _field(prefix + field.name, field) for field in descriptor.fields}
    entries = [(name, LIMITS.get(prefix + name)) for name in descriptor.fields_by_name]
    needed = [
        _Needed(name, is_oneof=False, requirement=REQUIRED[prefix + name])
        for name in descriptor.fields_by_name
        if prefix + name in REQUIRED
    ]
    needed += [
        _Needed(name, is_oneof=True, requirement=REQUIRED[prefix + name])
        for name in descriptor.oneofs_by_name
        if prefix + name in REQUIRED
    ]
    return _Rules(
        tuple(needed),
        tuple((name, limit) for name, limit in entries if isinstance(limit, Entries) and limit.minimum > 0),
        {name: field for name, field in fields.items() if field is not None},
    )


def _field(place: str, field: FieldDescriptor) -> _Field | None:
    limit, holds = LIMITS.get(place), _is_ours(field) and place not in SERVED_ONE_BY_ONE
    if limit is None and field.enum_type is None and not holds:
        return None
    return _Field(place, limit, field.enum_type, holds and not field.is_repeated, holds and field.is_repeated)


def _is_ours(field: FieldDescriptor) -> bool:
    """Whether a field holds messages of the contract: those of Google have their limits as a whole."""
    message_type = field.message_type
    return message_type is not None and message_type.file.package == types_pb2.DESCRIPTOR.package and not (
        message_type.GetOptions().map_entry
    )  # fmt: skip


def _is_set(message: Message, need: _Needed, names: set[str]) -> bool:
    """Whether a field or oneof is set.

    Args:
        message: has it.
        need: which.
        names: of the message's fields that are set; one without presence is, if it is not empty.
    """
    return message.WhichOneof(need.name) is not None if need.is_oneof else need.name in names


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path and name else path or name
