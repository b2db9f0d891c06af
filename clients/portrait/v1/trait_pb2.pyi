import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Trait(_message.Message):
    __slots__ = ("name", "description", "probability", "horizon", "absent_reason", "auc", "calibration_error", "reviewed_by")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    HORIZON_FIELD_NUMBER: _ClassVar[int]
    ABSENT_REASON_FIELD_NUMBER: _ClassVar[int]
    AUC_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_ERROR_FIELD_NUMBER: _ClassVar[int]
    REVIEWED_BY_FIELD_NUMBER: _ClassVar[int]
    name: str
    description: str
    probability: float
    horizon: _duration_pb2.Duration
    absent_reason: str
    auc: float
    calibration_error: float
    reviewed_by: str
    def __init__(self, name: _Optional[str] = ..., description: _Optional[str] = ..., probability: _Optional[float] = ..., horizon: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., absent_reason: _Optional[str] = ..., auc: _Optional[float] = ..., calibration_error: _Optional[float] = ..., reviewed_by: _Optional[str] = ...) -> None: ...
