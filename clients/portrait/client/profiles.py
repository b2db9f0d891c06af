"""Profiles as the client gives them; the fields of each part are those of its message in the contract."""

from array import array
from dataclasses import dataclass
from datetime import datetime, timedelta

from portrait.client.message_reader import read_message
from portrait.v1 import demographics_pb2, profile_pb2, profile_service_pb2

Path = tuple[str, ...]
Ids = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Interest:
    """An interest in one node of the taxonomy."""

    category_path: Path
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
    """Events that speak for it; `evidence_event_ids` names the first of them."""


@dataclass(frozen=True, slots=True)
class Keyword:
    """A word that sets a history apart."""

    word: str
    weight: float
    evidence_event_ids: Ids
    confidence: float = 0.0
    expires_at: datetime | None = None
    evidence_count: int = 0
    """Events that speak for it; `evidence_event_ids` names the first of them."""


@dataclass(frozen=True, slots=True)
class PriceBand:
    """What a shopper pays within one category, in the shop's currency."""

    category_path: Path
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
    """A node of the taxonomy that the shopper turns away from."""

    category_path: Path
    weight: float
    confidence: float
    evidence_event_ids: Ids
    expires_at: datetime | None
    evidence_count: int = 0
    """Events that speak for it; `evidence_event_ids` names the first of them."""


@dataclass(frozen=True, slots=True)
class BrandAffinity:
    """How much more a shopper turns to a brand than others do."""

    brand: str
    lift: float
    share: float
    confidence: float
    evidence_event_ids: Ids
    expires_at: datetime | None
    evidence_count: int = 0
    """Events that speak for it; `evidence_event_ids` names the first of them."""


@dataclass(frozen=True, slots=True)
class DiscountSensitivity:
    """How much of what a shopper buys is bought below the usual price."""

    discounted_share: float
    mean_discount: float
    percentile: float
    confidence: float
    purchase_count: int
    evidence_event_ids: Ids
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class SessionCategory:
    """A share of a session that one category has."""

    category_path: Path
    share: float


@dataclass(frozen=True, slots=True)
class SessionIntent:
    """What the shopper's latest session is about."""

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
    """Something that the shopper asked for."""

    query: str
    count: int
    last_time: datetime | None
    outcome: str
    """`none`, `viewed` or `purchased`."""
    category_path: Path
    confidence: float
    evidence_event_ids: Ids
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class PurchaseCycle:
    """When a category that the shopper buys again and again is due."""

    category_path: Path
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
    """Events that speak for it; `evidence_event_ids` names the first of them."""


@dataclass(frozen=True, slots=True)
class CustomerValue:
    """Recency, frequency and spending."""

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
    """When a shopper is active."""

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
    """What the shopper declared, in bands."""

    age_band: str
    gender: str
    region: str
    declared_at: datetime | None
    source: str
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class LabelInterest:
    """How near a shopper is to a label that nobody trained for."""

    label: str
    score: float
    percentile: float
    confidence: float
    evidence_event_ids: Ids
    from_examples: bool
    expires_at: datetime | None
    evidence_count: int = 0
    """Events that speak for it; `evidence_event_ids` names the first of them."""


@dataclass(frozen=True, slots=True)
class SummarySentence:
    """One sentence of a summary."""

    field: str
    english: str
    chinese: str
    evidence_event_ids: Ids


@dataclass(frozen=True, slots=True)
class AbsentField:
    """A field that was asked for and is not there."""

    field: str
    reason: str
    """`too_little_evidence`, `not_recorded`, `no_statistics` or `no_consent`."""
    explanation: str


@dataclass(frozen=True, slots=True)
class Trait:
    """A named probability of a shopper, as the shop's teams declared it."""

    name: str
    description: str
    probability: float | None
    """That it comes true within the horizon, calibrated; None if absent."""
    horizon: timedelta
    absent_reason: str
    """Why there is no probability; empty if there is one."""
    auc: float | None
    calibration_error: float | None
    """What both were on a time that the release had not seen; None if it could not learn the trait."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What a history says about a shopper."""

    shopper_id: str
    interests: tuple[Interest, ...]
    keywords: tuple[Keyword, ...]
    price_bands: tuple[PriceBand, ...]
    embedding: "array[float] | None"
    """Unit length, float32; `numpy.asarray` reads it without a copy. None unless it was asked for."""
    event_count: int
    first_event_time: datetime | None
    last_event_time: datetime | None
    release: int
    as_of: datetime | None
    computed_at: datetime | None
    degraded: bool = False
    """Whether embedding or labels were asked for, but the models did not answer: the embedding is old, or None."""
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
    """Empty unless they were asked for."""


@dataclass(frozen=True, slots=True)
class ProfileError:
    """Why one shopper of a batch has no profile."""

    code: int
    """The gRPC status code, as a number."""
    field: str
    message: str
    reason: str = ""
    """The cause in one word, for example `SHOPPER_UNKNOWN`."""


def read_profile(message: profile_pb2.Profile) -> Profile:
    """A profile of a response."""
    profile: Profile = read_message(message)
    return profile


def read_demographics(message: demographics_pb2.Demographics) -> Demographics:
    """What a shopper declared."""
    demographics: Demographics = read_message(message)
    return demographics


def read_profiles(message: profile_service_pb2.BatchGetProfilesResponse) -> list[Profile | ProfileError]:
    """The results of a batch, in the order of the request."""
    return [
        read_profile(each.profile)
        if each.WhichOneof("result") == "profile"
        else ProfileError(each.error.code, each.error.field, each.error.message, each.error.reason)
        for each in message.results
    ]
