"""Why a field of a profile is not there."""

from dataclasses import dataclass
from enum import Enum, auto


class AbsenceReason(Enum):
    """For programs."""

    TOO_LITTLE_EVIDENCE = auto()
    """The history holds too few events of the kind."""
    NOT_RECORDED = auto()
    """The log does not record what the field is made of, or the shopper has not declared it."""
    NO_STATISTICS = auto()
    """The release has no statistics, or its training window was too short for these."""
    NO_CONSENT = auto()
    """The shopper does not allow what the field is for."""


@dataclass(frozen=True, slots=True)
class Absence:
    """Takes the place of a field's value."""

    reason: AbsenceReason
    explanation: str
    """For people: what there is, and what is needed."""


NO_STATISTICS = Absence(AbsenceReason.NO_STATISTICS, "the release has no statistics; export it again")


def explain_weightless(what: str) -> Absence:
    """Events that are there, and none of which counts."""
    causes = "too long ago, taken back by a refund, disliked or left at once"
    return Absence(AbsenceReason.TOO_LITTLE_EVIDENCE, f"{what} count for nothing: each was {causes}")


def explain_too_few(there: int, needed: int, what: str) -> Absence:
    """Too little evidence."""
    needs = f"at least {needed} {'is' if needed == 1 else 'are'} needed"
    there_are = f"too few {what}: {there}" if there else f"there are no {what}"
    return Absence(AbsenceReason.TOO_LITTLE_EVIDENCE, f"{there_are}, and {needs}")
