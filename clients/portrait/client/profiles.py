"""Profiles and their parts; each has the fields of the message of the same name in the contract."""

from array import array
from dataclasses import dataclass
from datetime import datetime, timedelta

from portrait.client.message_reader import read_message
from portrait.v1 import demographics_pb2, profile_pb2, profile_service_pb2

CategoryPath = tuple[str, ...]
Ids = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Interest:
    """An interest in a category."""

    category_path: CategoryPath
    weight: float
    confidence: float
    evidence_event_ids: Ids
    short_term_weight: float = 0.0
    long_term_weight: float = 0.0
    trend: float = 0.0
    next_event_probability: float | None = None
    population_weight: float | None = None
    inferred: bool = False
    expires_at: datetime | None = None
    evidence_count: int = 0
    """Number of supporting events; `evidence_event_ids` names the first 10 of them."""
    reviewed_by: str = ""
    """Name of the person who set the weight in a review; empty if nobody did."""


@dataclass(frozen=True, slots=True)
class Keyword:
    """A word that distinguishes a history."""

    word: str
    weight: float
    evidence_event_ids: Ids
    confidence: float = 0.0
    expires_at: datetime | None = None
    evidence_count: int = 0
    """Number of supporting events; `evidence_event_ids` names the first 10 of them."""


@dataclass(frozen=True, slots=True)
class PriceBand:
    """Prices that a shopper pays in one category, in the shop's currency."""

    category_path: CategoryPath
    percentile: float
    low: float
    median: float
    high: float
    event_count: int
    evidence_event_ids: Ids
    confidence: float = 0.0
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Aversion:
    """A category that the shopper rejects."""

    category_path: CategoryPath
    weight: float
    confidence: float
    evidence_event_ids: Ids
    expires_at: datetime | None
    evidence_count: int = 0
    """Number of supporting events; `evidence_event_ids` names the first 10 of them."""


@dataclass(frozen=True, slots=True)
class BrandAffinity:
    """A preference for a brand, relative to other shoppers of the same categories."""

    brand: str
    lift: float
    share: float
    confidence: float
    evidence_event_ids: Ids
    expires_at: datetime | None
    evidence_count: int = 0
    """Number of supporting events; `evidence_event_ids` names the first 10 of them."""


@dataclass(frozen=True, slots=True)
class DiscountSensitivity:
    """The shopper's preference for items below their usual price."""

    discounted_share: float
    mean_discount: float
    percentile: float
    confidence: float
    purchase_count: int
    evidence_event_ids: Ids
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class SessionCategory:
    """A category of a session, with its share of the evidence."""

    category_path: CategoryPath
    share: float


@dataclass(frozen=True, slots=True)
class SessionIntent:
    """The intent of the shopper's latest session."""

    stage: str
    """`browsing`, `searching`, `comparing`, `cart` or `purchased`."""
    active: bool
    categories: tuple[SessionCategory, ...]
    queries: tuple[str, ...]
    started_at: datetime
    event_count: int
    confidence: float
    evidence_event_ids: Ids
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class QueryIntent:
    """A need that the shopper stated in a query."""

    query: str
    count: int
    last_time: datetime | None
    outcome: str
    """`none`, `viewed` or `purchased`."""
    category_path: CategoryPath
    confidence: float
    evidence_event_ids: Ids
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class PurchaseCycle:
    """The next purchase in a category that the shopper buys repeatedly."""

    category_path: CategoryPath
    interval_days: float
    purchase_count: int
    last_time: datetime
    due_at: datetime
    earliest_due_at: datetime
    latest_due_at: datetime
    due_probability: float
    horizon_days: float
    evidence_event_ids: Ids
    expires_at: datetime
    evidence_count: int = 0
    """Number of supporting events; `evidence_event_ids` names the first 10 of them."""


@dataclass(frozen=True, slots=True)
class CustomerValue:
    """Customer value: recency, frequency and monetary value (RFM)."""

    tier: str
    """`low`, `middle`, `high` or `top`."""
    segment: str
    """`loyal`, `occasional`, `new`, `at_risk` or `dormant`."""
    recency_days: float
    frequency: int
    monetary: float | None
    recency_score: int
    frequency_score: int
    monetary_score: int | None
    window_days: float
    confidence: float
    evidence_event_ids: Ids
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class ActivityPattern:
    """Hours and weekdays at which a shopper is active."""

    hour_shares: tuple[float, ...]
    weekday_shares: tuple[float, ...]
    peak_hours: tuple[int, ...]
    peak_weekdays: tuple[int, ...]
    median_gap_days: float
    confidence: float
    evidence_event_ids: Ids
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Demographics:
    """Demographics that the shopper declared; the age as a band."""

    age_band: str
    gender: str
    region: str
    declared_at: datetime | None
    source: str
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class LabelInterest:
    """A zero-shot interest: similarity between the shopper and a label that no model was trained on."""

    label: str
    score: float
    percentile: float
    confidence: float
    evidence_event_ids: Ids
    from_examples: bool
    expires_at: datetime | None
    evidence_count: int = 0
    """Number of supporting events; `evidence_event_ids` names the first 10 of them."""


@dataclass(frozen=True, slots=True)
class SummarySentence:
    """One sentence of a summary."""

    field: str
    english: str
    chinese: str
    evidence_event_ids: Ids


@dataclass(frozen=True, slots=True)
class AbsentField:
    """A field that was requested and is absent."""

    field: str
    reason: str
    """`too_little_evidence`, `not_recorded`, `no_statistics` or `no_consent`."""
    explanation: str


@dataclass(frozen=True, slots=True)
class Trait:
    """A declared probability of a shopper."""

    name: str
    description: str
    probability: float | None
    """Calibrated probability that the outcome occurs within the horizon; None if it is absent."""
    horizon: timedelta
    absent_reason: str
    """Reason for the missing probability; empty if there is one."""
    auc: float | None
    calibration_error: float | None
    """Both on a hold-out period after the training period; None if the release could not learn the trait."""
    reviewed_by: str = ""
    """Name of the person who set the probability in a review, or took it away; empty if nobody did."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A shopper's profile, computed from their events."""

    shopper_id: str
    interests: tuple[Interest, ...]
    keywords: tuple[Keyword, ...]
    price_bands: tuple[PriceBand, ...]
    embedding: "array[float] | None"
    """Float32, unit length; `numpy.asarray` reads it without a copy. None unless it was requested."""
    event_count: int
    first_event_time: datetime | None
    last_event_time: datetime | None
    release: int
    as_of: datetime | None
    computed_at: datetime | None
    degraded: bool = False
    """True if the models did not answer: the embedding is that of an earlier state of the history, or None."""
    aversions: tuple[Aversion, ...] = ()
    brands: tuple[BrandAffinity, ...] = ()
    discount_sensitivity: DiscountSensitivity | None = None
    session: SessionIntent | None = None
    recent_queries: tuple[QueryIntent, ...] = ()
    purchase_cycles: tuple[PurchaseCycle, ...] = ()
    customer_value: CustomerValue | None = None
    activity_pattern: ActivityPattern | None = None
    demographics: Demographics | None = None
    label_interests: tuple[LabelInterest, ...] = ()
    summary: tuple[SummarySentence, ...] = ()
    absent: tuple[AbsentField, ...] = ()
    traits: tuple[Trait, ...] = ()
    reviewed_by: tuple[str, ...] = ()
    """Everybody whose review of an interest, a trait or an item holds for this shopper, by name."""
    """Empty unless they were requested."""


@dataclass(frozen=True, slots=True)
class ProfileError:
    """The error of one shopper of a batch."""

    code: int
    """The gRPC status code, as a number."""
    field: str
    message: str
    reason: str = ""
    """The reason code, for example `SHOPPER_UNKNOWN`."""


def read_profile(message: profile_pb2.Profile) -> Profile:
    """Read the profile of a response."""
    profile: Profile = read_message(message)
    return profile


def read_demographics(message: demographics_pb2.Demographics) -> Demographics:
    """Read the demographics of a response."""
    demographics: Demographics = read_message(message)
    return demographics


def read_profiles(message: profile_service_pb2.BatchGetProfilesResponse) -> list[Profile | ProfileError]:
    """Read the results of a batch, in the order of the request."""
    return [
        read_profile(each.profile)
        if each.WhichOneof("result") == "profile"
        else ProfileError(each.error.code, each.error.field, each.error.message, each.error.reason)
        for each in message.results
    ]
