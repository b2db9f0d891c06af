"""A profile: all statements about one shopper at one moment, computed with one release.

The functions here are pure: they read a history and a release, and call neither models nor stores.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from portrait.features.events import Event, Item
from portrait.features.profiles.absence import Absence, AbsenceReason
from portrait.features.profiles.evidence import Evidence
from portrait.features.profiles.interests import Interest, Path, compute_interests
from portrait.features.profiles.keywords import WeightedKeyword, compute_keywords_in_steps
from portrait.features.profiles.price_bands import PriceBand, compute_price_bands
from portrait.features.profiles.sentences import Sentence
from portrait.server.consent.consents import Purpose
from portrait.server.demographics import Demographics
from portrait.server.profiles.activity_pattern import ActivityPattern, compute_activity_pattern
from portrait.server.profiles.aversions import Aversion, find_aversions
from portrait.server.profiles.brands import BrandAffinity, compute_brand_affinities
from portrait.server.profiles.customer_value import CustomerValue, compute_customer_value
from portrait.server.profiles.discount_sensitivity import DiscountSensitivity, compute_discount_sensitivity
from portrait.server.profiles.inferred_interests import infer_interests
from portrait.server.profiles.label_interests import EncodedEvents, Label, LabelInterest, compute_label_interests
from portrait.server.profiles.purchase_cycles import PurchaseCycle, compute_purchase_cycles
from portrait.server.profiles.recent_queries import QueryIntent, find_recent_queries
from portrait.server.profiles.reviewed_statements import review_interests
from portrait.server.profiles.session_intent import SessionIntent, compute_session_intent
from portrait.server.profiles.summary import SUMMARISED_FIELDS, summarise_profile
from portrait.server.release.release import Release
from portrait.server.release.traits import TraitValue
from portrait.server.reviews.review_set import NO_REVIEW_SET, STATED, ReviewSet


@dataclass(frozen=True, slots=True)
class Profile:
    """A shopper's profile. A field that was not requested, or is absent, is empty or None."""

    embedding: NDArray[np.float32] | None
    """`[dimension]`, unit length; None if it was not requested, or if the history is empty."""
    event_count: int
    first_event_time: datetime | None
    last_event_time: datetime | None
    release: int
    as_of: datetime
    computed_at: datetime
    degraded: bool
    """True if the models did not answer: the embedding is that of an earlier state of the history, or None."""
    absent: Mapping[str, Absence]
    """Reason for each requested field that has no value, by name of the field."""
    interests: Sequence[Interest] = ()
    keywords: Sequence[WeightedKeyword] = ()
    price_bands: Sequence[PriceBand] = ()
    aversions: Sequence[Aversion] = ()
    brands: Sequence[BrandAffinity] = ()
    discount_sensitivity: DiscountSensitivity | None = None
    session: SessionIntent | None = None
    recent_queries: Sequence[QueryIntent] = ()
    purchase_cycles: Sequence[PurchaseCycle] = ()
    customer_value: CustomerValue | None = None
    activity_pattern: ActivityPattern | None = None
    demographics: Demographics | None = None
    label_interests: Sequence[LabelInterest] = ()
    summary: Sequence[Sentence] = field(default=())
    traits: Sequence[TraitValue] = ()
    """Empty if they were not requested."""
    reviewed_by: Sequence[str] = ()
    """Everybody whose reviews hold for it, by name."""


@dataclass(frozen=True, slots=True)
class ModelOutputs:
    """The outputs of the models for a shopper, as far as requested."""

    embedding: NDArray[np.float32] | None = None
    """`[dimension]`; None if it was not requested, or if the models did not answer."""
    degraded: bool = False
    """True if the models were needed but did not answer."""
    labels: Sequence[Label] = ()
    encoded_events: EncodedEvents = field(default_factory=lambda: EncodedEvents((), np.zeros((0, 0), dtype=np.float32)))
    """Events, with vectors, that are cited as evidence for labels."""
    traits: Sequence[TraitValue] = ()
    """Empty if they were not requested."""


def make_consent_absence(purpose: Purpose) -> Absence:
    """Make the absence of a field, of whose purposes the shopper does not allow one."""
    return Absence(AbsenceReason.NO_CONSENT, f"no consent of the shopper for the purpose `{purpose}` is in force")


DEMOGRAPHICS_DENIED = make_consent_absence(Purpose.DEMOGRAPHICS)
"""Stands in for a shopper's demographics, unless they allow that these are shown."""


def build_profile(
    history: Sequence[Event],
    as_of: datetime,
    item: Callable[[Event], Item | None],
    release: Release,
    fields: frozenset[str],
    outputs: ModelOutputs,
    declared: Demographics | Absence = DEMOGRAPHICS_DENIED,
    is_withheld: Callable[[Path], bool] = lambda _: False,
    reviews: ReviewSet = NO_REVIEW_SET,
) -> Generator[None, None, Profile]:
    """Compute the requested fields of a profile, and no others.

    A generator that yields where the work may pause, so that a long history does not block other calls; see
    `runtime.cooperation`. It returns the profile.

    Args:
        history: events, oldest first; those later than `as_of` are ignored.
        as_of: the moment that the profile describes.
        item: returns the item of an event, None if it is unknown.
        release: release whose population statistics and catalogue are used.
        fields: names of the requested fields.
        outputs: outputs of the models.
        declared: the shopper's demographics, or why they are not shown. No other field uses them.
        is_withheld: tells whether a node of the taxonomy may not be named; what was inferred may lead to such nodes.
        reviews: those that hold for the shopper; the history lacks what they block.
    """
    population = release.population
    evidence = Evidence.from_history(history, as_of, item, population.interest_dynamics if population else None)
    needed = fields | set(SUMMARISED_FIELDS) if "summary" in fields else fields
    parts: dict[str, Any] = {}
    for name, compute in FIELD_FUNCTIONS.items():
        if name in needed:
            yield
            result = compute(evidence, release)
            parts[name] = (yield from result) if isinstance(result, Generator) else result
    if "interests" in parts:
        parts["interests"] = review_interests(parts["interests"], reviews)
    if isinstance(interests := parts.get("interests"), list):
        parts["interests"] = [each for each in interests if not is_withheld(each.category_path)]
    yield
    if outputs.labels:
        arguments = (
            outputs.labels,
            outputs.embedding,
            outputs.encoded_events,
            release.profiles,
            evidence.short_term_expires_at,
        )
        parts["label_interests"] = compute_label_interests(*arguments)
    if "summary" in fields:
        parts["summary"] = summarise_profile(parts)
    if "demographics" in fields:
        parts["demographics"] = declared
    absent = {name: part for name, part in parts.items() if isinstance(part, Absence) and name in fields}
    times = [each.event.time for each in evidence.events if each.event.time is not None]
    return Profile(
        embedding=outputs.embedding,
        event_count=len(evidence.events),
        first_event_time=min(times, default=None),
        last_event_time=max(times, default=None),
        release=release.number,
        as_of=as_of,
        computed_at=datetime.now(UTC),
        degraded=outputs.degraded,
        absent=absent,
        traits=outputs.traits,
        reviewed_by=reviews.list_reviewers(STATED),
        **{name: part for name, part in parts.items() if name in fields and not isinstance(part, Absence)},
    )


def build_denied_profile(
    release: int, as_of: datetime, fields: frozenset[str], denied: Purpose, declared: Demographics | Absence
) -> Profile:
    """Build the profile of a shopper who does not allow one: all fields but `demographics` are absent.

    Args:
        release: number of the release that would have computed the profile.
        as_of: the moment of the profile.
        fields: names of the requested fields.
        denied: the purpose that the shopper does not allow.
        declared: the shopper's demographics, or why they are not shown.
    """
    absent = dict.fromkeys(sorted(fields & _EVENT_FIELDS), make_consent_absence(denied))
    shown = declared if "demographics" in fields and not isinstance(declared, Absence) else None
    if "demographics" in fields and isinstance(declared, Absence):
        absent["demographics"] = declared
    return Profile(
        embedding=None,
        event_count=0,
        first_event_time=None,
        last_event_time=None,
        release=release,
        as_of=as_of,
        computed_at=datetime.now(UTC),
        degraded=False,
        absent=absent,
        demographics=shown,
    )


def _compute_interests(evidence: Evidence, release: Release) -> list[Interest] | Absence:
    attention = release.population.interest_dynamics if release.population else None
    observed = compute_interests(evidence, attention)
    if attention is None or isinstance(observed, Absence):
        return observed
    return [*observed, *infer_interests(evidence, release, attention)]


FIELD_FUNCTIONS: dict[str, Callable[[Evidence, Release], Any]] = {
    "interests": _compute_interests,
    "keywords": lambda evidence, release: compute_keywords_in_steps(evidence, release.rarity),
    "price_bands": lambda evidence, release: compute_price_bands(
        evidence, release.population.paid_prices if release.population else None, release.price_scale
    ),
    "aversions": lambda evidence, _: find_aversions(evidence),
    "brands": lambda evidence, release: compute_brand_affinities(evidence, release.population),
    "discount_sensitivity": lambda evidence, release: compute_discount_sensitivity(evidence, release.population),
    "session": lambda evidence, release: compute_session_intent(
        evidence, release.population.session_gap_minutes if release.population else None
    ),
    "recent_queries": lambda evidence, release: find_recent_queries(
        evidence, release.population.session_gap_minutes if release.population else None
    ),
    "purchase_cycles": lambda evidence, release: compute_purchase_cycles(evidence, release.population),
    "customer_value": lambda evidence, release: compute_customer_value(evidence, release.population),
    "activity_pattern": lambda evidence, release: compute_activity_pattern(
        evidence, release.population.times_are_days if release.population else False
    ),
}
"""The function that computes each field: it returns the value, or a generator of the value that may pause."""
_EVENT_FIELDS = frozenset({*FIELD_FUNCTIONS, "summary", "label_interests", "traits", "embedding"})
"""Fields that depend on the shopper's events, so that they need the consent to `personalisation`."""
ALL_FIELDS = frozenset({*FIELD_FUNCTIONS, "summary", "demographics", "embedding"})
"""Fields that can be computed without a request for labels or traits."""
COMPUTED_FIELDS = _EVENT_FIELDS | {"demographics"}
"""All fields that `build_profile` fills on request."""
