"""Kinds of limits that a field of the contract can have.

`str(limit)` is the sentence that the field's comment carries. `limit.broken(value)` yields what breaks it:
where below the field (empty for the field itself), and what was sent, in words that repeat nothing of a text.
"""

import math
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

_EARLIEST = datetime(1990, 1, 1, tzinfo=UTC).timestamp()
_SECONDS_PER_DAY = 86_400


class Limit(Protocol):
    """What a field may hold."""

    def broken(self, value: Any) -> Iterator[tuple[str, str]]:
        """Yield what breaks the limit: path below the field, what was sent."""
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

    def broken(self, value: str) -> Iterator[tuple[str, str]]:
        """Yield what breaks the limit."""
        if not self.minimum <= len(value) <= self.maximum:
            yield "", f"{len(value)} characters"
        elif self.pattern and not self.pattern.fullmatch(value):
            yield "", "another character"


@dataclass(frozen=True)
class Entries:
    """A number of entries of a repeated field, and the limit of each."""

    minimum: int
    maximum: int
    each: Characters | None = None

    def __str__(self) -> str:
        return f"{self.minimum} to {self.maximum} entries" + (f", each {self.each}" if self.each else "")

    def broken(self, value: Sequence[Any]) -> Iterator[tuple[str, str]]:
        """Yield what breaks the limit; the entries are looked at only if their number is right."""
        if not self.minimum <= len(value) <= self.maximum:
            yield "", f"{len(value)} entries"
        elif self.each:
            for index, entry in enumerate(value):
                for _, sent in self.each.broken(entry):
                    yield f"[{index}]", sent


@dataclass(frozen=True)
class Pairs:
    """A number of entries of a map of strings, and the limit of every key and value."""

    maximum: int
    each: Characters

    def __str__(self) -> str:
        return f"0 to {self.maximum} entries, keys and values {self.each}"

    def broken(self, value: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        """Yield what breaks the limit; keys are the caller's words, so no path names them."""
        if len(value) > self.maximum:
            yield "", f"{len(value)} entries"
            return
        for pair in value.items():
            for word, part in zip(("key", "value"), pair, strict=True):
                for _, sent in self.each.broken(part):
                    yield "", f"a {word} of {sent}"


@dataclass(frozen=True)
class FieldNames:
    """A field mask over the fields of one message."""

    maximum: int
    of: type[Message]

    def __str__(self) -> str:
        return f"0 to {self.maximum} entries, each the name of a field of {self.of.DESCRIPTOR.name}"

    def broken(self, value: FieldMask) -> Iterator[tuple[str, str]]:
        """Yield what breaks the limit."""
        if len(value.paths) > self.maximum:
            yield "", f"{len(value.paths)} entries"
            return
        for index, path in enumerate(value.paths):
            if path not in self.of.DESCRIPTOR.fields_by_name:
                yield f".paths[{index}]", "another name"


@dataclass(frozen=True)
class Whole:
    """A whole number."""

    minimum: int
    maximum: int

    def __str__(self) -> str:
        return f"{self.minimum} to {self.maximum}"

    def broken(self, value: int) -> Iterator[tuple[str, str]]:
        """Yield what breaks the limit."""
        if not self.minimum <= value <= self.maximum:
            yield "", str(value)


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

    def broken(self, value: float) -> Iterator[tuple[str, str]]:
        """Yield what breaks the limit."""
        if math.isnan(value):
            yield "", "NaN"
        elif not self.minimum <= value <= self.maximum or (self.open and value == self.minimum):
            yield "", _short(value)


@dataclass(frozen=True)
class Moment:
    """A time that a log of behaviour can hold."""

    def __str__(self) -> str:
        return "from 1990-01-01 to one day after the server's clock"

    def broken(self, value: Timestamp) -> Iterator[tuple[str, str]]:
        """Yield what breaks the limit."""
        if not 0 <= value.nanos < 1_000_000_000:
            yield "", "nanoseconds outside 0 to 999999999"
        elif value.seconds < _EARLIEST:
            yield "", "an earlier time"
        elif value.seconds > time.time() + _SECONDS_PER_DAY:
            yield "", "a later time"


@dataclass(frozen=True)
class Requirement:
    """When a field must be set."""

    words: str
    """How the sentence of the field's comment begins."""
    applies: Callable[[Message, str], bool]
    """Whether it must be set in this message, held by that field (for example `ShopperEvent.event`)."""


def _short(value: float) -> str:
    return f"{value:g}".replace("e+0", "e")
