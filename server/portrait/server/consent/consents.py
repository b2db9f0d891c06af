"""Consents: purposes, the decisions of shoppers, and the rules where there is no decision."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from portrait.server.identities import Identity, list_ids


class Purpose(StrEnum):
    """A purpose of use of a shopper's data; each is granted by itself."""

    PERSONALISATION = "personalisation"
    """Profiles, recommendations, rankings and explanations made from the shopper's events."""
    ADVERTISING = "advertising"
    """Being found in audiences."""
    RISK = "risk"
    """Decisions on credit, fraud and refunds. The gateway makes none: whoever does asks it first."""
    DEMOGRAPHICS = "demographics"
    """Keeping and showing what the shopper declared of themselves."""


_stated: ContextVar[frozenset[Purpose]] = ContextVar("stated_purposes", default=frozenset())


def stated_purposes() -> frozenset[Purpose]:
    """Return the purposes for which the current call reads, as its caller states; none outside of calls."""
    return _stated.get()


def state_purposes(purposes: frozenset[Purpose]) -> None:
    """Set the purposes for which the current call reads: a shopper must allow them beside what the use needs."""
    _stated.set(purposes)


class ConsentRule(StrEnum):
    """The rule that decides whether a purpose is allowed. Laws differ: see docs/privacy.md."""

    GRANTED = "granted"
    """Once the shopper has granted it, until they withdraw."""
    UNLESS_WITHDRAWN = "unless-withdrawn"
    """Until the shopper withdraws it."""

    def allows(self, granted: bool | None) -> bool:
        """Tell whether the purpose is allowed, given the shopper's last decision; None if there is none."""
        return self is ConsentRule.UNLESS_WITHDRAWN if granted is None else granted


@dataclass(frozen=True, slots=True)
class Consent:
    """A decision of a shopper on one purpose, as kept for audits."""

    purpose: Purpose
    granted: bool
    """False: withdrawn."""
    time: datetime
    """Time of the decision, UTC; if the caller sent none, `recorded_at`, and decisions then count in order of arrival.

    A withdrawal counts as soon as it arrives, whatever its time. A grant with a time does not undo a withdrawal that is
    later by a second or more."""
    recorded_at: datetime
    """UTC, by the clock of the gateway that recorded it."""
    notice: str = ""
    """Name or version of the text that the shopper agreed to; empty if unknown."""
    source: str = ""
    """Place of the decision, for example `cookie banner`; empty if unknown."""


@dataclass(frozen=True, slots=True)
class Decisions:
    """The decisions in force of a shopper."""

    shopper_ids: tuple[str, ...]
    """All ids of the shopper, the login first."""
    by_purpose: Mapping[Purpose, bool]
    """True if every id granted a purpose, False if one withdrew it; others are missing."""

    @classmethod
    def combine(cls, by_id: Mapping[str, Mapping[Purpose, bool]]) -> "Decisions":
        """Combine the decisions of all ids of a shopper: the strictest on each purpose.

        Whatever the rule of a purpose, the result allows it exactly if the decisions of each id do.
        """
        if len(by_id) == 1:
            return cls(tuple(by_id), *by_id.values())
        strictest: dict[Purpose, bool] = {}
        for purpose in Purpose:
            said = [decisions.get(purpose) for decisions in by_id.values()]
            if False in said:
                strictest[purpose] = False
            elif None not in said:
                strictest[purpose] = True
        return cls(tuple(by_id), strictest)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to whether a shopper's data may be used."""

    shopper_ids: tuple[str, ...]
    """All ids of the shopper, the login first."""
    denied: Purpose | None
    """The first purpose that the use needs and the shopper does not allow; None if the data may be used."""


class ConsentReader(Protocol):
    """Read access to the decisions of shoppers."""

    async def consents(self, shopper_id: str) -> Decisions:
        """Return a shopper's last decision on each purpose, the strictest of all linked ids."""
        ...

    async def identities(self, shopper_ids: Sequence[str]) -> dict[str, Identity]:
        """Return the identities of those of some shoppers who have links."""
        ...

    async def shoppers_with_decision(self, purpose: Purpose, granted: bool, shopper_ids: Sequence[str]) -> set[str]:
        """Return those of some shoppers whose own last decision on a purpose is the given one."""
        ...


class Permissions:
    """Tells which uses of a shopper's data are currently allowed.

    A use needs its own purpose and those that the caller states: a stated purpose never allows what is not allowed
    without it.

    Args:
        said: read access to the decisions of shoppers.
        rules: when each purpose is allowed.
    """

    def __init__(self, said: ConsentReader, rules: Mapping[Purpose, ConsentRule]) -> None:
        self._decisions = said
        self._rules = rules
        self.refused: Counter[Purpose] = Counter()
        """Number of checks by purpose that found it not allowed."""

    def list_allowed(self, decisions: Decisions) -> frozenset[Purpose]:
        """List the purposes that decisions allow."""
        said = decisions.by_purpose
        return frozenset(purpose for purpose, rule in self._rules.items() if rule.allows(said.get(purpose)))

    def judge(self, decisions: Decisions, purpose: Purpose) -> Verdict:
        """Judge by decisions whether the current call may use data for a purpose, without counting a denial."""
        allowed = self.list_allowed(decisions)
        denied = (each for each in (purpose, *sorted(stated_purposes())) if each not in allowed)
        return Verdict(decisions.shopper_ids, next(denied, None))

    def check(self, decisions: Decisions, purpose: Purpose) -> Verdict:
        """Judge by decisions whether the current call may use data for a purpose; a denial is counted."""
        verdict = self.judge(decisions, purpose)
        if verdict.denied is not None:
            self.refused[verdict.denied] += 1
        return verdict

    def select_ids(self, decisions: Decisions, purpose: Purpose) -> tuple[str, ...]:
        """List all ids of a shopper, the login first; none if the call may not use the data, which is counted."""
        verdict = self.check(decisions, purpose)
        return verdict.shopper_ids if verdict.denied is None else ()

    async def list_allowing_ids(self, shopper_id: str, purpose: Purpose) -> tuple[str, ...]:
        """List all ids of a shopper, the login first; none unless the shopper allows a purpose under each of them."""
        return self.select_ids(await self._decisions.consents(shopper_id), purpose)

    async def allows(self, shopper_id: str, purpose: Purpose) -> bool:
        """Tell whether the current call may use a shopper's data for a purpose."""
        return self.check(await self._decisions.consents(shopper_id), purpose).denied is None

    async def filter_allowing(self, purposes: Iterable[Purpose], shopper_ids: Sequence[str]) -> set[str]:
        """Return those of some shoppers who allow all given and stated purposes, under each of their ids."""
        wanted = {*purposes, *stated_purposes()}
        allowing = await self._filter_own(wanted, shopper_ids)
        identities = await self._decisions.identities([*allowing])
        others = {each for identity in identities.values() for each in identity.shopper_ids} - allowing
        denying = others - await self._filter_own(wanted, [*others])
        return {each for each in allowing if denying.isdisjoint(list_ids(identities, each))}

    async def _filter_own(self, purposes: Iterable[Purpose], shopper_ids: Sequence[str]) -> set[str]:
        """Return those of some ids whose own decisions allow all given purposes.

        For each purpose, only the decisions that deviate from its rule are looked up, and only for the shoppers who
        allow the purposes before it. Purposes that must be granted come first, as they leave the fewest shoppers.
        """
        left = list(shopper_ids)
        for purpose in sorted(purposes, key=lambda each: (self._rules[each].allows(None), each)):
            must_grant = not self._rules[purpose].allows(None)
            said = await self._decisions.shoppers_with_decision(purpose, must_grant, left)
            left = [shopper_id for shopper_id in left if (shopper_id in said) is must_grant]
        return set(left)
