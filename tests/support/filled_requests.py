"""Valid requests of any method, made from the descriptors and limits of the contract, so that new ones are covered."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from portrait.server.rpc.contract.bounds import FloatRange, IntRange
from portrait.server.rpc.contract.limits import LIMITS

_MAX_CHOICES = 12
"""More than any oneof has members, and any enum names."""


def fill_requests(method: MethodDescriptor, values: Mapping[str, Any]) -> Iterator[Message]:
    """Make requests of a method, with every field set but times, masks and maps.

    They differ in the members of oneofs and in the values of enums; equal ones are left out.

    Args:
        method: the method.
        values: of fields without a message, by name; None leaves one out. Other texts are `lamp`, numbers are small.
    """
    seen = set()
    for choice in range(_MAX_CHOICES):
        request = _fill(method.input_type, values, choice)
        if (wire := request.SerializeToString(deterministic=True)) not in seen:
            seen.add(wire)
            yield request


def _fill(descriptor: Descriptor, values: Mapping[str, Any], choice: int) -> Message:
    fields = [field for field in descriptor.fields if _is_chosen(field, choice) and not _is_left_out(field)]
    filled = {field.name: _make_value(field, values, choice) for field in fields}
    return GetMessageClass(descriptor)(**{name: value for name, value in filled.items() if value is not None})


def _is_chosen(field: FieldDescriptor, choice: int) -> bool:
    """Tell whether a field is in no oneof, or the chosen member of it."""
    oneof = field.containing_oneof
    return oneof is None or oneof.fields[choice % len(oneof.fields)] is field


def _is_left_out(field: FieldDescriptor) -> bool:
    kind = field.message_type
    return kind is not None and (kind.full_name.startswith("google.protobuf.") or kind.GetOptions().map_entry)


def _make_value(field: FieldDescriptor, values: Mapping[str, Any], choice: int) -> object:
    if field.message_type is None and field.name in values:
        return values[field.name]
    value = _make_one(field, values, choice)
    return [value] if field.is_repeated else value


def _make_one(field: FieldDescriptor, values: Mapping[str, Any], choice: int) -> object:
    limit = LIMITS.get(f"{field.containing_type.name}.{field.name}")
    if field.message_type is not None:
        return _fill(field.message_type, values, choice)
    if field.enum_type is not None:
        numbers: Sequence[int] = [number for number in sorted(field.enum_type.values_by_number) if number]
        return numbers[choice % len(numbers)]
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_STRING:
            return "lamp" if field.type == FieldDescriptor.TYPE_STRING else b""
        case FieldDescriptor.CPPTYPE_BOOL:
            return False
        case FieldDescriptor.CPPTYPE_DOUBLE | FieldDescriptor.CPPTYPE_FLOAT:
            return min(limit.maximum, 1.0) if isinstance(limit, FloatRange) else 1.0
    return max(limit.minimum, 1) if isinstance(limit, IntRange) else 1
