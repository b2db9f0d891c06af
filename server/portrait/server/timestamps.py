"""Moments as whole numbers, as the state file and the shopper table keep them."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def microseconds(time: datetime) -> int:
    """Since 1970."""
    return (time - _EPOCH) // _MICROSECOND


def moment(since_1970: int) -> datetime:
    """The inverse of `microseconds`, UTC."""
    return _EPOCH + since_1970 * _MICROSECOND
