import datetime

from google.protobuf import field_mask_pb2 as _field_mask_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from portrait.v1 import profile_pb2 as _profile_pb2
from portrait.v1 import traits_pb2 as _traits_pb2
from portrait.v1 import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetProfileRequest(_message.Message):
    __slots__ = ("shopper", "as_of", "fields", "allow_degraded", "labels", "label_examples")
    SHOPPER_FIELD_NUMBER: _ClassVar[int]
    AS_OF_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    ALLOW_DEGRADED_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    LABEL_EXAMPLES_FIELD_NUMBER: _ClassVar[int]
    shopper: _types_pb2.ShopperRef
    as_of: _timestamp_pb2.Timestamp
    fields: _field_mask_pb2.FieldMask
    allow_degraded: bool
    labels: _containers.RepeatedScalarFieldContainer[str]
    label_examples: _containers.RepeatedCompositeFieldContainer[LabelExamples]
    def __init__(self, shopper: _Optional[_Union[_types_pb2.ShopperRef, _Mapping]] = ..., as_of: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., fields: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ..., allow_degraded: _Optional[bool] = ..., labels: _Optional[_Iterable[str]] = ..., label_examples: _Optional[_Iterable[_Union[LabelExamples, _Mapping]]] = ...) -> None: ...

class LabelExamples(_message.Message):
    __slots__ = ("label", "shoppers")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    SHOPPERS_FIELD_NUMBER: _ClassVar[int]
    label: str
    shoppers: _containers.RepeatedCompositeFieldContainer[_types_pb2.ShopperRef]
    def __init__(self, label: _Optional[str] = ..., shoppers: _Optional[_Iterable[_Union[_types_pb2.ShopperRef, _Mapping]]] = ...) -> None: ...

class GetProfileResponse(_message.Message):
    __slots__ = ("profile",)
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    profile: Profile
    def __init__(self, profile: _Optional[_Union[Profile, _Mapping]] = ...) -> None: ...

class BatchGetProfilesRequest(_message.Message):
    __slots__ = ("shoppers", "as_of", "fields", "allow_degraded")
    SHOPPERS_FIELD_NUMBER: _ClassVar[int]
    AS_OF_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    ALLOW_DEGRADED_FIELD_NUMBER: _ClassVar[int]
    shoppers: _containers.RepeatedCompositeFieldContainer[_types_pb2.ShopperRef]
    as_of: _timestamp_pb2.Timestamp
    fields: _field_mask_pb2.FieldMask
    allow_degraded: bool
    def __init__(self, shoppers: _Optional[_Iterable[_Union[_types_pb2.ShopperRef, _Mapping]]] = ..., as_of: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., fields: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ..., allow_degraded: _Optional[bool] = ...) -> None: ...

class BatchGetProfilesResult(_message.Message):
    __slots__ = ("profile", "error")
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    profile: Profile
    error: _types_pb2.EntryError
    def __init__(self, profile: _Optional[_Union[Profile, _Mapping]] = ..., error: _Optional[_Union[_types_pb2.EntryError, _Mapping]] = ...) -> None: ...

class BatchGetProfilesResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[BatchGetProfilesResult]
    def __init__(self, results: _Optional[_Iterable[_Union[BatchGetProfilesResult, _Mapping]]] = ...) -> None: ...

class Profile(_message.Message):
    __slots__ = ("shopper_id", "interests", "keywords", "price_bands", "embedding", "event_count", "first_event_time", "last_event_time", "release", "as_of", "computed_at", "degraded", "aversions", "brands", "discount_sensitivity", "session", "recent_queries", "purchase_cycles", "value", "rhythm", "demographics", "label_interests", "summary", "absent", "traits")
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
    VALUE_FIELD_NUMBER: _ClassVar[int]
    RHYTHM_FIELD_NUMBER: _ClassVar[int]
    DEMOGRAPHICS_FIELD_NUMBER: _ClassVar[int]
    LABEL_INTERESTS_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    ABSENT_FIELD_NUMBER: _ClassVar[int]
    TRAITS_FIELD_NUMBER: _ClassVar[int]
    shopper_id: str
    interests: _containers.RepeatedCompositeFieldContainer[Interest]
    keywords: _containers.RepeatedCompositeFieldContainer[Keyword]
    price_bands: _containers.RepeatedCompositeFieldContainer[PriceBand]
    embedding: _types_pb2.Vector
    event_count: int
    first_event_time: _timestamp_pb2.Timestamp
    last_event_time: _timestamp_pb2.Timestamp
    release: int
    as_of: _timestamp_pb2.Timestamp
    computed_at: _timestamp_pb2.Timestamp
    degraded: bool
    aversions: _containers.RepeatedCompositeFieldContainer[_profile_pb2.Aversion]
    brands: _containers.RepeatedCompositeFieldContainer[_profile_pb2.BrandAffinity]
    discount_sensitivity: _profile_pb2.DiscountSensitivity
    session: _profile_pb2.SessionIntent
    recent_queries: _containers.RepeatedCompositeFieldContainer[_profile_pb2.QueryIntent]
    purchase_cycles: _containers.RepeatedCompositeFieldContainer[_profile_pb2.PurchaseCycle]
    value: _profile_pb2.Value
    rhythm: _profile_pb2.Rhythm
    demographics: _profile_pb2.Demographics
    label_interests: _containers.RepeatedCompositeFieldContainer[_profile_pb2.LabelInterest]
    summary: _containers.RepeatedCompositeFieldContainer[_profile_pb2.SummarySentence]
    absent: _containers.RepeatedCompositeFieldContainer[_profile_pb2.AbsentField]
    traits: _containers.RepeatedCompositeFieldContainer[_traits_pb2.Trait]
    def __init__(self, shopper_id: _Optional[str] = ..., interests: _Optional[_Iterable[_Union[Interest, _Mapping]]] = ..., keywords: _Optional[_Iterable[_Union[Keyword, _Mapping]]] = ..., price_bands: _Optional[_Iterable[_Union[PriceBand, _Mapping]]] = ..., embedding: _Optional[_Union[_types_pb2.Vector, _Mapping]] = ..., event_count: _Optional[int] = ..., first_event_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_event_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., release: _Optional[int] = ..., as_of: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., computed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., degraded: _Optional[bool] = ..., aversions: _Optional[_Iterable[_Union[_profile_pb2.Aversion, _Mapping]]] = ..., brands: _Optional[_Iterable[_Union[_profile_pb2.BrandAffinity, _Mapping]]] = ..., discount_sensitivity: _Optional[_Union[_profile_pb2.DiscountSensitivity, _Mapping]] = ..., session: _Optional[_Union[_profile_pb2.SessionIntent, _Mapping]] = ..., recent_queries: _Optional[_Iterable[_Union[_profile_pb2.QueryIntent, _Mapping]]] = ..., purchase_cycles: _Optional[_Iterable[_Union[_profile_pb2.PurchaseCycle, _Mapping]]] = ..., value: _Optional[_Union[_profile_pb2.Value, _Mapping]] = ..., rhythm: _Optional[_Union[_profile_pb2.Rhythm, _Mapping]] = ..., demographics: _Optional[_Union[_profile_pb2.Demographics, _Mapping]] = ..., label_interests: _Optional[_Iterable[_Union[_profile_pb2.LabelInterest, _Mapping]]] = ..., summary: _Optional[_Iterable[_Union[_profile_pb2.SummarySentence, _Mapping]]] = ..., absent: _Optional[_Iterable[_Union[_profile_pb2.AbsentField, _Mapping]]] = ..., traits: _Optional[_Iterable[_Union[_traits_pb2.Trait, _Mapping]]] = ...) -> None: ...

class Interest(_message.Message):
    __slots__ = ("path", "weight", "confidence", "evidence_event_ids", "short_weight", "long_weight", "trend", "next_probability", "usual_weight", "inferred", "expires_at", "evidence_count")
    PATH_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_EVENT_IDS_FIELD_NUMBER: _ClassVar[int]
    SHORT_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    LONG_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    TREND_FIELD_NUMBER: _ClassVar[int]
    NEXT_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    USUAL_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    INFERRED_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_COUNT_FIELD_NUMBER: _ClassVar[int]
    path: _containers.RepeatedScalarFieldContainer[str]
    weight: float
    confidence: float
    evidence_event_ids: _containers.RepeatedScalarFieldContainer[str]
    short_weight: float
    long_weight: float
    trend: float
    next_probability: float
    usual_weight: float
    inferred: bool
    expires_at: _timestamp_pb2.Timestamp
    evidence_count: int
    def __init__(self, path: _Optional[_Iterable[str]] = ..., weight: _Optional[float] = ..., confidence: _Optional[float] = ..., evidence_event_ids: _Optional[_Iterable[str]] = ..., short_weight: _Optional[float] = ..., long_weight: _Optional[float] = ..., trend: _Optional[float] = ..., next_probability: _Optional[float] = ..., usual_weight: _Optional[float] = ..., inferred: _Optional[bool] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., evidence_count: _Optional[int] = ...) -> None: ...

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
