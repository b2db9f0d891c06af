import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
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
    SESSION_STAGE_BOUGHT: _ClassVar[SessionStage]

class QueryOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    QUERY_OUTCOME_UNSPECIFIED: _ClassVar[QueryOutcome]
    QUERY_OUTCOME_NONE: _ClassVar[QueryOutcome]
    QUERY_OUTCOME_LOOKED: _ClassVar[QueryOutcome]
    QUERY_OUTCOME_BOUGHT: _ClassVar[QueryOutcome]

class ValueTier(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VALUE_TIER_UNSPECIFIED: _ClassVar[ValueTier]
    VALUE_TIER_LOW: _ClassVar[ValueTier]
    VALUE_TIER_MIDDLE: _ClassVar[ValueTier]
    VALUE_TIER_HIGH: _ClassVar[ValueTier]
    VALUE_TIER_TOP: _ClassVar[ValueTier]

class ValueSegment(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VALUE_SEGMENT_UNSPECIFIED: _ClassVar[ValueSegment]
    VALUE_SEGMENT_LOYAL: _ClassVar[ValueSegment]
    VALUE_SEGMENT_OCCASIONAL: _ClassVar[ValueSegment]
    VALUE_SEGMENT_NEW: _ClassVar[ValueSegment]
    VALUE_SEGMENT_AT_RISK: _ClassVar[ValueSegment]
    VALUE_SEGMENT_DORMANT: _ClassVar[ValueSegment]

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
SESSION_STAGE_BOUGHT: SessionStage
QUERY_OUTCOME_UNSPECIFIED: QueryOutcome
QUERY_OUTCOME_NONE: QueryOutcome
QUERY_OUTCOME_LOOKED: QueryOutcome
QUERY_OUTCOME_BOUGHT: QueryOutcome
VALUE_TIER_UNSPECIFIED: ValueTier
VALUE_TIER_LOW: ValueTier
VALUE_TIER_MIDDLE: ValueTier
VALUE_TIER_HIGH: ValueTier
VALUE_TIER_TOP: ValueTier
VALUE_SEGMENT_UNSPECIFIED: ValueSegment
VALUE_SEGMENT_LOYAL: ValueSegment
VALUE_SEGMENT_OCCASIONAL: ValueSegment
VALUE_SEGMENT_NEW: ValueSegment
VALUE_SEGMENT_AT_RISK: ValueSegment
VALUE_SEGMENT_DORMANT: ValueSegment
ABSENCE_REASON_UNSPECIFIED: AbsenceReason
ABSENCE_REASON_TOO_LITTLE_EVIDENCE: AbsenceReason
ABSENCE_REASON_NOT_RECORDED: AbsenceReason
ABSENCE_REASON_NO_STATISTICS: AbsenceReason
ABSENCE_REASON_NO_CONSENT: AbsenceReason

class Aversion(_message.Message):
    __slots__ = ("path", "weight", "confidence", "evidence_event_ids", "expires_at", "evidence_count")
    PATH_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_EVENT_IDS_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_COUNT_FIELD_NUMBER: _ClassVar[int]
    path: _containers.RepeatedScalarFieldContainer[str]
    weight: float
    confidence: float
    evidence_event_ids: _containers.RepeatedScalarFieldContainer[str]
    expires_at: _timestamp_pb2.Timestamp
    evidence_count: int
    def __init__(self, path: _Optional[_Iterable[str]] = ..., weight: _Optional[float] = ..., confidence: _Optional[float] = ..., evidence_event_ids: _Optional[_Iterable[str]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., evidence_count: _Optional[int] = ...) -> None: ...

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

class SessionFocus(_message.Message):
    __slots__ = ("path", "share")
    PATH_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    path: _containers.RepeatedScalarFieldContainer[str]
    share: float
    def __init__(self, path: _Optional[_Iterable[str]] = ..., share: _Optional[float] = ...) -> None: ...

class SessionIntent(_message.Message):
    __slots__ = ("stage", "active", "focus", "queries", "started_at", "event_count", "confidence", "evidence_event_ids", "expires_at")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_FIELD_NUMBER: _ClassVar[int]
    FOCUS_FIELD_NUMBER: _ClassVar[int]
    QUERIES_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    EVENT_COUNT_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_EVENT_IDS_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    stage: SessionStage
    active: bool
    focus: _containers.RepeatedCompositeFieldContainer[SessionFocus]
    queries: _containers.RepeatedScalarFieldContainer[str]
    started_at: _timestamp_pb2.Timestamp
    event_count: int
    confidence: float
    evidence_event_ids: _containers.RepeatedScalarFieldContainer[str]
    expires_at: _timestamp_pb2.Timestamp
    def __init__(self, stage: _Optional[_Union[SessionStage, str]] = ..., active: _Optional[bool] = ..., focus: _Optional[_Iterable[_Union[SessionFocus, _Mapping]]] = ..., queries: _Optional[_Iterable[str]] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., event_count: _Optional[int] = ..., confidence: _Optional[float] = ..., evidence_event_ids: _Optional[_Iterable[str]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class QueryIntent(_message.Message):
    __slots__ = ("query", "count", "last_time", "outcome", "path", "confidence", "evidence_event_ids", "expires_at")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    LAST_TIME_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_EVENT_IDS_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    query: str
    count: int
    last_time: _timestamp_pb2.Timestamp
    outcome: QueryOutcome
    path: _containers.RepeatedScalarFieldContainer[str]
    confidence: float
    evidence_event_ids: _containers.RepeatedScalarFieldContainer[str]
    expires_at: _timestamp_pb2.Timestamp
    def __init__(self, query: _Optional[str] = ..., count: _Optional[int] = ..., last_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., outcome: _Optional[_Union[QueryOutcome, str]] = ..., path: _Optional[_Iterable[str]] = ..., confidence: _Optional[float] = ..., evidence_event_ids: _Optional[_Iterable[str]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class PurchaseCycle(_message.Message):
    __slots__ = ("path", "interval_days", "purchase_count", "last_time", "due_at", "earliest", "latest", "due_probability", "horizon_days", "evidence_event_ids", "expires_at", "evidence_count")
    PATH_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_DAYS_FIELD_NUMBER: _ClassVar[int]
    PURCHASE_COUNT_FIELD_NUMBER: _ClassVar[int]
    LAST_TIME_FIELD_NUMBER: _ClassVar[int]
    DUE_AT_FIELD_NUMBER: _ClassVar[int]
    EARLIEST_FIELD_NUMBER: _ClassVar[int]
    LATEST_FIELD_NUMBER: _ClassVar[int]
    DUE_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    HORIZON_DAYS_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_EVENT_IDS_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_COUNT_FIELD_NUMBER: _ClassVar[int]
    path: _containers.RepeatedScalarFieldContainer[str]
    interval_days: float
    purchase_count: int
    last_time: _timestamp_pb2.Timestamp
    due_at: _timestamp_pb2.Timestamp
    earliest: _timestamp_pb2.Timestamp
    latest: _timestamp_pb2.Timestamp
    due_probability: float
    horizon_days: float
    evidence_event_ids: _containers.RepeatedScalarFieldContainer[str]
    expires_at: _timestamp_pb2.Timestamp
    evidence_count: int
    def __init__(self, path: _Optional[_Iterable[str]] = ..., interval_days: _Optional[float] = ..., purchase_count: _Optional[int] = ..., last_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., due_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., earliest: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., latest: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., due_probability: _Optional[float] = ..., horizon_days: _Optional[float] = ..., evidence_event_ids: _Optional[_Iterable[str]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., evidence_count: _Optional[int] = ...) -> None: ...

class Value(_message.Message):
    __slots__ = ("tier", "segment", "recency_days", "frequency", "monetary", "recency_score", "frequency_score", "monetary_score", "window_days", "confidence", "evidence_event_ids", "expires_at")
    TIER_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_FIELD_NUMBER: _ClassVar[int]
    RECENCY_DAYS_FIELD_NUMBER: _ClassVar[int]
    FREQUENCY_FIELD_NUMBER: _ClassVar[int]
    MONETARY_FIELD_NUMBER: _ClassVar[int]
    RECENCY_SCORE_FIELD_NUMBER: _ClassVar[int]
    FREQUENCY_SCORE_FIELD_NUMBER: _ClassVar[int]
    MONETARY_SCORE_FIELD_NUMBER: _ClassVar[int]
    WINDOW_DAYS_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_EVENT_IDS_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    tier: ValueTier
    segment: ValueSegment
    recency_days: float
    frequency: int
    monetary: float
    recency_score: int
    frequency_score: int
    monetary_score: int
    window_days: float
    confidence: float
    evidence_event_ids: _containers.RepeatedScalarFieldContainer[str]
    expires_at: _timestamp_pb2.Timestamp
    def __init__(self, tier: _Optional[_Union[ValueTier, str]] = ..., segment: _Optional[_Union[ValueSegment, str]] = ..., recency_days: _Optional[float] = ..., frequency: _Optional[int] = ..., monetary: _Optional[float] = ..., recency_score: _Optional[int] = ..., frequency_score: _Optional[int] = ..., monetary_score: _Optional[int] = ..., window_days: _Optional[float] = ..., confidence: _Optional[float] = ..., evidence_event_ids: _Optional[_Iterable[str]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Rhythm(_message.Message):
    __slots__ = ("hour_shares", "weekday_shares", "peak_hours", "peak_weekdays", "days_between", "confidence", "evidence_event_ids", "expires_at")
    HOUR_SHARES_FIELD_NUMBER: _ClassVar[int]
    WEEKDAY_SHARES_FIELD_NUMBER: _ClassVar[int]
    PEAK_HOURS_FIELD_NUMBER: _ClassVar[int]
    PEAK_WEEKDAYS_FIELD_NUMBER: _ClassVar[int]
    DAYS_BETWEEN_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_EVENT_IDS_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    hour_shares: _containers.RepeatedScalarFieldContainer[float]
    weekday_shares: _containers.RepeatedScalarFieldContainer[float]
    peak_hours: _containers.RepeatedScalarFieldContainer[int]
    peak_weekdays: _containers.RepeatedScalarFieldContainer[int]
    days_between: float
    confidence: float
    evidence_event_ids: _containers.RepeatedScalarFieldContainer[str]
    expires_at: _timestamp_pb2.Timestamp
    def __init__(self, hour_shares: _Optional[_Iterable[float]] = ..., weekday_shares: _Optional[_Iterable[float]] = ..., peak_hours: _Optional[_Iterable[int]] = ..., peak_weekdays: _Optional[_Iterable[int]] = ..., days_between: _Optional[float] = ..., confidence: _Optional[float] = ..., evidence_event_ids: _Optional[_Iterable[str]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Demographics(_message.Message):
    __slots__ = ("age_band", "gender", "region", "declared_at", "source", "expires_at")
    AGE_BAND_FIELD_NUMBER: _ClassVar[int]
    GENDER_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    DECLARED_AT_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    age_band: str
    gender: str
    region: str
    declared_at: _timestamp_pb2.Timestamp
    source: str
    expires_at: _timestamp_pb2.Timestamp
    def __init__(self, age_band: _Optional[str] = ..., gender: _Optional[str] = ..., region: _Optional[str] = ..., declared_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., source: _Optional[str] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

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
