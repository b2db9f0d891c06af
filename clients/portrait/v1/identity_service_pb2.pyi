import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from portrait.v1 import link_pb2 as _link_pb2
from portrait.v1 import membership_pb2 as _membership_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Identity(_message.Message):
    __slots__ = ("shopper_id", "links", "household")
    SHOPPER_ID_FIELD_NUMBER: _ClassVar[int]
    LINKS_FIELD_NUMBER: _ClassVar[int]
    HOUSEHOLD_FIELD_NUMBER: _ClassVar[int]
    shopper_id: str
    links: _containers.RepeatedCompositeFieldContainer[_link_pb2.Link]
    household: _membership_pb2.Membership
    def __init__(self, shopper_id: _Optional[str] = ..., links: _Optional[_Iterable[_Union[_link_pb2.Link, _Mapping]]] = ..., household: _Optional[_Union[_membership_pb2.Membership, _Mapping]] = ...) -> None: ...

class LinkShoppersRequest(_message.Message):
    __slots__ = ("shopper_id", "anonymous_id", "source", "confidence", "time")
    SHOPPER_ID_FIELD_NUMBER: _ClassVar[int]
    ANONYMOUS_ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    shopper_id: str
    anonymous_id: str
    source: str
    confidence: float
    time: _timestamp_pb2.Timestamp
    def __init__(self, shopper_id: _Optional[str] = ..., anonymous_id: _Optional[str] = ..., source: _Optional[str] = ..., confidence: _Optional[float] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class LinkShoppersResponse(_message.Message):
    __slots__ = ("identity",)
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    identity: Identity
    def __init__(self, identity: _Optional[_Union[Identity, _Mapping]] = ...) -> None: ...

class UnlinkShoppersRequest(_message.Message):
    __slots__ = ("shopper_id", "anonymous_id")
    SHOPPER_ID_FIELD_NUMBER: _ClassVar[int]
    ANONYMOUS_ID_FIELD_NUMBER: _ClassVar[int]
    shopper_id: str
    anonymous_id: str
    def __init__(self, shopper_id: _Optional[str] = ..., anonymous_id: _Optional[str] = ...) -> None: ...

class UnlinkShoppersResponse(_message.Message):
    __slots__ = ("identity",)
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    identity: Identity
    def __init__(self, identity: _Optional[_Union[Identity, _Mapping]] = ...) -> None: ...

class GetIdentityRequest(_message.Message):
    __slots__ = ("shopper_id",)
    SHOPPER_ID_FIELD_NUMBER: _ClassVar[int]
    shopper_id: str
    def __init__(self, shopper_id: _Optional[str] = ...) -> None: ...

class GetIdentityResponse(_message.Message):
    __slots__ = ("identity",)
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    identity: Identity
    def __init__(self, identity: _Optional[_Union[Identity, _Mapping]] = ...) -> None: ...

class JoinHouseholdRequest(_message.Message):
    __slots__ = ("household_id", "shopper_id", "source", "confidence", "time")
    HOUSEHOLD_ID_FIELD_NUMBER: _ClassVar[int]
    SHOPPER_ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    household_id: str
    shopper_id: str
    source: str
    confidence: float
    time: _timestamp_pb2.Timestamp
    def __init__(self, household_id: _Optional[str] = ..., shopper_id: _Optional[str] = ..., source: _Optional[str] = ..., confidence: _Optional[float] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class JoinHouseholdResponse(_message.Message):
    __slots__ = ("identity",)
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    identity: Identity
    def __init__(self, identity: _Optional[_Union[Identity, _Mapping]] = ...) -> None: ...

class LeaveHouseholdRequest(_message.Message):
    __slots__ = ("household_id", "shopper_id")
    HOUSEHOLD_ID_FIELD_NUMBER: _ClassVar[int]
    SHOPPER_ID_FIELD_NUMBER: _ClassVar[int]
    household_id: str
    shopper_id: str
    def __init__(self, household_id: _Optional[str] = ..., shopper_id: _Optional[str] = ...) -> None: ...

class LeaveHouseholdResponse(_message.Message):
    __slots__ = ("identity",)
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    identity: Identity
    def __init__(self, identity: _Optional[_Union[Identity, _Mapping]] = ...) -> None: ...

class GetHouseholdRequest(_message.Message):
    __slots__ = ("household_id",)
    HOUSEHOLD_ID_FIELD_NUMBER: _ClassVar[int]
    household_id: str
    def __init__(self, household_id: _Optional[str] = ...) -> None: ...

class GetHouseholdResponse(_message.Message):
    __slots__ = ("members",)
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    members: _containers.RepeatedCompositeFieldContainer[_membership_pb2.Membership]
    def __init__(self, members: _Optional[_Iterable[_Union[_membership_pb2.Membership, _Mapping]]] = ...) -> None: ...
