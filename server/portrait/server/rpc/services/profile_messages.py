"""Conversion of profiles to messages of the contract.

The descriptors of the contract drive it: a field of a message is read from the attribute of the same name, so that a
new field of a profile needs no code here.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, cast

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from portrait.features.profiles.absence import Absence, AbsenceReason
from portrait.server.demographics import Demographics
from portrait.server.profiles.profile import Profile
from portrait.server.release.traits import TraitValue
from portrait.server.rpc.services.messages import vector_to_message
from portrait.v1 import demographics_pb2, profile_pb2, trait_pb2

_PROFILE = cast(Descriptor, profile_pb2.Profile.DESCRIPTOR)
_DEMOGRAPHICS = cast(Descriptor, demographics_pb2.Demographics.DESCRIPTOR)
_ALWAYS = frozenset({"degraded", "absent", "reviewed_by"})
_BY_DEFAULT = frozenset(_PROFILE.fields_by_name) - {"embedding", "traits"}
_WELL_KNOWN_TYPES = "google.protobuf."
_REASONS = {reason: f"ABSENCE_REASON_{reason.name}" for reason in AbsenceReason}


def select_fields(paths: Iterable[str]) -> frozenset[str]:
    """Return the requested fields of Profile: those named by a field mask, or the default ones if it is empty."""
    return frozenset(paths) or _BY_DEFAULT


def profile_to_message(
    profile: Profile, shopper_id: str, fields: frozenset[str], descriptor: Descriptor = _PROFILE
) -> profile_pb2.Profile:
    """Convert the requested fields of a profile.

    Args:
        profile: what was computed.
        shopper_id: empty for a history without an id.
        fields: names of fields of Profile; `degraded`, `absent` and `reviewed_by` are always set.
        descriptor: of the message to make.
    """
    message_class, names, converters = _plan(descriptor)
    given: dict[str, Any] = {"shopper_id": shopper_id, "absent": _absent_to_messages(profile.absent)}
    requested = (fields | _ALWAYS).intersection(names)
    values = {name: given[name] if name in given else getattr(profile, name) for name in requested}
    return cast(profile_pb2.Profile, message_class(**_convert(values, converters)))


def demographics_to_message(demographics: Demographics) -> demographics_pb2.Demographics:
    """Convert the demographics that a shopper declared."""
    return cast(demographics_pb2.Demographics, _to_message(demographics, _DEMOGRAPHICS))


def has_special_converter(descriptor: Descriptor) -> bool:
    """Tell whether a message has fields without an attribute of the same name."""
    return descriptor.full_name in _SPECIAL_CONVERTERS


def _to_message(value: Any, descriptor: Descriptor) -> Message:
    """Convert a dataclass to a message whose fields have the names of its attributes; None leaves a field unset."""
    message_class, names, converters = _plan(descriptor)
    return message_class(**_convert({name: getattr(value, name) for name in names}, converters))


def _convert(values: dict[str, Any], converters: Mapping[str, Callable[[Any], Any]]) -> dict[str, Any]:
    """Convert in place those values by field that the constructor of a message does not take as they are."""
    for name, convert in converters.items():
        if (value := values.get(name)) is not None:
            values[name] = convert(value)
    return values


@cache
def _plan(descriptor: Descriptor) -> tuple[type[Message], tuple[str, ...], Mapping[str, Callable[[Any], Any]]]:
    """Find class, field names and conversions of a message; once, as reflection costs more than the conversion."""
    converters: dict[str, Callable[[Any], Any]] = {}
    for field in descriptor.fields:
        if convert := _find_converter(field):
            converters[field.name] = _convert_each(convert) if field.is_repeated else convert
    return GetMessageClass(descriptor), tuple(descriptor.fields_by_name), converters


def _convert_each(convert: Callable[[Any], Any]) -> Callable[[Iterable[Any]], list[Any]]:
    return lambda values: [convert(value) for value in values]


def _find_converter(field: FieldDescriptor) -> Callable[[Any], Any] | None:
    """Find the conversion of one value of a field; None if the constructor of a message takes the value as it is."""
    if field.enum_type is not None:
        numbers = _map_enum(field.enum_type)
        return lambda member: numbers[member.name]
    kind = field.message_type
    if kind is None or kind.full_name.startswith(_WELL_KNOWN_TYPES):  # the constructor takes datetime and timedelta
        return None
    special = _SPECIAL_CONVERTERS.get(kind.full_name)
    return special or (lambda value: _to_message(value, kind))


def _map_enum(enum: EnumDescriptor) -> Mapping[str, int]:
    """Map the names of a Python enum to numbers: the contract's names are the same behind a common prefix."""
    prefix = enum.values_by_number[0].name.removesuffix("UNSPECIFIED")
    return MappingProxyType({value.name.removeprefix(prefix): value.number for value in enum.values})


def _absent_to_messages(absent: Mapping[str, Absence]) -> list[profile_pb2.AbsentField]:
    return [
        profile_pb2.AbsentField(field=field, reason=_REASONS[absence.reason], explanation=absence.explanation)
        for field, absence in absent.items()
    ]


def _trait_to_message(value: TraitValue) -> trait_pb2.Trait:
    return trait_pb2.Trait(
        name=value.trait.name,
        description=value.trait.description,
        probability=value.probability,
        horizon=value.trait.horizon,
        absent_reason=value.absent,
        auc=value.trait.auc,
        calibration_error=value.trait.calibration_error,
        reviewed_by=value.reviewed_by,
    )


_SPECIAL_CONVERTERS: Mapping[str, Callable[[Any], Message]] = {
    profile_pb2.AbsentField.DESCRIPTOR.full_name: lambda message: message,
    profile_pb2.Vector.DESCRIPTOR.full_name: vector_to_message,
    trait_pb2.Trait.DESCRIPTOR.full_name: _trait_to_message,
}
"""Conversions to the messages whose fields have no attribute of the same name; absent fields are messages already."""
