import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from portrait.v1 import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ItemFilter(_message.Message):
    __slots__ = ("categories", "brands", "min_price", "max_price", "exclude_item_ids")
    CATEGORIES_FIELD_NUMBER: _ClassVar[int]
    BRANDS_FIELD_NUMBER: _ClassVar[int]
    MIN_PRICE_FIELD_NUMBER: _ClassVar[int]
    MAX_PRICE_FIELD_NUMBER: _ClassVar[int]
    EXCLUDE_ITEM_IDS_FIELD_NUMBER: _ClassVar[int]
    categories: _containers.RepeatedCompositeFieldContainer[CategoryPath]
    brands: _containers.RepeatedScalarFieldContainer[str]
    min_price: float
    max_price: float
    exclude_item_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, categories: _Optional[_Iterable[_Union[CategoryPath, _Mapping]]] = ..., brands: _Optional[_Iterable[str]] = ..., min_price: _Optional[float] = ..., max_price: _Optional[float] = ..., exclude_item_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class CategoryPath(_message.Message):
    __slots__ = ("names",)
    NAMES_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, names: _Optional[_Iterable[str]] = ...) -> None: ...

class RecommendRequest(_message.Message):
    __slots__ = ("shopper", "catalogue", "query", "k", "filter", "exclude_seen", "as_of", "allow_degraded", "max_per_category")
    SHOPPER_FIELD_NUMBER: _ClassVar[int]
    CATALOGUE_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    K_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    EXCLUDE_SEEN_FIELD_NUMBER: _ClassVar[int]
    AS_OF_FIELD_NUMBER: _ClassVar[int]
    ALLOW_DEGRADED_FIELD_NUMBER: _ClassVar[int]
    MAX_PER_CATEGORY_FIELD_NUMBER: _ClassVar[int]
    shopper: _types_pb2.ShopperRef
    catalogue: str
    query: str
    k: int
    filter: ItemFilter
    exclude_seen: bool
    as_of: _timestamp_pb2.Timestamp
    allow_degraded: bool
    max_per_category: int
    def __init__(self, shopper: _Optional[_Union[_types_pb2.ShopperRef, _Mapping]] = ..., catalogue: _Optional[str] = ..., query: _Optional[str] = ..., k: _Optional[int] = ..., filter: _Optional[_Union[ItemFilter, _Mapping]] = ..., exclude_seen: _Optional[bool] = ..., as_of: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., allow_degraded: _Optional[bool] = ..., max_per_category: _Optional[int] = ...) -> None: ...

class RankedItem(_message.Message):
    __slots__ = ("item", "score", "click_probability", "purchase_probability")
    ITEM_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    CLICK_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    PURCHASE_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    item: _types_pb2.Item
    score: float
    click_probability: float
    purchase_probability: float
    def __init__(self, item: _Optional[_Union[_types_pb2.Item, _Mapping]] = ..., score: _Optional[float] = ..., click_probability: _Optional[float] = ..., purchase_probability: _Optional[float] = ...) -> None: ...

class RecommendResponse(_message.Message):
    __slots__ = ("items", "release", "event_count", "degraded")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    EVENT_COUNT_FIELD_NUMBER: _ClassVar[int]
    DEGRADED_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[RankedItem]
    release: int
    event_count: int
    degraded: bool
    def __init__(self, items: _Optional[_Iterable[_Union[RankedItem, _Mapping]]] = ..., release: _Optional[int] = ..., event_count: _Optional[int] = ..., degraded: _Optional[bool] = ...) -> None: ...

class RankRequest(_message.Message):
    __slots__ = ("shopper", "catalogue", "query", "candidates", "as_of", "allow_degraded")
    SHOPPER_FIELD_NUMBER: _ClassVar[int]
    CATALOGUE_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    AS_OF_FIELD_NUMBER: _ClassVar[int]
    ALLOW_DEGRADED_FIELD_NUMBER: _ClassVar[int]
    shopper: _types_pb2.ShopperRef
    catalogue: str
    query: str
    candidates: _containers.RepeatedCompositeFieldContainer[RankCandidate]
    as_of: _timestamp_pb2.Timestamp
    allow_degraded: bool
    def __init__(self, shopper: _Optional[_Union[_types_pb2.ShopperRef, _Mapping]] = ..., catalogue: _Optional[str] = ..., query: _Optional[str] = ..., candidates: _Optional[_Iterable[_Union[RankCandidate, _Mapping]]] = ..., as_of: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., allow_degraded: _Optional[bool] = ...) -> None: ...

class RankCandidate(_message.Message):
    __slots__ = ("item",)
    ITEM_FIELD_NUMBER: _ClassVar[int]
    item: _types_pb2.Item
    def __init__(self, item: _Optional[_Union[_types_pb2.Item, _Mapping]] = ...) -> None: ...

class RankResponse(_message.Message):
    __slots__ = ("items", "release", "event_count", "degraded")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    EVENT_COUNT_FIELD_NUMBER: _ClassVar[int]
    DEGRADED_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[RankedItem]
    release: int
    event_count: int
    degraded: bool
    def __init__(self, items: _Optional[_Iterable[_Union[RankedItem, _Mapping]]] = ..., release: _Optional[int] = ..., event_count: _Optional[int] = ..., degraded: _Optional[bool] = ...) -> None: ...
