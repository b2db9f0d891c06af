"""The validation of requests: checks messages against the limits of the contract."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from portrait.server.errors import Violation
from portrait.server.rpc.contract.bounds import Limit, ListSize, Requirement, Violations
from portrait.server.rpc.contract.limits import CHECKED_PER_ENTRY, LIMITS, REQUIRED
from portrait.v1 import event_pb2


@dataclass(frozen=True, slots=True)
class _Field:
    """The limits of one field."""

    name: str
    place: str
    """Message and field, for example `ShopperEvent.event`."""
    limit: Limit | None
    enum: EnumDescriptor | None
    is_message: bool
    """True if it holds a message of the contract, which is checked together with this one."""
    are_messages: bool
    """The same for a repeated field."""


@dataclass(frozen=True, slots=True)
class _Rules:
    """The limits of a message, looked up once, as a long history has many thousand fields."""

    needed: tuple[tuple[FieldDescriptor, Requirement], ...]
    needed_oneofs: tuple[tuple[str, Requirement], ...]
    filled: tuple[tuple[FieldDescriptor, ListSize], ...]
    """Repeated fields that may not be empty."""
    fields: dict[FieldDescriptor, _Field]
    """The fields that have any limit."""


def find_violations(message: Message, path: str = "", place: str = "") -> Iterator[Violation]:
    """Check a message, and every message within it, against the limits.

    Args:
        message: a request, or an entry of one.
        path: where the message stands in the request, for example `events[3]`; empty for the request.
        place: the field that holds it, for example `ShopperEvent.event`.
    """
    for below, description in _broken(message, place):
        yield Violation(_join(path, below), description)


def validate(message: Message, path: str = "") -> Generator[None, None, list[Violation]]:
    """Do the same as work in steps: a history of thousands of events takes a tenth of a second."""
    yield
    return list(find_violations(message, path))


def _broken(message: Message, place: str) -> list[tuple[str, str]]:
    """List the paths below the message, and what is wrong there; a path is built only where something is wrong."""
    rules, broken = _rules(message.DESCRIPTOR), []
    sent = dict(message.ListFields())  # a field without presence is among them if it is not empty
    for descriptor, requirement in rules.needed:
        if descriptor not in sent and requirement.applies(message, place):
            broken.append((descriptor.name, f"sent nothing; {requirement.sentence}"))
    for oneof, requirement in rules.needed_oneofs:
        if message.WhichOneof(oneof) is None and requirement.applies(message, place):
            # A oneof has no field of its own: the message that lacks it is at fault.
            broken.append(("", f"sent nothing; {requirement.sentence}"))
    for descriptor, entries in rules.filled:
        if descriptor not in sent:
            broken.append((descriptor.name, f"sent 0 entries; the limit is {entries}"))
    for descriptor, value in sent.items():
        if field := rules.fields.get(descriptor):
            broken += _broken_field(field, value)
    return broken


def _broken_field(field: _Field, value: Any) -> list[tuple[str, str]]:
    name, broken = field.name, []
    if field.enum is not None:
        for suffix, sent in _broken_numbers(field.enum, value):
            broken.append((name + suffix, sent))
    if field.limit is not None:
        for suffix, sent in field.limit.violations(value):
            broken.append((name + suffix, f"sent {sent}; the limit is {field.limit}"))
    return broken or _broken_below(field, value)


def _broken_below(field: _Field, value: Any) -> list[tuple[str, str]]:
    """List the same for the message, or messages, that a field holds."""
    if field.is_message:
        return [(_join(field.name, below), description) for below, description in _broken(value, field.place)]
    broken = []
    if field.are_messages:
        for index, entry in enumerate(value):
            for below, description in _broken(entry, field.place):
                broken.append((_join(f"{field.name}[{index}]", below), description))
    return broken


def _broken_numbers(enum: EnumDescriptor, value: int | Sequence[int]) -> Violations:
    """List the numbers that are no value of an enum; in a repeated field, the unspecified value 0 is invalid too."""
    known = enum.values_by_number
    if isinstance(value, int):
        return () if value in known else [("", f"sent {value}, which is no {enum.name}")]
    unknown = [(index, number) for index, number in enumerate(value) if not number or number not in known]
    return [(f"[{index}]", f"sent {number}, which is no {enum.name}") for index, number in unknown]


@cache
def _rules(descriptor: Descriptor) -> _Rules:
    prefix = f"{descriptor.name}."
    named = [(field, prefix + field.name) for field in descriptor.fields]
    limits = [(field, LIMITS.get(place)) for field, place in named]
    return _Rules(
        needed=tuple((field, REQUIRED[place]) for field, place in named if place in REQUIRED),
        needed_oneofs=tuple(
            (name, REQUIRED[prefix + name]) for name in descriptor.oneofs_by_name if prefix + name in REQUIRED
        ),
        filled=tuple((field, limit) for field, limit in limits if isinstance(limit, ListSize) and limit.minimum > 0),
        fields={field: told for field, place in named if (told := _field(place, field)) is not None},
    )


def _field(place: str, field: FieldDescriptor) -> _Field | None:
    limit, holds = LIMITS.get(place), _is_ours(field) and place not in CHECKED_PER_ENTRY
    if limit is None and field.enum_type is None and not holds:
        return None
    return _Field(
        field.name, place, limit, field.enum_type, holds and not field.is_repeated, holds and field.is_repeated
    )


def _is_ours(field: FieldDescriptor) -> bool:
    """Tell whether a field holds messages of the contract; Google's messages have a limit as a whole."""
    message_type = field.message_type
    return message_type is not None and message_type.file.package == event_pb2.DESCRIPTOR.package and not (
        message_type.GetOptions().map_entry
    )  # fmt: skip


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path and name else path or name
