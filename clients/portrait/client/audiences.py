"""Audiences: criteria of requests, pages and summaries of responses. The fields are those of `portrait.v1`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from portrait.client.messages import build_timestamp
from portrait.v1 import audience_service_pb2, customer_value_pb2, item_pb2


@dataclass(frozen=True, slots=True)
class InterestCriterion:
    """Met by shoppers who have at least one of the interests, given by category or by label."""

    categories: Sequence[Sequence[str]] = ()
    min_weight: float = 0.0
    labels: Sequence[str] = ()
    min_percentile: float = 0.0


@dataclass(frozen=True, slots=True)
class TraitCriterion:
    """Met by shoppers whose probability of the trait lies in a range."""

    name: str
    min_probability: float = 0.0
    max_probability: float = 1.0


@dataclass(frozen=True, slots=True)
class CustomerValueCriterion:
    """Met by shoppers who meet all of these conditions. Tiers and segments are named as in `CustomerValue`: "top"."""

    tiers: Sequence[str] = ()
    segments: Sequence[str] = ()
    min_recency_score: int = 0
    min_frequency_score: int = 0
    min_monetary_score: int = 0


@dataclass(frozen=True, slots=True)
class ActivityCriterion:
    """Met by shoppers whose last event is at `since` or later, and before `before`."""

    since: datetime | None = None
    before: datetime | None = None


@dataclass(frozen=True, slots=True)
class RegionCriterion:
    """Met by shoppers who declared one of the regions and consent to the purpose `demographics`."""

    regions: Sequence[str]


Criterion = InterestCriterion | TraitCriterion | CustomerValueCriterion | ActivityCriterion | RegionCriterion


@dataclass(frozen=True, slots=True)
class LookAlike:
    """Shoppers who resemble the shoppers of a seed, without the seed. Give one of `top` and `min_similarity`."""

    seed: Sequence[str] | Sequence[Criterion]
    """Ids of shoppers, or criteria that all of the seed meet."""
    top: int | None = None
    min_similarity: float | None = None


@dataclass(frozen=True, slots=True)
class AudienceSummary:
    """The summary of an audience."""

    estimated_size: int
    """Rounded; 0 if there is a shortfall."""
    shortfall: str
    """Empty, or the part with fewer shoppers than `minimum_size`: "audience" or "seed". Then no shopper is named."""
    minimum_size: int
    release: int
    snapshot: str
    """Name of the audience table; every `portrait build-audience-table` makes a new one."""
    table_size: int
    oldest_as_of: datetime
    newest_as_of: datetime


@dataclass(frozen=True, slots=True)
class AudienceMember:
    """A shopper of an audience."""

    shopper_id: str
    as_of: datetime
    similarity: float | None
    """None unless look-alikes were requested."""


@dataclass(frozen=True, slots=True)
class AudiencePage:
    """One page of an audience."""

    summary: AudienceSummary
    next_page_token: str
    """Token of the next page; empty on the last page."""
    members: tuple[AudienceMember, ...] = field(default=())


def build_audience(criteria: Sequence[Criterion], look_alike: LookAlike | None) -> audience_service_pb2.Audience:
    """Build the message of an audience.

    Raises:
        ValueError: a tier or a segment does not exist.
    """
    return audience_service_pb2.Audience(
        criteria=[_criterion(each) for each in criteria],
        look_alike=None if look_alike is None else _look_alike(look_alike),
    )


def _criterion(value: Criterion) -> audience_service_pb2.Criterion:
    kind = audience_service_pb2.Criterion
    match value:
        case InterestCriterion():
            return kind(
                interest=audience_service_pb2.InterestCriterion(
                    categories=[item_pb2.CategoryPath(names=path) for path in value.categories],
                    min_weight=value.min_weight,
                    labels=value.labels,
                    min_percentile=value.min_percentile,
                )
            )
        case TraitCriterion():
            return kind(
                trait=audience_service_pb2.TraitCriterion(
                    name=value.name, min_probability=value.min_probability, max_probability=value.max_probability
                )
            )
        case CustomerValueCriterion():
            return kind(
                customer_value=audience_service_pb2.CustomerValueCriterion(
                    tiers=[_enum_number(customer_value_pb2.ValueTier, "tiers", tier) for tier in value.tiers],
                    segments=[
                        _enum_number(customer_value_pb2.ValueSegment, "segments", each) for each in value.segments
                    ],
                    min_recency_score=value.min_recency_score,
                    min_frequency_score=value.min_frequency_score,
                    min_monetary_score=value.min_monetary_score,
                )
            )
        case RegionCriterion():
            return kind(region=audience_service_pb2.RegionCriterion(regions=value.regions))
        case ActivityCriterion():
            return kind(
                activity=audience_service_pb2.ActivityCriterion(
                    since=build_timestamp(value.since), before=build_timestamp(value.before)
                )
            )


def _look_alike(value: LookAlike) -> audience_service_pb2.LookAlike:
    shopper_ids = [each for each in value.seed if isinstance(each, str)]
    criteria = [_criterion(each) for each in value.seed if not isinstance(each, str)]
    message = audience_service_pb2.LookAlike(top=value.top, min_similarity=value.min_similarity)
    if criteria:
        message.criteria.criteria.extend(criteria)
    else:
        message.shoppers.shopper_ids.extend(shopper_ids)
        message.shoppers.SetInParent()
    return message


def _enum_number(enum: Any, field: str, name: str) -> Any:
    """Return the number of an enum value by its name without the enum's prefix.

    Raises:
        ValueError: the enum has no such value.
    """
    unspecified, *values = enum.DESCRIPTOR.values
    prefix = unspecified.name.removesuffix("UNSPECIFIED")
    numbers = {value.name.removeprefix(prefix).lower(): value.number for value in values}
    if name.lower() not in numbers:
        *first, last = numbers
        raise ValueError(f"{field} takes {', '.join(first)} or {last}")
    return numbers[name.lower()]


def read_page(message: audience_service_pb2.FindAudienceResponse) -> AudiencePage:
    """Read a page of a response."""
    return AudiencePage(
        summary=read_summary(message),
        next_page_token=message.next_page_token,
        members=tuple(
            AudienceMember(each.shopper_id, _time(each.as_of), each.similarity if each.HasField("similarity") else None)
            for each in message.members
        ),
    )


def read_summary(
    message: audience_service_pb2.FindAudienceResponse | audience_service_pb2.EstimateAudienceResponse,
) -> AudienceSummary:
    """Read the summary of a response."""
    summary = message.summary
    name = audience_service_pb2.AudienceShortfall.Name(summary.shortfall)
    return AudienceSummary(
        estimated_size=summary.estimated_size,
        shortfall=name.removeprefix("AUDIENCE_SHORTFALL_").lower().removeprefix("unspecified"),
        minimum_size=summary.minimum_size,
        release=summary.release,
        snapshot=summary.snapshot,
        table_size=summary.table_size,
        oldest_as_of=_time(summary.oldest_as_of),
        newest_as_of=_time(summary.newest_as_of),
    )


def _time(message: Timestamp) -> datetime:
    return message.ToDatetime(tzinfo=UTC)
