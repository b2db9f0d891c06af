import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from portrait.v1 import event_pb2 as _event_pb2
from portrait.v1 import item_pb2 as _item_pb2
from portrait.v1 import shopper_pb2 as _shopper_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ExplainRecommendationRequest(_message.Message):
    __slots__ = ("shopper", "catalogue", "query", "item_id", "as_of")
    SHOPPER_FIELD_NUMBER: _ClassVar[int]
    CATALOGUE_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    AS_OF_FIELD_NUMBER: _ClassVar[int]
    shopper: _shopper_pb2.ShopperRef
    catalogue: str
    query: str
    item_id: str
    as_of: _timestamp_pb2.Timestamp
    def __init__(self, shopper: _Optional[_Union[_shopper_pb2.ShopperRef, _Mapping]] = ..., catalogue: _Optional[str] = ..., query: _Optional[str] = ..., item_id: _Optional[str] = ..., as_of: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class EventEffect(_message.Message):
    __slots__ = ("event_id", "effect", "type", "time", "subject")
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    EFFECT_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    effect: float
    type: _event_pb2.EventType
    time: _timestamp_pb2.Timestamp
    subject: str
    def __init__(self, event_id: _Optional[str] = ..., effect: _Optional[float] = ..., type: _Optional[_Union[_event_pb2.EventType, str]] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., subject: _Optional[str] = ...) -> None: ...

class ItemEffect(_message.Message):
    __slots__ = ("subject", "event_ids", "effect")
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    EVENT_IDS_FIELD_NUMBER: _ClassVar[int]
    EFFECT_FIELD_NUMBER: _ClassVar[int]
    subject: str
    event_ids: _containers.RepeatedScalarFieldContainer[str]
    effect: float
    def __init__(self, subject: _Optional[str] = ..., event_ids: _Optional[_Iterable[str]] = ..., effect: _Optional[float] = ...) -> None: ...

class WordEffect(_message.Message):
    __slots__ = ("word", "effect")
    WORD_FIELD_NUMBER: _ClassVar[int]
    EFFECT_FIELD_NUMBER: _ClassVar[int]
    word: str
    effect: float
    def __init__(self, word: _Optional[str] = ..., effect: _Optional[float] = ...) -> None: ...

class ExplainRecommendationResponse(_message.Message):
    __slots__ = ("ranked_item", "events", "words", "release", "event_count", "items")
    RANKED_ITEM_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    WORDS_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    EVENT_COUNT_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    ranked_item: _item_pb2.RankedItem
    events: _containers.RepeatedCompositeFieldContainer[EventEffect]
    words: _containers.RepeatedCompositeFieldContainer[WordEffect]
    release: int
    event_count: int
    items: _containers.RepeatedCompositeFieldContainer[ItemEffect]
    def __init__(self, ranked_item: _Optional[_Union[_item_pb2.RankedItem, _Mapping]] = ..., events: _Optional[_Iterable[_Union[EventEffect, _Mapping]]] = ..., words: _Optional[_Iterable[_Union[WordEffect, _Mapping]]] = ..., release: _Optional[int] = ..., event_count: _Optional[int] = ..., items: _Optional[_Iterable[_Union[ItemEffect, _Mapping]]] = ...) -> None: ...

class ExplainProfileRequest(_message.Message):
    __slots__ = ("shopper", "as_of", "interest", "trait")
    SHOPPER_FIELD_NUMBER: _ClassVar[int]
    AS_OF_FIELD_NUMBER: _ClassVar[int]
    INTEREST_FIELD_NUMBER: _ClassVar[int]
    TRAIT_FIELD_NUMBER: _ClassVar[int]
    shopper: _shopper_pb2.ShopperRef
    as_of: _timestamp_pb2.Timestamp
    interest: _item_pb2.CategoryPath
    trait: str
    def __init__(self, shopper: _Optional[_Union[_shopper_pb2.ShopperRef, _Mapping]] = ..., as_of: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., interest: _Optional[_Union[_item_pb2.CategoryPath, _Mapping]] = ..., trait: _Optional[str] = ...) -> None: ...

class ExplainProfileResponse(_message.Message):
    __slots__ = ("events", "weight", "release", "event_count", "probability", "items", "reviewed_by")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    EVENT_COUNT_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    REVIEWED_BY_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[EventEffect]
    weight: float
    release: int
    event_count: int
    probability: float
    items: _containers.RepeatedCompositeFieldContainer[ItemEffect]
    reviewed_by: str
    def __init__(self, events: _Optional[_Iterable[_Union[EventEffect, _Mapping]]] = ..., weight: _Optional[float] = ..., release: _Optional[int] = ..., event_count: _Optional[int] = ..., probability: _Optional[float] = ..., items: _Optional[_Iterable[_Union[ItemEffect, _Mapping]]] = ..., reviewed_by: _Optional[str] = ...) -> None: ...
