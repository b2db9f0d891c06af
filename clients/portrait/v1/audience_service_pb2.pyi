import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from portrait.v1 import customer_value_pb2 as _customer_value_pb2
from portrait.v1 import item_pb2 as _item_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AudienceShortfall(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    AUDIENCE_SHORTFALL_UNSPECIFIED: _ClassVar[AudienceShortfall]
    AUDIENCE_SHORTFALL_AUDIENCE: _ClassVar[AudienceShortfall]
    AUDIENCE_SHORTFALL_SEED: _ClassVar[AudienceShortfall]
AUDIENCE_SHORTFALL_UNSPECIFIED: AudienceShortfall
AUDIENCE_SHORTFALL_AUDIENCE: AudienceShortfall
AUDIENCE_SHORTFALL_SEED: AudienceShortfall

class FindAudienceRequest(_message.Message):
    __slots__ = ("audience", "page_size", "page_token")
    AUDIENCE_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    audience: Audience
    page_size: int
    page_token: str
    def __init__(self, audience: _Optional[_Union[Audience, _Mapping]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class FindAudienceResponse(_message.Message):
    __slots__ = ("members", "next_page_token", "summary")
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    members: _containers.RepeatedCompositeFieldContainer[AudienceMember]
    next_page_token: str
    summary: AudienceSummary
    def __init__(self, members: _Optional[_Iterable[_Union[AudienceMember, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., summary: _Optional[_Union[AudienceSummary, _Mapping]] = ...) -> None: ...

class EstimateAudienceRequest(_message.Message):
    __slots__ = ("audience",)
    AUDIENCE_FIELD_NUMBER: _ClassVar[int]
    audience: Audience
    def __init__(self, audience: _Optional[_Union[Audience, _Mapping]] = ...) -> None: ...

class EstimateAudienceResponse(_message.Message):
    __slots__ = ("summary",)
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    summary: AudienceSummary
    def __init__(self, summary: _Optional[_Union[AudienceSummary, _Mapping]] = ...) -> None: ...

class AudienceSummary(_message.Message):
    __slots__ = ("estimated_size", "shortfall", "minimum_size", "release", "snapshot", "table_size", "oldest_as_of", "newest_as_of")
    ESTIMATED_SIZE_FIELD_NUMBER: _ClassVar[int]
    SHORTFALL_FIELD_NUMBER: _ClassVar[int]
    MINIMUM_SIZE_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    TABLE_SIZE_FIELD_NUMBER: _ClassVar[int]
    OLDEST_AS_OF_FIELD_NUMBER: _ClassVar[int]
    NEWEST_AS_OF_FIELD_NUMBER: _ClassVar[int]
    estimated_size: int
    shortfall: AudienceShortfall
    minimum_size: int
    release: int
    snapshot: str
    table_size: int
    oldest_as_of: _timestamp_pb2.Timestamp
    newest_as_of: _timestamp_pb2.Timestamp
    def __init__(self, estimated_size: _Optional[int] = ..., shortfall: _Optional[_Union[AudienceShortfall, str]] = ..., minimum_size: _Optional[int] = ..., release: _Optional[int] = ..., snapshot: _Optional[str] = ..., table_size: _Optional[int] = ..., oldest_as_of: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., newest_as_of: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class AudienceMember(_message.Message):
    __slots__ = ("shopper_id", "as_of", "similarity")
    SHOPPER_ID_FIELD_NUMBER: _ClassVar[int]
    AS_OF_FIELD_NUMBER: _ClassVar[int]
    SIMILARITY_FIELD_NUMBER: _ClassVar[int]
    shopper_id: str
    as_of: _timestamp_pb2.Timestamp
    similarity: float
    def __init__(self, shopper_id: _Optional[str] = ..., as_of: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., similarity: _Optional[float] = ...) -> None: ...

class Audience(_message.Message):
    __slots__ = ("criteria", "look_alike")
    CRITERIA_FIELD_NUMBER: _ClassVar[int]
    LOOK_ALIKE_FIELD_NUMBER: _ClassVar[int]
    criteria: _containers.RepeatedCompositeFieldContainer[Criterion]
    look_alike: LookAlike
    def __init__(self, criteria: _Optional[_Iterable[_Union[Criterion, _Mapping]]] = ..., look_alike: _Optional[_Union[LookAlike, _Mapping]] = ...) -> None: ...

class Criterion(_message.Message):
    __slots__ = ("interest", "trait", "customer_value", "activity", "region")
    INTEREST_FIELD_NUMBER: _ClassVar[int]
    TRAIT_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_VALUE_FIELD_NUMBER: _ClassVar[int]
    ACTIVITY_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    interest: InterestCriterion
    trait: TraitCriterion
    customer_value: CustomerValueCriterion
    activity: ActivityCriterion
    region: RegionCriterion
    def __init__(self, interest: _Optional[_Union[InterestCriterion, _Mapping]] = ..., trait: _Optional[_Union[TraitCriterion, _Mapping]] = ..., customer_value: _Optional[_Union[CustomerValueCriterion, _Mapping]] = ..., activity: _Optional[_Union[ActivityCriterion, _Mapping]] = ..., region: _Optional[_Union[RegionCriterion, _Mapping]] = ...) -> None: ...

class InterestCriterion(_message.Message):
    __slots__ = ("categories", "min_weight", "labels", "min_percentile")
    CATEGORIES_FIELD_NUMBER: _ClassVar[int]
    MIN_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    MIN_PERCENTILE_FIELD_NUMBER: _ClassVar[int]
    categories: _containers.RepeatedCompositeFieldContainer[_item_pb2.CategoryPath]
    min_weight: float
    labels: _containers.RepeatedScalarFieldContainer[str]
    min_percentile: float
    def __init__(self, categories: _Optional[_Iterable[_Union[_item_pb2.CategoryPath, _Mapping]]] = ..., min_weight: _Optional[float] = ..., labels: _Optional[_Iterable[str]] = ..., min_percentile: _Optional[float] = ...) -> None: ...

class TraitCriterion(_message.Message):
    __slots__ = ("name", "min_probability", "max_probability")
    NAME_FIELD_NUMBER: _ClassVar[int]
    MIN_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    MAX_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    name: str
    min_probability: float
    max_probability: float
    def __init__(self, name: _Optional[str] = ..., min_probability: _Optional[float] = ..., max_probability: _Optional[float] = ...) -> None: ...

class CustomerValueCriterion(_message.Message):
    __slots__ = ("tiers", "segments", "min_recency_score", "min_frequency_score", "min_monetary_score")
    TIERS_FIELD_NUMBER: _ClassVar[int]
    SEGMENTS_FIELD_NUMBER: _ClassVar[int]
    MIN_RECENCY_SCORE_FIELD_NUMBER: _ClassVar[int]
    MIN_FREQUENCY_SCORE_FIELD_NUMBER: _ClassVar[int]
    MIN_MONETARY_SCORE_FIELD_NUMBER: _ClassVar[int]
    tiers: _containers.RepeatedScalarFieldContainer[_customer_value_pb2.ValueTier]
    segments: _containers.RepeatedScalarFieldContainer[_customer_value_pb2.ValueSegment]
    min_recency_score: int
    min_frequency_score: int
    min_monetary_score: int
    def __init__(self, tiers: _Optional[_Iterable[_Union[_customer_value_pb2.ValueTier, str]]] = ..., segments: _Optional[_Iterable[_Union[_customer_value_pb2.ValueSegment, str]]] = ..., min_recency_score: _Optional[int] = ..., min_frequency_score: _Optional[int] = ..., min_monetary_score: _Optional[int] = ...) -> None: ...

class ActivityCriterion(_message.Message):
    __slots__ = ("since", "before")
    SINCE_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    since: _timestamp_pb2.Timestamp
    before: _timestamp_pb2.Timestamp
    def __init__(self, since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., before: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class RegionCriterion(_message.Message):
    __slots__ = ("regions",)
    REGIONS_FIELD_NUMBER: _ClassVar[int]
    regions: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, regions: _Optional[_Iterable[str]] = ...) -> None: ...

class LookAlike(_message.Message):
    __slots__ = ("shoppers", "criteria", "top", "min_similarity")
    SHOPPERS_FIELD_NUMBER: _ClassVar[int]
    CRITERIA_FIELD_NUMBER: _ClassVar[int]
    TOP_FIELD_NUMBER: _ClassVar[int]
    MIN_SIMILARITY_FIELD_NUMBER: _ClassVar[int]
    shoppers: SeedShoppers
    criteria: SeedCriteria
    top: int
    min_similarity: float
    def __init__(self, shoppers: _Optional[_Union[SeedShoppers, _Mapping]] = ..., criteria: _Optional[_Union[SeedCriteria, _Mapping]] = ..., top: _Optional[int] = ..., min_similarity: _Optional[float] = ...) -> None: ...

class SeedCriteria(_message.Message):
    __slots__ = ("criteria",)
    CRITERIA_FIELD_NUMBER: _ClassVar[int]
    criteria: _containers.RepeatedCompositeFieldContainer[Criterion]
    def __init__(self, criteria: _Optional[_Iterable[_Union[Criterion, _Mapping]]] = ...) -> None: ...

class SeedShoppers(_message.Message):
    __slots__ = ("shopper_ids",)
    SHOPPER_IDS_FIELD_NUMBER: _ClassVar[int]
    shopper_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, shopper_ids: _Optional[_Iterable[str]] = ...) -> None: ...
