import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from portrait.v1 import item_pb2 as _item_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ReviewAction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REVIEW_ACTION_UNSPECIFIED: _ClassVar[ReviewAction]
    REVIEW_ACTION_BLOCK: _ClassVar[ReviewAction]
    REVIEW_ACTION_CORRECT: _ClassVar[ReviewAction]
    REVIEW_ACTION_PIN: _ClassVar[ReviewAction]
    REVIEW_ACTION_KEEP: _ClassVar[ReviewAction]
REVIEW_ACTION_UNSPECIFIED: ReviewAction
REVIEW_ACTION_BLOCK: ReviewAction
REVIEW_ACTION_CORRECT: ReviewAction
REVIEW_ACTION_PIN: ReviewAction
REVIEW_ACTION_KEEP: ReviewAction

class AllShoppers(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ReviewSegment(_message.Message):
    __slots__ = ("category", "brand")
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    BRAND_FIELD_NUMBER: _ClassVar[int]
    category: _item_pb2.CategoryPath
    brand: str
    def __init__(self, category: _Optional[_Union[_item_pb2.CategoryPath, _Mapping]] = ..., brand: _Optional[str] = ...) -> None: ...

class ReviewedItem(_message.Message):
    __slots__ = ("catalogue", "item_id")
    CATALOGUE_FIELD_NUMBER: _ClassVar[int]
    ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    catalogue: str
    item_id: str
    def __init__(self, catalogue: _Optional[str] = ..., item_id: _Optional[str] = ...) -> None: ...

class ReviewTarget(_message.Message):
    __slots__ = ("shopper_id", "segment", "all_shoppers", "interest", "trait", "item", "rule")
    SHOPPER_ID_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_FIELD_NUMBER: _ClassVar[int]
    ALL_SHOPPERS_FIELD_NUMBER: _ClassVar[int]
    INTEREST_FIELD_NUMBER: _ClassVar[int]
    TRAIT_FIELD_NUMBER: _ClassVar[int]
    ITEM_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    shopper_id: str
    segment: ReviewSegment
    all_shoppers: AllShoppers
    interest: _item_pb2.CategoryPath
    trait: str
    item: ReviewedItem
    rule: str
    def __init__(self, shopper_id: _Optional[str] = ..., segment: _Optional[_Union[ReviewSegment, _Mapping]] = ..., all_shoppers: _Optional[_Union[AllShoppers, _Mapping]] = ..., interest: _Optional[_Union[_item_pb2.CategoryPath, _Mapping]] = ..., trait: _Optional[str] = ..., item: _Optional[_Union[ReviewedItem, _Mapping]] = ..., rule: _Optional[str] = ...) -> None: ...

class Review(_message.Message):
    __slots__ = ("target", "action", "value", "reviewed_by", "note", "reviewed_at")
    TARGET_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    REVIEWED_BY_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    REVIEWED_AT_FIELD_NUMBER: _ClassVar[int]
    target: ReviewTarget
    action: ReviewAction
    value: float
    reviewed_by: str
    note: str
    reviewed_at: _timestamp_pb2.Timestamp
    def __init__(self, target: _Optional[_Union[ReviewTarget, _Mapping]] = ..., action: _Optional[_Union[ReviewAction, str]] = ..., value: _Optional[float] = ..., reviewed_by: _Optional[str] = ..., note: _Optional[str] = ..., reviewed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
