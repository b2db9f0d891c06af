"""The kinds of limits of a field of the contract.

`str(limit)` is the sentence in the field's comment. `limit.violations(value)` lists what breaks the limit: the path
below the field (empty for the field itself), and what was sent, in words that repeat no text of a caller.
"""

import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol, TypeAlias

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from portrait.features.logs.identifiers import is_placeholder

_MIN_TIME_SECONDS = datetime(1990, 1, 1, tzinfo=UTC).timestamp()
_SECONDS_PER_DAY = 86_400

Violations: TypeAlias = Sequence[tuple[str, str]]
"""The path below the field, and what was sent. A tuple without entries for most values, as long histories have many."""


class Limit(Protocol):
    """The values that a field may have."""

    def violations(self, value: Any) -> Violations:
        """List what breaks the limit."""
        ...


@dataclass(frozen=True)
class TextLength:
    """A length of text in Unicode characters, and optionally an alphabet."""

    minimum: int
    maximum: int
    pattern: re.Pattern[str] | None = None
    pattern_words: str = ""

    def __str__(self) -> str:
        return f"{self.minimum} to {self.maximum} characters{self.pattern_words}"

    def violations(self, value: str) -> Violations:
        """List what breaks the limit."""
        if not self.minimum <= len(value) <= self.maximum:
            return [("", f"{len(value)} characters")]
        if self.pattern and not self.pattern.fullmatch(value):
            return [("", "another character")]
        return ()


@dataclass(frozen=True)
class WrittenId(TextLength):
    """An id under which events or people are brought together: a placeholder would bring strangers together."""

    def __str__(self) -> str:
        return f"{super().__str__()}, no placeholder such as `undefined`"

    def violations(self, value: str) -> Violations:
        """List what breaks the limit."""
        if is_placeholder(value):
            return [("", "a placeholder of a missing id" if value else "0 characters")]
        return super().violations(value)


@dataclass(frozen=True)
class ListSize:
    """A number of entries of a repeated field, and a limit for each entry."""

    minimum: int
    maximum: int
    each: TextLength | None = None

    def __str__(self) -> str:
        return f"{self.minimum} to {self.maximum} entries" + (f", each {self.each}" if self.each else "")

    def violations(self, value: Sequence[Any]) -> Violations:
        """List what breaks the limit; entries are checked only if their number is right."""
        if not self.minimum <= len(value) <= self.maximum:
            return [("", f"{len(value)} entries")]
        if self.each:
            each = self.each
            return [(f"[{index}]", sent) for index, entry in enumerate(value) for _, sent in each.violations(entry)]
        return ()


@dataclass(frozen=True)
class MapSize:
    """A number of entries of a map of strings, and a limit for every key and value."""

    maximum: int
    each: TextLength

    def __str__(self) -> str:
        return f"0 to {self.maximum} entries, keys and values {self.each}"

    def violations(self, value: Mapping[str, str]) -> Violations:
        """List what breaks the limit; keys are the caller's words, so paths do not repeat them."""
        if len(value) > self.maximum:
            return [("", f"{len(value)} entries")]
        words = [pair for key, worth in value.items() for pair in (("key", key), ("value", worth))]
        return [("", f"a {word} of {sent}") for word, part in words for _, sent in self.each.violations(part)]


@dataclass(frozen=True)
class FieldMaskPaths:
    """A field mask over the fields of one message."""

    maximum: int
    message_type: type[Message]

    def __str__(self) -> str:
        return f"0 to {self.maximum} entries, each the name of a field of {self.message_type.DESCRIPTOR.name}"

    def violations(self, value: FieldMask) -> Violations:
        """List what breaks the limit."""
        if len(value.paths) > self.maximum:
            return [("", f"{len(value.paths)} entries")]
        known = self.message_type.DESCRIPTOR.fields_by_name
        return [(f".paths[{index}]", "another name") for index, path in enumerate(value.paths) if path not in known]


@dataclass(frozen=True)
class IntRange:
    """A whole number."""

    minimum: int
    maximum: int

    def __str__(self) -> str:
        return f"{self.minimum} to {self.maximum}"

    def violations(self, value: int) -> Violations:
        """List what breaks the limit."""
        return () if self.minimum <= value <= self.maximum else [("", str(value))]


@dataclass(frozen=True)
class FloatRange:
    """A number that is neither infinite nor NaN."""

    minimum: float
    maximum: float
    excludes_minimum: bool = False
    """True if the minimum itself is outside of the range."""

    def __str__(self) -> str:
        included = " (not included)" if self.excludes_minimum else ""
        return f"{_short(self.minimum)}{included} to {_short(self.maximum)}, finite"

    def violations(self, value: float) -> Violations:
        """List what breaks the limit."""
        if self.minimum <= value <= self.maximum and not (self.excludes_minimum and value == self.minimum):
            return ()
        return [("", "NaN" if math.isnan(value) else _short(value))]


@dataclass(frozen=True)
class TimeRange:
    """A time of an event."""

    def __str__(self) -> str:
        return "from 1990-01-01 to one day after the server's clock"

    def violations(self, value: Timestamp) -> Violations:
        """List what breaks the limit."""
        seconds = value.seconds
        if not 0 <= value.nanos < 1_000_000_000:
            return [("", "nanoseconds outside 0 to 999999999")]
        if seconds < _MIN_TIME_SECONDS:
            return [("", "an earlier time")]
        return [("", "a later time")] if seconds > time.time() + _SECONDS_PER_DAY else ()


@dataclass(frozen=True)
class Requirement:
    """A condition under which a field must be set."""

    sentence: str
    """The beginning of the sentence in the field's comment."""
    applies: Callable[[Any, str], bool]
    """Tells whether the field must be set in a message that the given field holds, for example `ShopperEvent.event`."""


def _short(value: float) -> str:
    return f"{value:g}".replace("e+0", "e")
