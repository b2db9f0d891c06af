import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

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

class CustomerValue(_message.Message):
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
