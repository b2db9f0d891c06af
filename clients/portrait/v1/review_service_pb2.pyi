from portrait.v1 import review_pb2 as _review_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ReviewQueueKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REVIEW_QUEUE_KIND_UNSPECIFIED: _ClassVar[ReviewQueueKind]
    REVIEW_QUEUE_KIND_LOW_CONFIDENCE: _ClassVar[ReviewQueueKind]
    REVIEW_QUEUE_KIND_DRIFT: _ClassVar[ReviewQueueKind]
    REVIEW_QUEUE_KIND_SENSITIVE_NEAR_MISS: _ClassVar[ReviewQueueKind]

class ReviewQueueMeasure(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REVIEW_QUEUE_MEASURE_UNSPECIFIED: _ClassVar[ReviewQueueMeasure]
    REVIEW_QUEUE_MEASURE_CONFIDENCE: _ClassVar[ReviewQueueMeasure]
    REVIEW_QUEUE_MEASURE_AUC: _ClassVar[ReviewQueueMeasure]
    REVIEW_QUEUE_MEASURE_CALIBRATION_ERROR: _ClassVar[ReviewQueueMeasure]
    REVIEW_QUEUE_MEASURE_STABILITY_INDEX: _ClassVar[ReviewQueueMeasure]
    REVIEW_QUEUE_MEASURE_SIMILARITY: _ClassVar[ReviewQueueMeasure]
    REVIEW_QUEUE_MEASURE_EXCESS: _ClassVar[ReviewQueueMeasure]
REVIEW_QUEUE_KIND_UNSPECIFIED: ReviewQueueKind
REVIEW_QUEUE_KIND_LOW_CONFIDENCE: ReviewQueueKind
REVIEW_QUEUE_KIND_DRIFT: ReviewQueueKind
REVIEW_QUEUE_KIND_SENSITIVE_NEAR_MISS: ReviewQueueKind
REVIEW_QUEUE_MEASURE_UNSPECIFIED: ReviewQueueMeasure
REVIEW_QUEUE_MEASURE_CONFIDENCE: ReviewQueueMeasure
REVIEW_QUEUE_MEASURE_AUC: ReviewQueueMeasure
REVIEW_QUEUE_MEASURE_CALIBRATION_ERROR: ReviewQueueMeasure
REVIEW_QUEUE_MEASURE_STABILITY_INDEX: ReviewQueueMeasure
REVIEW_QUEUE_MEASURE_SIMILARITY: ReviewQueueMeasure
REVIEW_QUEUE_MEASURE_EXCESS: ReviewQueueMeasure

class SetReviewRequest(_message.Message):
    __slots__ = ("review",)
    REVIEW_FIELD_NUMBER: _ClassVar[int]
    review: _review_pb2.Review
    def __init__(self, review: _Optional[_Union[_review_pb2.Review, _Mapping]] = ...) -> None: ...

class SetReviewResponse(_message.Message):
    __slots__ = ("review",)
    REVIEW_FIELD_NUMBER: _ClassVar[int]
    review: _review_pb2.Review
    def __init__(self, review: _Optional[_Union[_review_pb2.Review, _Mapping]] = ...) -> None: ...

class RemoveReviewRequest(_message.Message):
    __slots__ = ("target",)
    TARGET_FIELD_NUMBER: _ClassVar[int]
    target: _review_pb2.ReviewTarget
    def __init__(self, target: _Optional[_Union[_review_pb2.ReviewTarget, _Mapping]] = ...) -> None: ...

class RemoveReviewResponse(_message.Message):
    __slots__ = ("removed",)
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    removed: bool
    def __init__(self, removed: _Optional[bool] = ...) -> None: ...

class ListReviewsRequest(_message.Message):
    __slots__ = ("shopper_id",)
    SHOPPER_ID_FIELD_NUMBER: _ClassVar[int]
    shopper_id: str
    def __init__(self, shopper_id: _Optional[str] = ...) -> None: ...

class ListReviewsResponse(_message.Message):
    __slots__ = ("reviews",)
    REVIEWS_FIELD_NUMBER: _ClassVar[int]
    reviews: _containers.RepeatedCompositeFieldContainer[_review_pb2.Review]
    def __init__(self, reviews: _Optional[_Iterable[_Union[_review_pb2.Review, _Mapping]]] = ...) -> None: ...

class ListReviewQueueRequest(_message.Message):
    __slots__ = ("kind", "page_size", "page_token")
    KIND_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    kind: ReviewQueueKind
    page_size: int
    page_token: str
    def __init__(self, kind: _Optional[_Union[ReviewQueueKind, str]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ReviewQueueEntry(_message.Message):
    __slots__ = ("kind", "target", "shoppers", "measure", "value", "threshold", "topic", "reason")
    KIND_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    SHOPPERS_FIELD_NUMBER: _ClassVar[int]
    MEASURE_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    TOPIC_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    kind: ReviewQueueKind
    target: _review_pb2.ReviewTarget
    shoppers: int
    measure: ReviewQueueMeasure
    value: float
    threshold: float
    topic: str
    reason: str
    def __init__(self, kind: _Optional[_Union[ReviewQueueKind, str]] = ..., target: _Optional[_Union[_review_pb2.ReviewTarget, _Mapping]] = ..., shoppers: _Optional[int] = ..., measure: _Optional[_Union[ReviewQueueMeasure, str]] = ..., value: _Optional[float] = ..., threshold: _Optional[float] = ..., topic: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class ListReviewQueueResponse(_message.Message):
    __slots__ = ("entries", "next_page_token", "release", "snapshot")
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[ReviewQueueEntry]
    next_page_token: str
    release: int
    snapshot: str
    def __init__(self, entries: _Optional[_Iterable[_Union[ReviewQueueEntry, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., release: _Optional[int] = ..., snapshot: _Optional[str] = ...) -> None: ...
