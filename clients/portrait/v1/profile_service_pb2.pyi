import datetime

from google.protobuf import field_mask_pb2 as _field_mask_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from portrait.v1 import entry_error_pb2 as _entry_error_pb2
from portrait.v1 import profile_pb2 as _profile_pb2
from portrait.v1 import shopper_pb2 as _shopper_pb2
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
    shopper: _shopper_pb2.ShopperRef
    as_of: _timestamp_pb2.Timestamp
    fields: _field_mask_pb2.FieldMask
    allow_degraded: bool
    labels: _containers.RepeatedScalarFieldContainer[str]
    label_examples: _containers.RepeatedCompositeFieldContainer[LabelExamples]
    def __init__(self, shopper: _Optional[_Union[_shopper_pb2.ShopperRef, _Mapping]] = ..., as_of: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., fields: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ..., allow_degraded: _Optional[bool] = ..., labels: _Optional[_Iterable[str]] = ..., label_examples: _Optional[_Iterable[_Union[LabelExamples, _Mapping]]] = ...) -> None: ...

class LabelExamples(_message.Message):
    __slots__ = ("label", "shoppers")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    SHOPPERS_FIELD_NUMBER: _ClassVar[int]
    label: str
    shoppers: _containers.RepeatedCompositeFieldContainer[_shopper_pb2.ShopperRef]
    def __init__(self, label: _Optional[str] = ..., shoppers: _Optional[_Iterable[_Union[_shopper_pb2.ShopperRef, _Mapping]]] = ...) -> None: ...

class GetProfileResponse(_message.Message):
    __slots__ = ("profile",)
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    profile: _profile_pb2.Profile
    def __init__(self, profile: _Optional[_Union[_profile_pb2.Profile, _Mapping]] = ...) -> None: ...

class BatchGetProfilesRequest(_message.Message):
    __slots__ = ("shoppers", "as_of", "fields", "allow_degraded")
    SHOPPERS_FIELD_NUMBER: _ClassVar[int]
    AS_OF_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    ALLOW_DEGRADED_FIELD_NUMBER: _ClassVar[int]
    shoppers: _containers.RepeatedCompositeFieldContainer[_shopper_pb2.ShopperRef]
    as_of: _timestamp_pb2.Timestamp
    fields: _field_mask_pb2.FieldMask
    allow_degraded: bool
    def __init__(self, shoppers: _Optional[_Iterable[_Union[_shopper_pb2.ShopperRef, _Mapping]]] = ..., as_of: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., fields: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ..., allow_degraded: _Optional[bool] = ...) -> None: ...

class BatchGetProfilesResult(_message.Message):
    __slots__ = ("profile", "error")
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    profile: _profile_pb2.Profile
    error: _entry_error_pb2.EntryError
    def __init__(self, profile: _Optional[_Union[_profile_pb2.Profile, _Mapping]] = ..., error: _Optional[_Union[_entry_error_pb2.EntryError, _Mapping]] = ...) -> None: ...

class BatchGetProfilesResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[BatchGetProfilesResult]
    def __init__(self, results: _Optional[_Iterable[_Union[BatchGetProfilesResult, _Mapping]]] = ...) -> None: ...
