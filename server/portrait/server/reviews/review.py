"""A review: a person's decision about one subject, for one shopper, a segment of shoppers, or all."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

MAX_SHOPPER_REVIEWS = 100
"""Reviews of one id: each request of the shopper reads them."""
MAX_SHARED_REVIEWS = 1_000
"""Reviews for segments and for all together."""
SHARED = ""
"""Stands for the shopper's id where a review is for a segment, or for all: no shopper has it."""
MAX_BOOST = 20.0
MAX_PLACE = 1_000


class SubjectKind(StrEnum):
    """A kind of subject."""

    INTEREST = "interest"
    TRAIT = "trait"
    ITEM = "item"
    RULE = "rule"


class ReviewAction(StrEnum):
    """The effect of a review."""

    BLOCK = "block"
    CORRECT = "correct"
    PIN = "pin"
    KEEP = "keep"
    """The subject is as without any review, unless one for more shoppers blocks it."""


class Subject(NamedTuple):
    """A statement, an item or a rule that people review."""

    kind: SubjectKind
    names: tuple[str, ...]
    """Category path of an interest; catalogue and id of an item; name of a trait or a rule."""


class Segment(NamedTuple):
    """Shoppers with an event of an item that meets all conditions that are given, at least one."""

    category: tuple[str, ...] = ()
    """The item is in or below it."""
    brand: str = ""
    """Whatever its case."""


class ReviewTarget(NamedTuple):
    """Subject and scope of a review; there is one review of each target at most."""

    subject: Subject
    shopper_id: str = SHARED
    segment: Segment | None = None
    """None for all shoppers, or for the one that is named."""


@dataclass(frozen=True, slots=True)
class Review:
    """A decision of a person."""

    target: ReviewTarget
    action: ReviewAction
    value: float | None
    """None of a block, and to keep something."""
    reviewed_by: str
    note: str
    reviewed_at: datetime
    """UTC, by the clock of the gateway that recorded it."""


class ValueRange(NamedTuple):
    """The values that a review may set."""

    minimum: float
    maximum: float
    is_whole: bool = False

    def __str__(self) -> str:
        return f"{'a whole number, ' if self.is_whole else ''}{self.minimum:g} to {self.maximum:g}"

    def holds(self, value: float) -> bool:
        """Tell whether a value is in the range."""
        return self.minimum <= value <= self.maximum and (not self.is_whole or value.is_integer())


_SHARE = ValueRange(0.0, 1.0)
_STATED: Mapping[ReviewAction, ValueRange | None] = {
    ReviewAction.BLOCK: None, ReviewAction.CORRECT: _SHARE, ReviewAction.PIN: _SHARE, ReviewAction.KEEP: None,
}  # fmt: skip
_VALUES: Mapping[SubjectKind, Mapping[ReviewAction, ValueRange | None]] = {
    SubjectKind.INTEREST: _STATED,
    SubjectKind.TRAIT: _STATED,
    SubjectKind.ITEM: {
        ReviewAction.BLOCK: None,
        ReviewAction.CORRECT: ValueRange(-MAX_BOOST, MAX_BOOST),
        ReviewAction.PIN: ValueRange(1.0, MAX_PLACE, is_whole=True),
        ReviewAction.KEEP: None,
    },
    SubjectKind.RULE: {ReviewAction.BLOCK: None},
}
"""The actions on each kind of subject, and the values that each needs; None if it takes none."""


def find_fault(kind: SubjectKind, action: ReviewAction, value: float | None) -> tuple[str, str] | None:
    """Find out why there can't be such a review: the field at fault, `action` or `value`, and a description."""
    if action not in _VALUES[kind]:
        return "action", f"a review of {_name(kind)} can only {' or '.join(_VALUES[kind])} it"
    wanted = _VALUES[kind][action]
    if wanted is None:
        return None if value is None else ("value", f"to {action} {_name(kind)} takes no value")
    if value is None:
        return "value", f"sent nothing; to {action} {_name(kind)} takes {wanted}"
    return None if wanted.holds(value) else ("value", f"sent {value:g}; to {action} {_name(kind)} takes {wanted}")


def _name(kind: SubjectKind) -> str:
    return f"{'an' if kind in (SubjectKind.INTEREST, SubjectKind.ITEM) else 'a'} {kind}"
