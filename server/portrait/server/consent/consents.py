"""What shoppers allow: purposes, what they said of each, and what holds where they said nothing."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class Purpose(StrEnum):
    """What a shopper's data may be used for, each by itself."""

    PERSONALISATION = "personalisation"
    """Profiles, recommendations, rankings and explanations made from the shopper's events."""
    ADVERTISING = "advertising"
    """Being found in audiences."""
    RISK = "risk"
    """Decisions on credit, fraud and refunds. The gateway makes none: whoever does asks it first."""
    DEMOGRAPHICS = "demographics"
    """Keeping and showing what the shopper declared of themselves."""


class ConsentRule(StrEnum):
    """When a purpose is allowed. Laws differ: see docs/privacy.md."""

    GRANTED = "granted"
    """Once the shopper has granted it, until they withdraw."""
    UNLESS_WITHDRAWN = "unless-withdrawn"
    """Until the shopper withdraws it."""

    def allows(self, granted: bool | None) -> bool:
        """Whether the purpose is allowed, by what the shopper said last; None if they said nothing."""
        return self is ConsentRule.UNLESS_WITHDRAWN if granted is None else granted


@dataclass(frozen=True, slots=True)
class Consent:
    """What a shopper said of one purpose, as it is kept for whoever audits it."""

    purpose: Purpose
    granted: bool
    """False: withdrawn."""
    time: datetime
    """When the shopper said so, UTC; `recorded_at` if that was not told, and then what was said counts by its arrival.

    A withdrawal counts as soon as it arrives, whatever its time. A grant with a time does not undo a withdrawal that is
    later by a second or more."""
    recorded_at: datetime
    """UTC, by the clock of the gateway that recorded it."""
    notice: str = ""
    """Name or version of the words that the shopper agreed to; empty if it was not told."""
    source: str = ""
    """Where they said it, for example `cookie banner`; empty if it was not told."""


class ConsentReader(Protocol):
    """Where what shoppers said is kept."""

    async def consents(self, shopper_id: str) -> dict[Purpose, bool]:
        """What a shopper said last of each purpose; one of which they said nothing is not there."""
        ...

    async def shoppers_with_decision(self, purpose: Purpose, granted: bool, shopper_ids: Sequence[str]) -> set[str]:
        """Those of many shoppers who last granted one purpose, or withdrew it."""
        ...


class Permissions:
    """Says, at the moment it is asked, what may be done with a shopper's data.

    Args:
        said: where what shoppers said is kept.
        rules: when each purpose is allowed.
    """

    def __init__(self, said: ConsentReader, rules: Mapping[Purpose, ConsentRule]) -> None:
        self._decisions = said
        self._rules = rules
        self.refused: Counter[Purpose] = Counter()
        """How often a purpose was not allowed, to whoever asked for one."""

    async def list_allowed(self, shopper_id: str) -> frozenset[Purpose]:
        """All purposes that a shopper allows."""
        said = await self._decisions.consents(shopper_id)
        return frozenset(purpose for purpose, rule in self._rules.items() if rule.allows(said.get(purpose)))

    async def allows(self, shopper_id: str, purpose: Purpose) -> bool:
        """Whether a shopper allows a purpose."""
        allowed = purpose in await self.list_allowed(shopper_id)
        if not allowed:
            self.refused[purpose] += 1
        return allowed

    async def filter_allowing(self, purposes: Iterable[Purpose], shopper_ids: Sequence[str]) -> set[str]:
        """Those of many shoppers who allow all of some purposes.

        Of each purpose only those are looked for who said other than what holds without a word, and only among those
        who allow the purposes before it: first the ones that must be granted, which leave the fewest.
        """
        left = list(shopper_ids)
        for purpose in sorted(purposes, key=lambda each: self._rules[each].allows(None)):
            must_grant = not self._rules[purpose].allows(None)
            said = await self._decisions.shoppers_with_decision(purpose, must_grant, left)
            left = [shopper_id for shopper_id in left if (shopper_id in said) is must_grant]
        return set(left)
