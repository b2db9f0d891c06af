import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from portrait.v1 import customer_value_pb2 as _customer_value_pb2
from portrait.v1 import demographics_pb2 as _demographics_pb2
from portrait.v1 import trait_pb2 as _trait_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SessionStage(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SESSION_STAGE_UNSPECIFIED: _ClassVar[SessionStage]
    SESSION_STAGE_BROWSING: _ClassVar[SessionStage]
    SESSION_STAGE_SEARCHING: _ClassVar[SessionStage]
    SESSION_STAGE_COMPARING: _ClassVar[SessionStage]
    SESSION_STAGE_CART: _ClassVar[SessionStage]
    SESSION_STAGE_PURCHASED: _ClassVar[SessionStage]

class QueryOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    QUERY_OUTCOME_UNSPECIFIED: _ClassVar[QueryOutcome]
    QUERY_OUTCOME_NONE: _ClassVar[QueryOutcome]
    QUERY_OUTCOME_VIEWED: _ClassVar[QueryOutcome]
    QUERY_OUTCOME_PURCHASED: _ClassVar[QueryOutcome]

class AbsenceReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ABSENCE_REASON_UNSPECIFIED: _ClassVar[AbsenceReason]
    ABSENCE_REASON_TOO_LITTLE_EVIDENCE: _ClassVar[AbsenceReason]
    ABSENCE_REASON_NOT_RECORDED: _ClassVar[AbsenceReason]
    ABSENCE_REASON_NO_STATISTICS: _ClassVar[AbsenceReason]
    ABSENCE_REASON_NO_CONSENT: _ClassVar[AbsenceReason]
SESSION_STAGE_UNSPECIFIED: SessionStage
SESSION_STAGE_BROWSING: SessionStage
SESSION_STAGE_SEARCHING: SessionStage
SESSION_STAGE_COMPARING: SessionStage
SESSION_STAGE_CART: SessionStage
SESSION_STAGE_PURCHASED: SessionStage
QUERY_OUTCOME_UNSPECIFIED: QueryOutcome
QUERY_OUTCOME_NONE: QueryOutcome
QUERY_OUTCOME_VIEWED: QueryOutcome
QUERY_OUTCOME_PURCHASED: QueryOutcome
ABSENCE_REASON_UNSPECIFIED: AbsenceReason
ABSENCE_REASON_TOO_LITTLE_EVIDENCE: AbsenceReason
ABSENCE_REASON_NOT_RECORDED: AbsenceReason
ABSENCE_REASON_NO_STATISTICS: AbsenceReason
ABSENCE_REASON_NO_CONSENT: AbsenceReason

class Profile(_message.Message):
    __slots__ = ("shopper_id", "interests", "keywords", "price_bands", "embedding", "event_count", "first_event_time", "last_event_time", "release", "as_of", "computed_at", "degraded", "aversions", "brands", "discount_sensitivity", "session", "recent_queries", "purchase_cycles", "customer_value", "activity_pattern", "demographics", "label_interests", "summary", "absent", "traits", "reviewed_by")
    SHOPPER_ID_FIELD_NUMBER: _ClassVar[int]
    INTERESTS_FIELD_NUMBER: _ClassVar[int]
    KEYWORDS_FIELD_NUMBER: _ClassVar[int]
    PRICE_BANDS_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_FIELD_NUMBER: _ClassVar[int]
    EVENT_COUNT_FIELD_NUMBER: _ClassVar[int]
    FIRST_EVENT_TIME_FIELD_NUMBER: _ClassVar[int]
    LAST_EVENT_TIME_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    AS_OF_FIELD_NUMBER: _ClassVar[int]
    COMPUTED_AT_FIELD_NUMBER: _ClassVar[int]
    DEGRADED_FIELD_NUMBER: _ClassVar[int]
    AVERSIONS_FIELD_NUMBER: _ClassVar[int]
    BRANDS_FIELD_NUMBER: _ClassVar[int]
    DISCOUNT_SENSITIVITY_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    RECENT_QUERIES_FIELD_NUMBER: _ClassVar[int]
    PURCHASE_CYCLES_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_VALUE_FIELD_NUMBER: _ClassVar[int]
    ACTIVITY_PATTERN_FIELD_NUMBER: _ClassVar[int]
    DEMOGRAPHICS_FIELD_NUMBER: _ClassVar[int]
    LABEL_INTERESTS_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    ABSENT_FIELD_NUMBER: _ClassVar[int]
    TRAITS_FIELD_NUMBER: _ClassVar[int]
    REVIEWED_BY_FIELD_NUMBER: _ClassVar[int]
    shopper_id: str
    interests: _containers.RepeatedCompositeFieldContainer[Interest]
    keywords: _containers.RepeatedCompositeFieldContainer[Keyword]
    price_bands: _containers.RepeatedCompositeFieldContainer[PriceBand]
    embedding: Vector
    event_count: int
    first_event_time: _timestamp_pb2.Timestamp
    last_event_time: _timestamp_pb2.Timestamp
    release: int
    as_of: _timestamp_pb2.Timestamp
    computed_at: _timestamp_pb2.Timestamp
    degraded: bool
    aversions: _containers.RepeatedCompositeFieldContainer[Aversion]
    brands: _containers.RepeatedCompositeFieldContainer[BrandAffinity]
    discount_sensitivity: DiscountSensitivity
    session: SessionIntent
    recent_queries: _containers.RepeatedCompositeFieldContainer[QueryIntent]
    purchase_cycles: _containers.RepeatedCompositeFieldContainer[PurchaseCycle]
    customer_value: _customer_value_pb2.CustomerValue
    activity_pattern: ActivityPattern
    demographics: _demographics_pb2.Demographics
    label_interests: _containers.RepeatedCompositeFieldContainer[LabelInterest]
    summary: _containers.RepeatedCompositeFieldContainer[SummarySentence]
    absent: _containers.RepeatedCompositeFieldContainer[AbsentField]
    traits: _containers.RepeatedCompositeFieldContainer[_trait_pb2.Trait]
    reviewed_by: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, shopper_id: _Optional[str] = ..., interests: _Optional[_Iterable[_Union[Interest, _Mapping]]] = ..., keywords: _Optional[_Iterable[_Union[Keyword, _Mapping]]] = ..., price_bands: _Optional[_Iterable[_Union[PriceBand, _Mapping]]] = ..., embedding: _Optional[_Union[Vector, _Mapping]] = ..., event_count: _Optional[int] = ..., first_event_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_event_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., release: _Optional[int] = ..., as_of: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., computed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., degraded: _Optional[bool] = ..., aversions: _Optional[_Iterable[_Union[Aversion, _Mapping]]] = ..., brands: _Optional[_Iterable[_Union[BrandAffinity, _Mapping]]] = ..., discount_sensitivity: _Optional[_Union[DiscountSensitivity, _Mapping]] = ..., session: _Optional[_Union[SessionIntent, _Mapping]] = ..., recent_queries: _Optional[_Iterable[_Union[QueryIntent, _Mapping]]] = ..., purchase_cycles: _Optional[_Iterable[_Union[PurchaseCycle, _Mapping]]] = ..., customer_value: _Optional[_Union[_customer_value_pb2.CustomerValue, _Mapping]] = ..., activity_pattern: _Optional[_Union[ActivityPattern, _Mapping]] = ..., demographics: _Optional[_Union[_demographics_pb2.Demographics, _Mapping]] = ..., label_interests: _Optional[_Iterable[_Union[LabelInterest, _Mapping]]] = ..., summary: _Optional[_Iterable[_Union[SummarySentence, _Mapping]]] = ..., absent: _Optional[_Iterable[_Union[AbsentField, _Mapping]]] = ..., traits: _Optional[_Iterable[_Union[_trait_pb2.Trait, _Mapping]]] = ..., reviewed_by: _Optional[_Iterable[str]] = ...) -> None: ...

class Vector(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, values: _Optional[_Iterable[float]] = ...) -> None: ...

class Interest(_message.Message):
    __slots__ = ("category_path", "weight", "confidence", "evidence_event_ids", "short_term_weight", "long_term_weight", "trend", "next_event_probability", "population_weight", "inferred", "expires_at", "evidence_count", "reviewed_by")
    CATEGORY_PATH_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_EVENT_IDS_FIELD_NUMBER: _ClassVar[int]
    SHORT_TERM_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    LONG_TERM_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    TREND_FIELD_NUMBER: _ClassVar[int]
    NEXT_EVENT_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    POPULATION_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    INFERRED_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_COUNT_FIELD_NUMBER: _ClassVar[int]
    REVIEWED_BY_FIELD_NUMBER: _ClassVar[int]
    category_path: _containers.RepeatedScalarFieldContainer[str]
    weight: float
    confidence: float
    evidence_event_ids: _containers.RepeatedScalarFieldContainer[str]
    short_term_weight: float
    long_term_weight: float
    trend: float
    next_event_probability: float
    population_weight: float
    inferred: bool
    expires_at: _timestamp_pb2.Timestamp
    evidence_count: int
    reviewed_by: str
    def __init__(self, category_path: _Optional[_Iterable[str]] = ..., weight: _Optional[float] = ..., confidence: _Optional[float] = ..., evidence_event_ids: _Optional[_Iterable[str]] = ..., short_term_weight: _Optional[float] = ..., long_term_weight: _Optional[float] = ..., trend: _Optional[float] = ..., next_event_probability: _Optional[float] = ..., population_weight: _Optional[float] = ..., inferred: _Optional[bool] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., evidence_count: _Optional[int] = ..., reviewed_by: _Optional[str] = ...) -> None: ...

class Keyword(_message.Message):
    __slots__ = ("word", "weight", "evidence_event_ids", "confidence", "expires_at", "evidence_count")
    WORD_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_EVENT_IDS_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_COUNT_FIELD_NUMBER: _ClassVar[int]
    word: str
    weight: float
    evidence_event_ids: _containers.RepeatedScalarFieldContainer[str]
    confidence: float
    expires_at: _timestamp_pb2.Timestamp
    evidence_count: int
    def __init__(self, word: _Optional[str] = ..., weight: _Optional[float] = ..., evidence_event_ids: _Optional[_Iterable[str]] = ..., confidence: _Optional[float] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., evidence_count: _Optional[int] = ...) -> None: ...

class PriceBand(_message.Message):
    __slots__ = ("category_path", "percentile", "low", "median", "high", "event_count", "evidence_event_ids", "confidence", "expires_at")
    CATEGORY_PATH_FIELD_NUMBER: _ClassVar[int]
    PERCENTILE_FIELD_NUMBER: _ClassVar[int]
    LOW_FIELD_NUMBER: _ClassVar[int]
    MEDIAN_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    EVENT_COUNT_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_EVENT_IDS_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    category_path: _containers.RepeatedScalarFieldContainer[str]
    percentile: float
    low: float
    median: float
    high: float
    event_count: int
    evidence_event_ids: _containers.RepeatedScalarFieldContainer[str]
    confidence: float
    expires_at: _timestamp_pb2.Timestamp
    def __init__(self, category_path: _Optional[_Iterable[str]] = ..., percentile: _Optional[float] = ..., low: _Optional[float] = ..., median: _Optional[float] = ..., high: _Optional[float] = ..., event_count: _Optional[int] = ..., evidence_event_ids: _Optional[_Iterable[str]] = ..., confidence: _Optional[float] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Aversion(_message.Message):
    __slots__ = ("category_path", "weight", "confidence", "evidence_event_ids", "expires_at", "evidence_count")
    CATEGORY_PATH_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_EVENT_IDS_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_COUNT_FIELD_NUMBER: _ClassVar[int]
    category_path: _containers.RepeatedScalarFieldContainer[str]
    weight: float
    confidence: float
    evidence_event_ids: _containers.RepeatedScalarFieldContainer[str]
    expires_at: _timestamp_pb2.Timestamp
    evidence_count: int
    def __init__(self, category_path: _Optional[_Iterable[str]] = ..., weight: _Optional[float] = ..., confidence: _Optional[float] = ..., evidence_event_ids: _Optional[_Iterable[str]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., evidence_count: _Optional[int] = ...) -> None: ...

class BrandAffinity(_message.Message):
    __slots__ = ("brand", "lift", "share", "confidence", "evidence_event_ids", "expires_at", "evidence_count")
    BRAND_FIELD_NUMBER: _ClassVar[int]
    LIFT_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_EVENT_IDS_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_COUNT_FIELD_NUMBER: _ClassVar[int]
    brand: str
    lift: float
    share: float
    confidence: float
    evidence_event_ids: _containers.RepeatedScalarFieldContainer[str]
    expires_at: _timestamp_pb2.Timestamp
    evidence_count: int
    def __init__(self, brand: _Optional[str] = ..., lift: _Optional[float] = ..., share: _Optional[float] = ..., confidence: _Optional[float] = ..., evidence_event_ids: _Optional[_Iterable[str]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., evidence_count: _Optional[int] = ...) -> None: ...

class DiscountSensitivity(_message.Message):
    __slots__ = ("discounted_share", "mean_discount", "percentile", "confidence", "purchase_count", "evidence_event_ids", "expires_at")
    DISCOUNTED_SHARE_FIELD_NUMBER: _ClassVar[int]
    MEAN_DISCOUNT_FIELD_NUMBER: _ClassVar[int]
    PERCENTILE_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    PURCHASE_COUNT_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_EVENT_IDS_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    discounted_share: float
    mean_discount: float
    percentile: float
    confidence: float
    purchase_count: int
    evidence_event_ids: _containers.RepeatedScalarFieldContainer[str]
    expires_at: _timestamp_pb2.Timestamp
    def __init__(self, discounted_share: _Optional[float] = ..., mean_discount: _Optional[float] = ..., percentile: _Optional[float] = ..., confidence: _Optional[float] = ..., purchase_count: _Optional[int] = ..., evidence_event_ids: _Optional[_Iterable[str]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class SessionCategory(_message.Message):
    __slots__ = ("category_path", "share")
    CATEGORY_PATH_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    category_path: _containers.RepeatedScalarFieldContainer[str]
    share: float
    def __init__(self, category_path: _Optional[_Iterable[str]] = ..., share: _Optional[float] = ...) -> None: ...

class SessionIntent(_message.Message):
    __slots__ = ("stage", "active", "categories", "queries", "started_at", "event_count", "confidence", "evidence_event_ids", "expires_at")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_FIELD_NUMBER: _ClassVar[int]
    CATEGORIES_FIELD_NUMBER: _ClassVar[int]
    QUERIES_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    EVENT_COUNT_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_EVENT_IDS_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    stage: SessionStage
    active: bool
    categories: _containers.RepeatedCompositeFieldContainer[SessionCategory]
    queries: _containers.RepeatedScalarFieldContainer[str]
    started_at: _timestamp_pb2.Timestamp
    event_count: int
    confidence: float
    evidence_event_ids: _containers.RepeatedScalarFieldContainer[str]
    expires_at: _timestamp_pb2.Timestamp
    def __init__(self, stage: _Optional[_Union[SessionStage, str]] = ..., active: _Optional[bool] = ..., categories: _Optional[_Iterable[_Union[SessionCategory, _Mapping]]] = ..., queries: _Optional[_Iterable[str]] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., event_count: _Optional[int] = ..., confidence: _Optional[float] = ..., evidence_event_ids: _Optional[_Iterable[str]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class QueryIntent(_message.Message):
    __slots__ = ("query", "count", "last_time", "outcome", "category_path", "confidence", "evidence_event_ids", "expires_at")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    LAST_TIME_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_PATH_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_EVENT_IDS_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    query: str
    count: int
    last_time: _timestamp_pb2.Timestamp
    outcome: QueryOutcome
    category_path: _containers.RepeatedScalarFieldContainer[str]
    confidence: float
    evidence_event_ids: _containers.RepeatedScalarFieldContainer[str]
    expires_at: _timestamp_pb2.Timestamp
    def __init__(self, query: _Optional[str] = ..., count: _Optional[int] = ..., last_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., outcome: _Optional[_Union[QueryOutcome, str]] = ..., category_path: _Optional[_Iterable[str]] = ..., confidence: _Optional[float] = ..., evidence_event_ids: _Optional[_Iterable[str]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class PurchaseCycle(_message.Message):
    __slots__ = ("category_path", "interval_days", "purchase_count", "last_time", "due_at", "earliest_due_at", "latest_due_at", "due_probability", "horizon_days", "evidence_event_ids", "expires_at", "evidence_count")
    CATEGORY_PATH_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_DAYS_FIELD_NUMBER: _ClassVar[int]
    PURCHASE_COUNT_FIELD_NUMBER: _ClassVar[int]
    LAST_TIME_FIELD_NUMBER: _ClassVar[int]
    DUE_AT_FIELD_NUMBER: _ClassVar[int]
    EARLIEST_DUE_AT_FIELD_NUMBER: _ClassVar[int]
    LATEST_DUE_AT_FIELD_NUMBER: _ClassVar[int]
    DUE_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    HORIZON_DAYS_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_EVENT_IDS_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_COUNT_FIELD_NUMBER: _ClassVar[int]
    category_path: _containers.RepeatedScalarFieldContainer[str]
    interval_days: float
    purchase_count: int
    last_time: _timestamp_pb2.Timestamp
    due_at: _timestamp_pb2.Timestamp
    earliest_due_at: _timestamp_pb2.Timestamp
    latest_due_at: _timestamp_pb2.Timestamp
    due_probability: float
    horizon_days: float
    evidence_event_ids: _containers.RepeatedScalarFieldContainer[str]
    expires_at: _timestamp_pb2.Timestamp
    evidence_count: int
    def __init__(self, category_path: _Optional[_Iterable[str]] = ..., interval_days: _Optional[float] = ..., purchase_count: _Optional[int] = ..., last_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., due_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., earliest_due_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., latest_due_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., due_probability: _Optional[float] = ..., horizon_days: _Optional[float] = ..., evidence_event_ids: _Optional[_Iterable[str]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., evidence_count: _Optional[int] = ...) -> None: ...

class ActivityPattern(_message.Message):
    __slots__ = ("hour_shares", "weekday_shares", "peak_hours", "peak_weekdays", "median_gap_days", "confidence", "evidence_event_ids", "expires_at")
    HOUR_SHARES_FIELD_NUMBER: _ClassVar[int]
    WEEKDAY_SHARES_FIELD_NUMBER: _ClassVar[int]
    PEAK_HOURS_FIELD_NUMBER: _ClassVar[int]
    PEAK_WEEKDAYS_FIELD_NUMBER: _ClassVar[int]
    MEDIAN_GAP_DAYS_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_EVENT_IDS_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    hour_shares: _containers.RepeatedScalarFieldContainer[float]
    weekday_shares: _containers.RepeatedScalarFieldContainer[float]
    peak_hours: _containers.RepeatedScalarFieldContainer[int]
    peak_weekdays: _containers.RepeatedScalarFieldContainer[int]
    median_gap_days: float
    confidence: float
    evidence_event_ids: _containers.RepeatedScalarFieldContainer[str]
    expires_at: _timestamp_pb2.Timestamp
    def __init__(self, hour_shares: _Optional[_Iterable[float]] = ..., weekday_shares: _Optional[_Iterable[float]] = ..., peak_hours: _Optional[_Iterable[int]] = ..., peak_weekdays: _Optional[_Iterable[int]] = ..., median_gap_days: _Optional[float] = ..., confidence: _Optional[float] = ..., evidence_event_ids: _Optional[_Iterable[str]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class LabelInterest(_message.Message):
    __slots__ = ("label", "score", "percentile", "confidence", "evidence_event_ids", "from_examples", "expires_at", "evidence_count")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    PERCENTILE_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_EVENT_IDS_FIELD_NUMBER: _ClassVar[int]
    FROM_EXAMPLES_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_COUNT_FIELD_NUMBER: _ClassVar[int]
    label: str
    score: float
    percentile: float
    confidence: float
    evidence_event_ids: _containers.RepeatedScalarFieldContainer[str]
    from_examples: bool
    expires_at: _timestamp_pb2.Timestamp
    evidence_count: int
    def __init__(self, label: _Optional[str] = ..., score: _Optional[float] = ..., percentile: _Optional[float] = ..., confidence: _Optional[float] = ..., evidence_event_ids: _Optional[_Iterable[str]] = ..., from_examples: _Optional[bool] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., evidence_count: _Optional[int] = ...) -> None: ...

class SummarySentence(_message.Message):
    __slots__ = ("field", "english", "chinese", "evidence_event_ids")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    ENGLISH_FIELD_NUMBER: _ClassVar[int]
    CHINESE_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_EVENT_IDS_FIELD_NUMBER: _ClassVar[int]
    field: str
    english: str
    chinese: str
    evidence_event_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, field: _Optional[str] = ..., english: _Optional[str] = ..., chinese: _Optional[str] = ..., evidence_event_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class AbsentField(_message.Message):
    __slots__ = ("field", "reason", "explanation")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    EXPLANATION_FIELD_NUMBER: _ClassVar[int]
    field: str
    reason: AbsenceReason
    explanation: str
    def __init__(self, field: _Optional[str] = ..., reason: _Optional[_Union[AbsenceReason, str]] = ..., explanation: _Optional[str] = ...) -> None: ...
