"""Profiles to messages of the contract."""

from collections.abc import Callable, Iterable
from typing import Any

from google.protobuf.message import Message

from portrait.features.profiles.absence import Absence, AbsenceReason
from portrait.features.profiles.interests import Interest
from portrait.features.profiles.keywords import WeightedKeyword
from portrait.features.profiles.price_bands import PriceBand
from portrait.features.profiles.sentences import Sentence
from portrait.server.demographics import Demographics
from portrait.server.profiles.activity_pattern import ActivityPattern
from portrait.server.profiles.aversions import Aversion
from portrait.server.profiles.brands import BrandAffinity
from portrait.server.profiles.customer_value import CustomerValue, ValueSegment, ValueTier
from portrait.server.profiles.discount_sensitivity import DiscountSensitivity
from portrait.server.profiles.label_interests import LabelInterest
from portrait.server.profiles.profile import Profile
from portrait.server.profiles.purchase_cycles import PurchaseCycle
from portrait.server.profiles.recent_queries import QueryIntent, QueryOutcome
from portrait.server.profiles.session_intent import SessionCategory, SessionIntent, SessionStage
from portrait.server.release.traits import TraitValue
from portrait.server.rpc.services.messages import vector_to_message
from portrait.v1 import customer_value_pb2, demographics_pb2, profile_pb2, trait_pb2

_ALWAYS = frozenset({"degraded", "absent"})
_BY_DEFAULT = frozenset(profile_pb2.Profile.DESCRIPTOR.fields_by_name) - {"embedding", "traits"}

_STAGES = {stage: f"SESSION_STAGE_{stage.name}" for stage in SessionStage}
_OUTCOMES = {outcome: f"QUERY_OUTCOME_{outcome.name}" for outcome in QueryOutcome}
_TIERS = {tier: f"VALUE_TIER_{tier.name}" for tier in ValueTier}
_SEGMENTS = {segment: f"VALUE_SEGMENT_{segment.name}" for segment in ValueSegment}
_REASONS = {reason: f"ABSENCE_REASON_{reason.name}" for reason in AbsenceReason}


def select_fields(paths: Iterable[str]) -> frozenset[str]:
    """The fields of Profile that are asked for."""
    return frozenset(paths) or _BY_DEFAULT


def profile_to_message(profile: Profile, shopper_id: str, fields: frozenset[str]) -> profile_pb2.Profile:
    """The asked fields of a profile."""
    plain: dict[str, Any] = {
        "shopper_id": shopper_id,
        "event_count": profile.event_count,
        "first_event_time": profile.first_event_time,
        "last_event_time": profile.last_event_time,
        "release": profile.release,
        "as_of": profile.as_of,
        "computed_at": profile.computed_at,
        "degraded": profile.degraded,
        "absent": [_absent(name, absence) for name, absence in profile.absent.items()],
    }
    if profile.embedding is not None:
        plain["embedding"] = vector_to_message(profile.embedding)
    message = profile_pb2.Profile(**{name: value for name, value in plain.items() if name in fields or name in _ALWAYS})
    for name in fields & _PARTS.keys():
        part, read = getattr(profile, name), _PARTS[name]
        if part is None:
            continue
        if isinstance(part, list | tuple):
            getattr(message, name).extend(map(read, part))
        else:
            getattr(message, name).CopyFrom(read(part))
    return message


def _absent(field: str, absence: Absence) -> profile_pb2.AbsentField:
    return profile_pb2.AbsentField(field=field, reason=_REASONS[absence.reason], explanation=absence.explanation)


def _trait(value: TraitValue) -> trait_pb2.Trait:
    """A trait of a shopper."""
    return trait_pb2.Trait(
        name=value.trait.name,
        description=value.trait.description,
        probability=value.probability,
        horizon=value.trait.horizon,
        absent_reason=value.absent,
        auc=value.trait.auc,
        calibration_error=value.trait.calibration_error,
    )


def _interest(each: Interest) -> profile_pb2.Interest:
    return profile_pb2.Interest(
        category_path=each.path,
        weight=each.weight,
        confidence=each.confidence,
        evidence_event_ids=each.evidence_event_ids,
        evidence_count=each.evidence_count,
        short_term_weight=each.short_term_weight,
        long_term_weight=each.long_term_weight,
        trend=each.trend,
        next_event_probability=each.next_event_probability,
        population_weight=each.population_weight,
        inferred=each.inferred,
        expires_at=each.expires_at,
    )


def _keyword(each: WeightedKeyword) -> profile_pb2.Keyword:
    return profile_pb2.Keyword(
        word=each.word,
        weight=each.weight,
        confidence=each.confidence,
        evidence_event_ids=each.evidence_event_ids,
        evidence_count=each.evidence_count,
        expires_at=each.expires_at,
    )


def _price_band(each: PriceBand) -> profile_pb2.PriceBand:
    return profile_pb2.PriceBand(
        category_path=each.category_path,
        percentile=each.percentile,
        low=each.low,
        median=each.median,
        high=each.high,
        event_count=each.event_count,
        confidence=each.confidence,
        evidence_event_ids=each.evidence_event_ids,
        expires_at=each.expires_at,
    )


def _aversion(each: Aversion) -> profile_pb2.Aversion:
    return profile_pb2.Aversion(
        category_path=each.category_path,
        weight=each.weight,
        confidence=each.confidence,
        evidence_event_ids=each.evidence_event_ids,
        evidence_count=each.evidence_count,
        expires_at=each.expires_at,
    )


def _brand(each: BrandAffinity) -> profile_pb2.BrandAffinity:
    return profile_pb2.BrandAffinity(
        brand=each.brand,
        lift=each.lift,
        share=each.share,
        confidence=each.confidence,
        evidence_event_ids=each.evidence_event_ids,
        evidence_count=each.evidence_count,
        expires_at=each.expires_at,
    )


def _discount(each: DiscountSensitivity) -> profile_pb2.DiscountSensitivity:
    return profile_pb2.DiscountSensitivity(
        discounted_share=each.discounted_share,
        mean_discount=each.mean_discount,
        percentile=each.percentile,
        confidence=each.confidence,
        purchase_count=each.purchase_count,
        evidence_event_ids=each.evidence_event_ids,
        expires_at=each.expires_at,
    )


def _focus(each: SessionCategory) -> profile_pb2.SessionCategory:
    return profile_pb2.SessionCategory(category_path=each.category_path, share=each.share)


def _session(each: SessionIntent) -> profile_pb2.SessionIntent:
    return profile_pb2.SessionIntent(
        stage=_STAGES[each.stage],
        active=each.active,
        categories=map(_focus, each.categories),
        queries=each.queries,
        started_at=each.started_at,
        event_count=each.event_count,
        confidence=each.confidence,
        evidence_event_ids=each.evidence_event_ids,
        expires_at=each.expires_at,
    )


def _query(each: QueryIntent) -> profile_pb2.QueryIntent:
    return profile_pb2.QueryIntent(
        query=each.query,
        count=each.count,
        last_time=each.last_time,
        outcome=_OUTCOMES[each.outcome],
        category_path=each.category_path,
        confidence=each.confidence,
        evidence_event_ids=each.evidence_event_ids,
        expires_at=each.expires_at,
    )


def _cycle(each: PurchaseCycle) -> profile_pb2.PurchaseCycle:
    return profile_pb2.PurchaseCycle(
        category_path=each.category_path,
        interval_days=each.interval_days,
        purchase_count=each.purchase_count,
        last_time=each.last_time,
        due_at=each.due_at,
        earliest_due_at=each.earliest_due_at,
        latest_due_at=each.latest_due_at,
        due_probability=each.due_probability,
        horizon_days=each.horizon_days,
        evidence_event_ids=each.evidence_event_ids,
        evidence_count=each.evidence_count,
        expires_at=each.expires_at,
    )


def _value(each: CustomerValue) -> customer_value_pb2.CustomerValue:
    return customer_value_pb2.CustomerValue(
        tier=_TIERS[each.tier],
        segment=_SEGMENTS[each.segment],
        recency_days=each.recency_days,
        frequency=each.frequency,
        monetary=each.monetary,
        recency_score=each.recency_score,
        frequency_score=each.frequency_score,
        monetary_score=each.monetary_score,
        window_days=each.window_days,
        confidence=each.confidence,
        evidence_event_ids=each.evidence_event_ids,
        expires_at=each.expires_at,
    )


def _rhythm(each: ActivityPattern) -> profile_pb2.ActivityPattern:
    return profile_pb2.ActivityPattern(
        hour_shares=each.hour_shares,
        weekday_shares=each.weekday_shares,
        peak_hours=each.peak_hours,
        peak_weekdays=each.peak_weekdays,
        median_gap_days=each.median_gap_days,
        confidence=each.confidence,
        evidence_event_ids=each.evidence_event_ids,
        expires_at=each.expires_at,
    )


def demographics_to_message(each: Demographics) -> demographics_pb2.Demographics:
    """Return the demographics that a shopper declared."""
    return demographics_pb2.Demographics(
        age_band=each.age_band,
        gender=each.gender,
        region=each.region,
        declared_at=each.declared_at,
        source=each.source,
        expires_at=each.expires_at,
    )


def _label(each: LabelInterest) -> profile_pb2.LabelInterest:
    return profile_pb2.LabelInterest(
        label=each.label,
        score=each.score,
        percentile=each.percentile,
        confidence=each.confidence,
        evidence_event_ids=each.evidence_event_ids,
        evidence_count=each.evidence_count,
        from_examples=each.from_examples,
        expires_at=each.expires_at,
    )


def _sentence(each: Sentence) -> profile_pb2.SummarySentence:
    return profile_pb2.SummarySentence(
        field=each.field,
        english=each.english,
        chinese=each.chinese,
        evidence_event_ids=each.evidence_event_ids,
    )


_PARTS: dict[str, Callable[[Any], Message]] = {
    "interests": _interest,
    "keywords": _keyword,
    "price_bands": _price_band,
    "aversions": _aversion,
    "brands": _brand,
    "discount_sensitivity": _discount,
    "session": _session,
    "recent_queries": _query,
    "purchase_cycles": _cycle,
    "customer_value": _value,
    "activity_pattern": _rhythm,
    "demographics": demographics_to_message,
    "label_interests": _label,
    "summary": _sentence,
    "traits": _trait,
}
