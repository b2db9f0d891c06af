"""Kinds of limits that a field of the contract can have.

`str(limit)` is the sentence that the field's comment carries. `limit.broken(value)` is what breaks it:
where below the field (empty for the field itself), and what was sent, in words that repeat nothing of a text.
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

_EARLIEST = datetime(1990, 1, 1, tzinfo=UTC).timestamp()
_SECONDS_PER_DAY = 86_400

Faults: TypeAlias = Sequence[tuple[str, str]]
"""Path below the field and what was sent, of each. Most values have none, and long histories have many values."""


class Limit(Protocol):
    """What a field may hold."""

    def broken(self, value: Any) -> Faults:
        """What breaks the limit."""
        ...


@dataclass(frozen=True)
class Characters:
    """A length of text, in Unicode characters, and perhaps an alphabet."""

    minimum: int
    maximum: int
    pattern: re.Pattern[str] | None = None
    pattern_words: str = ""

    def __str__(self) -> str:
        return f"{self.minimum} to {self.maximum} characters{self.pattern_words}"

    def broken(self, value: str) -> Faults:
        """What breaks the limit."""
        if not self.minimum <= len(value) <= self.maximum:
            return [("", f"{len(value)} characters")]
        if self.pattern and not self.pattern.fullmatch(value):
            return [("", "another character")]
        return ()


@dataclass(frozen=True)
class Entries:
    """A number of entries of a repeated field, and the limit of each."""

    minimum: int
    maximum: int
    each: Characters | None = None

    def __str__(self) -> str:
        return f"{self.minimum} to {self.maximum} entries" + (f", each {self.each}" if self.each else "")

    def broken(self, value: Sequence[Any]) -> Faults:
        """What breaks the limit; the entries are looked at only if their number is right."""
        if not self.minimum <= len(value) <= self.maximum:
            return [("", f"{len(value)} entries")]
        if self.each:
            each = self.each
            return [(f"[{index}]", sent) for index, entry in enumerate(value) for _, sent in each.broken(entry)]
        return ()


@dataclass(frozen=True)
class Pairs:
    """A number of entries of a map of strings, and the limit of every key and value."""

    maximum: int
    each: Characters

    def __str__(self) -> str:
        return f"0 to {self.maximum} entries, keys and values {self.each}"

    def broken(self, value: Mapping[str, str]) -> Faults:
        """What breaks the limit; keys are the caller's words, so no path names them."""
        if len(value) > self.maximum:
            return [("", f"{len(value)} entries")]
        words = [pair for key, worth in value.items() for pair in (("key", key), ("value", worth))]
        return [("", f"a {word} of {sent}") for word, part in words for _, sent in self.each.broken(part)]


@dataclass(frozen=True)
class FieldNames:
    """A field mask over the fields of one message."""

    maximum: int
    of: type[Message]

    def __str__(self) -> str:
        return f"0 to {self.maximum} entries, each the name of a field of {self.of.DESCRIPTOR.name}"

    def broken(self, value: FieldMask) -> Faults:
        """What breaks the limit."""
        if len(value.paths) > self.maximum:
            return [("", f"{len(value.paths)} entries")]
        known = self.of.DESCRIPTOR.fields_by_name
        return [(f".paths[{index}]", "another name") for index, path in enumerate(value.paths) if path not in known]


@dataclass(frozen=True)
class Whole:
    """A whole number."""

    minimum: int
    maximum: int

    def __str__(self) -> str:
        return f"{self.minimum} to {self.maximum}"

    def broken(self, value: int) -> Faults:
        """What breaks the limit."""
        return () if self.minimum <= value <= self.maximum else [("", str(value))]


@dataclass(frozen=True)
class Finite:
    """A number that is neither infinite nor NaN."""

    minimum: float
    maximum: float
    open: bool = False
    """Whether the minimum itself lies outside."""

    def __str__(self) -> str:
        included = " (not included)" if self.open else ""
        return f"{_short(self.minimum)}{included} to {_short(self.maximum)}, finite"

    def broken(self, value: float) -> Faults:
        """What breaks the limit."""
        if self.minimum <= value <= self.maximum and not (self.open and value == self.minimum):
            return ()
        return [("", "NaN" if math.isnan(value) else _short(value))]


@dataclass(frozen=True)
class Moment:
    """A time that a log of behaviour can hold."""

    def __str__(self) -> str:
        return "from 1990-01-01 to one day after the server's clock"

    def broken(self, value: Timestamp) -> Faults:
        """What breaks the limit."""
        seconds = value.seconds
        if not 0 <= value.nanos < 1_000_000_000:
            return [("", "nanoseconds outside 0 to 999999999")]
        if seconds < _EARLIEST:
            return [("", "an earlier time")]
        return [("", "a later time")] if seconds > time.time() + _SECONDS_PER_DAY else ()


@dataclass(frozen=True)
class Requirement:
    """When a field must be set."""

    words: str
    """How the sentence of the field's comment begins."""
    applies: Callable[[Any, str], bool]
    """Whether it must be set in this message, held by that field (for example `ShopperEvent.event`)."""


def _short(value: float) -> str:
    return f"{value:g}".replace("e+0", "e")
