"""Moments as whole numbers, as the state file and the audience table keep them."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_microseconds(time: datetime) -> int:
    """Since 1970."""
    return (time - _EPOCH) // _MICROSECOND


def from_microseconds(since_1970: int) -> datetime:
    """The inverse of `to_microseconds`, UTC."""
    return _EPOCH + since_1970 * _MICROSECOND
