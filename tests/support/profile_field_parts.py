"""The parts of a profile field: finds those that a field of the contract lacks."""

import dataclasses
import re
import typing
from collections.abc import Iterator
from pathlib import Path

from google.protobuf.descriptor import Descriptor, FieldDescriptor

import portrait.client
from portrait.server.profiles import profile as profiles
from portrait.server.rpc.services.profile_messages import has_special_converter

TESTS = Path(__file__).parents[1]
REPOSITORY = TESTS.parent
FOLDERS = ("unit/server", "integration/engine", "integration/gateway")
HEADER_FIELDS = frozenset(
    {
        "shopper_id", "event_count", "first_event_time", "last_event_time", "release", "as_of", "computed_at",
        "degraded", "absent", "reviewed_by",
    }
)  # fmt: skip
"""Fields of Profile that state how it was computed; no function computes them."""


def find_missing_parts(profile: Descriptor) -> list[str]:
    """Name what the fields of a Profile message lack, one line for each part.

    Args:
        profile: descriptor of the message, that of the contract or a copy with further fields.
    """
    docs = (REPOSITORY / "docs/profile.md").read_text(encoding="utf-8")
    files = [path for folder in FOLDERS for path in (TESTS / folder).rglob("test_*.py")]
    tests = "".join(path.read_text(encoding="utf-8") for path in files)
    missing = []
    for field in profile.fields:
        if field.name in HEADER_FIELDS:
            continue
        missing += _find_missing_in_server(field)
        missing += _find_missing_in_client(field)
        if f"`{field.name}`" not in docs:
            missing.append(f"{field.name}: no row in docs/profile.md")
        if not re.search(rf"[\"._]{field.name}\b", tests):
            missing.append(f"{field.name}: no test in tests/unit/server")
    return missing


def _find_missing_in_server(field: FieldDescriptor) -> Iterator[str]:
    hints = typing.get_type_hints(profiles.Profile)
    if field.name not in hints:
        yield f"{field.name}: no attribute of Profile in server/portrait/server/profiles/profile.py"
    if field.name not in profiles.COMPUTED_FIELDS:
        yield f"{field.name}: no function in FIELD_FUNCTIONS in server/portrait/server/profiles/profile.py"
    if field.name in hints and field.message_type is not None and not has_special_converter(field.message_type):
        value = _find_dataclass(hints[field.name])
        lacking = set(field.message_type.fields_by_name) - set(dir(value)) - {each.name for each in _fields(value)}
        yield from (f"{field.name}: {value.__name__} lacks the attribute {name}" for name in sorted(lacking))


def _find_missing_in_client(field: FieldDescriptor) -> Iterator[str]:
    if field.name not in {each.name for each in _fields(portrait.client.Profile)}:
        yield f"{field.name}: no attribute of Profile in clients/portrait/client/profiles.py"
    kind = field.message_type
    if kind is None or (has_special_converter(kind) and kind.name == "Vector"):
        return
    value = getattr(portrait.client, kind.name, None)
    if value is None:
        yield f"{field.name}: portrait.client exports no {kind.name}"
    elif lacking := set(kind.fields_by_name) - {each.name for each in _fields(value)}:
        yield f"{field.name}: {kind.name} of the client lacks {', '.join(sorted(lacking))}"


def _fields(kind: type) -> tuple["dataclasses.Field[object]", ...]:
    return dataclasses.fields(kind)  # type: ignore[arg-type]


def _find_dataclass(hint: object) -> type:
    """Return the dataclass within a hint such as `Sequence[Interest]` or `CustomerValue | None`."""
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return hint
    return next(found for part in typing.get_args(hint) if part is not type(None) for found in [_find_dataclass(part)])
