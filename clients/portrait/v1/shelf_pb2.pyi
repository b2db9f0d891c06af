import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from portrait.v1 import item_pb2 as _item_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ShelfKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SHELF_KIND_UNSPECIFIED: _ClassVar[ShelfKind]
    SHELF_KIND_SIMILAR_ITEMS: _ClassVar[ShelfKind]
    SHELF_KIND_FREQUENTLY_BOUGHT_TOGETHER: _ClassVar[ShelfKind]
    SHELF_KIND_BUY_AGAIN: _ClassVar[ShelfKind]
    SHELF_KIND_TRENDING: _ClassVar[ShelfKind]
    SHELF_KIND_RECENTLY_VIEWED: _ClassVar[ShelfKind]
SHELF_KIND_UNSPECIFIED: ShelfKind
SHELF_KIND_SIMILAR_ITEMS: ShelfKind
SHELF_KIND_FREQUENTLY_BOUGHT_TOGETHER: ShelfKind
SHELF_KIND_BUY_AGAIN: ShelfKind
SHELF_KIND_TRENDING: ShelfKind
SHELF_KIND_RECENTLY_VIEWED: ShelfKind

class ShelfItem(_message.Message):
    __slots__ = ("item", "score", "evidence", "rules", "reviewed_by")
    ITEM_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    RULES_FIELD_NUMBER: _ClassVar[int]
    REVIEWED_BY_FIELD_NUMBER: _ClassVar[int]
    item: _item_pb2.Item
    score: float
    evidence: ShelfEvidence
    rules: _containers.RepeatedScalarFieldContainer[str]
    reviewed_by: str
    def __init__(self, item: _Optional[_Union[_item_pb2.Item, _Mapping]] = ..., score: _Optional[float] = ..., evidence: _Optional[_Union[ShelfEvidence, _Mapping]] = ..., rules: _Optional[_Iterable[str]] = ..., reviewed_by: _Optional[str] = ...) -> None: ...

class ShelfEvidence(_message.Message):
    __slots__ = ("pair", "similarity", "purchases", "trend", "views")
    PAIR_FIELD_NUMBER: _ClassVar[int]
    SIMILARITY_FIELD_NUMBER: _ClassVar[int]
    PURCHASES_FIELD_NUMBER: _ClassVar[int]
    TREND_FIELD_NUMBER: _ClassVar[int]
    VIEWS_FIELD_NUMBER: _ClassVar[int]
    pair: PairEvidence
    similarity: SimilarityEvidence
    purchases: PurchaseEvidence
    trend: TrendEvidence
    views: ViewEvidence
    def __init__(self, pair: _Optional[_Union[PairEvidence, _Mapping]] = ..., similarity: _Optional[_Union[SimilarityEvidence, _Mapping]] = ..., purchases: _Optional[_Union[PurchaseEvidence, _Mapping]] = ..., trend: _Optional[_Union[TrendEvidence, _Mapping]] = ..., views: _Optional[_Union[ViewEvidence, _Mapping]] = ...) -> None: ...

class PairEvidence(_message.Message):
    __slots__ = ("item_id", "together", "with_item", "with_other", "visits", "bought_together", "shoppers", "confidence", "log_odds_ratio", "lower_bound")
    ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    TOGETHER_FIELD_NUMBER: _ClassVar[int]
    WITH_ITEM_FIELD_NUMBER: _ClassVar[int]
    WITH_OTHER_FIELD_NUMBER: _ClassVar[int]
    VISITS_FIELD_NUMBER: _ClassVar[int]
    BOUGHT_TOGETHER_FIELD_NUMBER: _ClassVar[int]
    SHOPPERS_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    LOG_ODDS_RATIO_FIELD_NUMBER: _ClassVar[int]
    LOWER_BOUND_FIELD_NUMBER: _ClassVar[int]
    item_id: str
    together: int
    with_item: int
    with_other: int
    visits: int
    bought_together: int
    shoppers: int
    confidence: float
    log_odds_ratio: float
    lower_bound: float
    def __init__(self, item_id: _Optional[str] = ..., together: _Optional[int] = ..., with_item: _Optional[int] = ..., with_other: _Optional[int] = ..., visits: _Optional[int] = ..., bought_together: _Optional[int] = ..., shoppers: _Optional[int] = ..., confidence: _Optional[float] = ..., log_odds_ratio: _Optional[float] = ..., lower_bound: _Optional[float] = ...) -> None: ...

class SimilarityEvidence(_message.Message):
    __slots__ = ("item_id", "similarity")
    ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    SIMILARITY_FIELD_NUMBER: _ClassVar[int]
    item_id: str
    similarity: float
    def __init__(self, item_id: _Optional[str] = ..., similarity: _Optional[float] = ...) -> None: ...

class PurchaseEvidence(_message.Message):
    __slots__ = ("purchase_days", "last_time", "days_since", "due", "event_ids")
    PURCHASE_DAYS_FIELD_NUMBER: _ClassVar[int]
    LAST_TIME_FIELD_NUMBER: _ClassVar[int]
    DAYS_SINCE_FIELD_NUMBER: _ClassVar[int]
    DUE_FIELD_NUMBER: _ClassVar[int]
    EVENT_IDS_FIELD_NUMBER: _ClassVar[int]
    purchase_days: int
    last_time: _timestamp_pb2.Timestamp
    days_since: float
    due: DueEvidence
    event_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, purchase_days: _Optional[int] = ..., last_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., days_since: _Optional[float] = ..., due: _Optional[_Union[DueEvidence, _Mapping]] = ..., event_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class DueEvidence(_message.Message):
    __slots__ = ("interval_days", "probability", "horizon_days")
    INTERVAL_DAYS_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    HORIZON_DAYS_FIELD_NUMBER: _ClassVar[int]
    interval_days: float
    probability: float
    horizon_days: float
    def __init__(self, interval_days: _Optional[float] = ..., probability: _Optional[float] = ..., horizon_days: _Optional[float] = ...) -> None: ...

class TrendEvidence(_message.Message):
    __slots__ = ("recent_share", "earlier_share", "growth")
    RECENT_SHARE_FIELD_NUMBER: _ClassVar[int]
    EARLIER_SHARE_FIELD_NUMBER: _ClassVar[int]
    GROWTH_FIELD_NUMBER: _ClassVar[int]
    recent_share: float
    earlier_share: float
    growth: float
    def __init__(self, recent_share: _Optional[float] = ..., earlier_share: _Optional[float] = ..., growth: _Optional[float] = ...) -> None: ...

class ViewEvidence(_message.Message):
    __slots__ = ("view_count", "last_time", "days_since", "event_ids")
    VIEW_COUNT_FIELD_NUMBER: _ClassVar[int]
    LAST_TIME_FIELD_NUMBER: _ClassVar[int]
    DAYS_SINCE_FIELD_NUMBER: _ClassVar[int]
    EVENT_IDS_FIELD_NUMBER: _ClassVar[int]
    view_count: int
    last_time: _timestamp_pb2.Timestamp
    days_since: float
    event_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, view_count: _Optional[int] = ..., last_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., days_since: _Optional[float] = ..., event_ids: _Optional[_Iterable[str]] = ...) -> None: ...
