import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from portrait.v1 import item_pb2 as _item_pb2
from portrait.v1 import shelf_pb2 as _shelf_pb2
from portrait.v1 import shopper_pb2 as _shopper_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

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
    shopper: _shopper_pb2.ShopperRef
    catalogue: str
    query: str
    k: int
    filter: _item_pb2.ItemFilter
    exclude_seen: bool
    as_of: _timestamp_pb2.Timestamp
    allow_degraded: bool
    max_per_category: int
    def __init__(self, shopper: _Optional[_Union[_shopper_pb2.ShopperRef, _Mapping]] = ..., catalogue: _Optional[str] = ..., query: _Optional[str] = ..., k: _Optional[int] = ..., filter: _Optional[_Union[_item_pb2.ItemFilter, _Mapping]] = ..., exclude_seen: _Optional[bool] = ..., as_of: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., allow_degraded: _Optional[bool] = ..., max_per_category: _Optional[int] = ...) -> None: ...

class RecommendResponse(_message.Message):
    __slots__ = ("items", "release", "event_count", "degraded", "reviewed_by")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    EVENT_COUNT_FIELD_NUMBER: _ClassVar[int]
    DEGRADED_FIELD_NUMBER: _ClassVar[int]
    REVIEWED_BY_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[_item_pb2.RankedItem]
    release: int
    event_count: int
    degraded: bool
    reviewed_by: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, items: _Optional[_Iterable[_Union[_item_pb2.RankedItem, _Mapping]]] = ..., release: _Optional[int] = ..., event_count: _Optional[int] = ..., degraded: _Optional[bool] = ..., reviewed_by: _Optional[_Iterable[str]] = ...) -> None: ...

class RankRequest(_message.Message):
    __slots__ = ("shopper", "catalogue", "query", "candidates", "as_of", "allow_degraded")
    SHOPPER_FIELD_NUMBER: _ClassVar[int]
    CATALOGUE_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    AS_OF_FIELD_NUMBER: _ClassVar[int]
    ALLOW_DEGRADED_FIELD_NUMBER: _ClassVar[int]
    shopper: _shopper_pb2.ShopperRef
    catalogue: str
    query: str
    candidates: _containers.RepeatedCompositeFieldContainer[RankCandidate]
    as_of: _timestamp_pb2.Timestamp
    allow_degraded: bool
    def __init__(self, shopper: _Optional[_Union[_shopper_pb2.ShopperRef, _Mapping]] = ..., catalogue: _Optional[str] = ..., query: _Optional[str] = ..., candidates: _Optional[_Iterable[_Union[RankCandidate, _Mapping]]] = ..., as_of: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., allow_degraded: _Optional[bool] = ...) -> None: ...

class RankCandidate(_message.Message):
    __slots__ = ("item",)
    ITEM_FIELD_NUMBER: _ClassVar[int]
    item: _item_pb2.Item
    def __init__(self, item: _Optional[_Union[_item_pb2.Item, _Mapping]] = ...) -> None: ...

class RankResponse(_message.Message):
    __slots__ = ("items", "release", "event_count", "degraded", "reviewed_by")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    EVENT_COUNT_FIELD_NUMBER: _ClassVar[int]
    DEGRADED_FIELD_NUMBER: _ClassVar[int]
    REVIEWED_BY_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[_item_pb2.RankedItem]
    release: int
    event_count: int
    degraded: bool
    reviewed_by: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, items: _Optional[_Iterable[_Union[_item_pb2.RankedItem, _Mapping]]] = ..., release: _Optional[int] = ..., event_count: _Optional[int] = ..., degraded: _Optional[bool] = ..., reviewed_by: _Optional[_Iterable[str]] = ...) -> None: ...

class GetShelfRequest(_message.Message):
    __slots__ = ("shopper", "kind", "item_ids", "catalogue", "k", "filter", "exclude_seen", "as_of")
    SHOPPER_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    ITEM_IDS_FIELD_NUMBER: _ClassVar[int]
    CATALOGUE_FIELD_NUMBER: _ClassVar[int]
    K_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    EXCLUDE_SEEN_FIELD_NUMBER: _ClassVar[int]
    AS_OF_FIELD_NUMBER: _ClassVar[int]
    shopper: _shopper_pb2.ShopperRef
    kind: _shelf_pb2.ShelfKind
    item_ids: _containers.RepeatedScalarFieldContainer[str]
    catalogue: str
    k: int
    filter: _item_pb2.ItemFilter
    exclude_seen: bool
    as_of: _timestamp_pb2.Timestamp
    def __init__(self, shopper: _Optional[_Union[_shopper_pb2.ShopperRef, _Mapping]] = ..., kind: _Optional[_Union[_shelf_pb2.ShelfKind, str]] = ..., item_ids: _Optional[_Iterable[str]] = ..., catalogue: _Optional[str] = ..., k: _Optional[int] = ..., filter: _Optional[_Union[_item_pb2.ItemFilter, _Mapping]] = ..., exclude_seen: _Optional[bool] = ..., as_of: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class GetShelfResponse(_message.Message):
    __slots__ = ("items", "release", "event_count", "reviewed_by")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    EVENT_COUNT_FIELD_NUMBER: _ClassVar[int]
    REVIEWED_BY_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[_shelf_pb2.ShelfItem]
    release: int
    event_count: int
    reviewed_by: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, items: _Optional[_Iterable[_Union[_shelf_pb2.ShelfItem, _Mapping]]] = ..., release: _Optional[int] = ..., event_count: _Optional[int] = ..., reviewed_by: _Optional[_Iterable[str]] = ...) -> None: ...
