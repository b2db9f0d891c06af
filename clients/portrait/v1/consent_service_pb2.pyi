import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from portrait.v1 import demographics_pb2 as _demographics_pb2
from portrait.v1 import event_pb2 as _event_pb2
from portrait.v1 import link_pb2 as _link_pb2
from portrait.v1 import membership_pb2 as _membership_pb2
from portrait.v1 import review_pb2 as _review_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Purpose(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PURPOSE_UNSPECIFIED: _ClassVar[Purpose]
    PURPOSE_PERSONALISATION: _ClassVar[Purpose]
    PURPOSE_ADVERTISING: _ClassVar[Purpose]
    PURPOSE_RISK: _ClassVar[Purpose]
    PURPOSE_DEMOGRAPHICS: _ClassVar[Purpose]

class ConsentDecision(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CONSENT_DECISION_UNSPECIFIED: _ClassVar[ConsentDecision]
    CONSENT_DECISION_GRANTED: _ClassVar[ConsentDecision]
    CONSENT_DECISION_WITHDRAWN: _ClassVar[ConsentDecision]
PURPOSE_UNSPECIFIED: Purpose
PURPOSE_PERSONALISATION: Purpose
PURPOSE_ADVERTISING: Purpose
PURPOSE_RISK: Purpose
PURPOSE_DEMOGRAPHICS: Purpose
CONSENT_DECISION_UNSPECIFIED: ConsentDecision
CONSENT_DECISION_GRANTED: ConsentDecision
CONSENT_DECISION_WITHDRAWN: ConsentDecision

class Consent(_message.Message):
    __slots__ = ("purpose", "decision", "time", "notice", "source")
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    NOTICE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    purpose: Purpose
    decision: ConsentDecision
    time: _timestamp_pb2.Timestamp
    notice: str
    source: str
    def __init__(self, purpose: _Optional[_Union[Purpose, str]] = ..., decision: _Optional[_Union[ConsentDecision, str]] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., notice: _Optional[str] = ..., source: _Optional[str] = ...) -> None: ...

class SetConsentsRequest(_message.Message):
    __slots__ = ("shopper_id", "consents")
    SHOPPER_ID_FIELD_NUMBER: _ClassVar[int]
    CONSENTS_FIELD_NUMBER: _ClassVar[int]
    shopper_id: str
    consents: _containers.RepeatedCompositeFieldContainer[Consent]
    def __init__(self, shopper_id: _Optional[str] = ..., consents: _Optional[_Iterable[_Union[Consent, _Mapping]]] = ...) -> None: ...

class Permission(_message.Message):
    __slots__ = ("purpose", "allowed", "decision")
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    purpose: Purpose
    allowed: bool
    decision: ConsentDecision
    def __init__(self, purpose: _Optional[_Union[Purpose, str]] = ..., allowed: _Optional[bool] = ..., decision: _Optional[_Union[ConsentDecision, str]] = ...) -> None: ...

class SetConsentsResponse(_message.Message):
    __slots__ = ("permissions",)
    PERMISSIONS_FIELD_NUMBER: _ClassVar[int]
    permissions: _containers.RepeatedCompositeFieldContainer[Permission]
    def __init__(self, permissions: _Optional[_Iterable[_Union[Permission, _Mapping]]] = ...) -> None: ...

class GetConsentsRequest(_message.Message):
    __slots__ = ("shopper_id",)
    SHOPPER_ID_FIELD_NUMBER: _ClassVar[int]
    shopper_id: str
    def __init__(self, shopper_id: _Optional[str] = ...) -> None: ...

class ConsentRecord(_message.Message):
    __slots__ = ("consent", "recorded_at")
    CONSENT_FIELD_NUMBER: _ClassVar[int]
    RECORDED_AT_FIELD_NUMBER: _ClassVar[int]
    consent: Consent
    recorded_at: _timestamp_pb2.Timestamp
    def __init__(self, consent: _Optional[_Union[Consent, _Mapping]] = ..., recorded_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class GetConsentsResponse(_message.Message):
    __slots__ = ("permissions", "records")
    PERMISSIONS_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    permissions: _containers.RepeatedCompositeFieldContainer[Permission]
    records: _containers.RepeatedCompositeFieldContainer[ConsentRecord]
    def __init__(self, permissions: _Optional[_Iterable[_Union[Permission, _Mapping]]] = ..., records: _Optional[_Iterable[_Union[ConsentRecord, _Mapping]]] = ...) -> None: ...

class SetDemographicsRequest(_message.Message):
    __slots__ = ("shopper_id", "age", "gender", "region", "source")
    SHOPPER_ID_FIELD_NUMBER: _ClassVar[int]
    AGE_FIELD_NUMBER: _ClassVar[int]
    GENDER_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    shopper_id: str
    age: int
    gender: str
    region: str
    source: str
    def __init__(self, shopper_id: _Optional[str] = ..., age: _Optional[int] = ..., gender: _Optional[str] = ..., region: _Optional[str] = ..., source: _Optional[str] = ...) -> None: ...

class SetDemographicsResponse(_message.Message):
    __slots__ = ("demographics",)
    DEMOGRAPHICS_FIELD_NUMBER: _ClassVar[int]
    demographics: _demographics_pb2.Demographics
    def __init__(self, demographics: _Optional[_Union[_demographics_pb2.Demographics, _Mapping]] = ...) -> None: ...

class ExportShopperRequest(_message.Message):
    __slots__ = ("shopper_id",)
    SHOPPER_ID_FIELD_NUMBER: _ClassVar[int]
    shopper_id: str
    def __init__(self, shopper_id: _Optional[str] = ...) -> None: ...

class ExportShopperResponse(_message.Message):
    __slots__ = ("consents", "demographics", "events", "shopper_id", "links", "reviews", "household")
    CONSENTS_FIELD_NUMBER: _ClassVar[int]
    DEMOGRAPHICS_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    SHOPPER_ID_FIELD_NUMBER: _ClassVar[int]
    LINKS_FIELD_NUMBER: _ClassVar[int]
    REVIEWS_FIELD_NUMBER: _ClassVar[int]
    HOUSEHOLD_FIELD_NUMBER: _ClassVar[int]
    consents: _containers.RepeatedCompositeFieldContainer[ConsentRecord]
    demographics: _demographics_pb2.Demographics
    events: _containers.RepeatedCompositeFieldContainer[_event_pb2.Event]
    shopper_id: str
    links: _containers.RepeatedCompositeFieldContainer[_link_pb2.Link]
    reviews: _containers.RepeatedCompositeFieldContainer[_review_pb2.Review]
    household: _membership_pb2.Membership
    def __init__(self, consents: _Optional[_Iterable[_Union[ConsentRecord, _Mapping]]] = ..., demographics: _Optional[_Union[_demographics_pb2.Demographics, _Mapping]] = ..., events: _Optional[_Iterable[_Union[_event_pb2.Event, _Mapping]]] = ..., shopper_id: _Optional[str] = ..., links: _Optional[_Iterable[_Union[_link_pb2.Link, _Mapping]]] = ..., reviews: _Optional[_Iterable[_Union[_review_pb2.Review, _Mapping]]] = ..., household: _Optional[_Union[_membership_pb2.Membership, _Mapping]] = ...) -> None: ...

class ForgetShopperRequest(_message.Message):
    __slots__ = ("shopper_id",)
    SHOPPER_ID_FIELD_NUMBER: _ClassVar[int]
    shopper_id: str
    def __init__(self, shopper_id: _Optional[str] = ...) -> None: ...

class ForgetShopperResponse(_message.Message):
    __slots__ = ("event_count", "forgotten_at")
    EVENT_COUNT_FIELD_NUMBER: _ClassVar[int]
    FORGOTTEN_AT_FIELD_NUMBER: _ClassVar[int]
    event_count: int
    forgotten_at: _timestamp_pb2.Timestamp
    def __init__(self, event_count: _Optional[int] = ..., forgotten_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
