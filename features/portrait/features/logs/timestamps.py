"""Times as logs write them."""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from functools import lru_cache
from zoneinfo import ZoneInfo

from portrait.features.logs.identifiers import trim

MIN_TIME, MAX_TIME = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
"""Stand-ins for times that no calendar here reaches. No log holds such a time, so every caller rejects it."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?", re.ASCII)
_INFINITE = re.compile(r"([-+]?)inf(?:inity)?", re.ASCII | re.IGNORECASE)
_MICROSECONDS = ((1e17, Decimal("1e-3")), (1e14, Decimal(1)), (1e11, Decimal(1000)), (0.0, Decimal(1_000_000)))
"""A number from the first value on counts units of so many microseconds: nano-, micro-, milliseconds, seconds."""
_LARGEST_NUMBER = 1e24

_DIGITS = re.compile(r"((?:19|20)\d\d)(\d\d)(\d\d)(?:(\d\d)(\d\d)(\d\d)?)?", re.ASCII)
_TIME = re.compile(
    r"""
    (?: (?P<year>\d{4}) (?P<mark>[-/.]) (?P<month>\d{1,2}) (?P=mark) (?P<day>\d{1,2})
      | (?P<compact>\d{8})
      | (?P<first>\d{1,2}) (?P<separator>[-/.]) (?P<second>\d{1,2}) (?P=separator) (?P<last>\d{4}) )
    (?: (?: [Tt] | ,?\s+ )
        (?P<hour>\d{1,2}) (?: : (?P<minute>\d\d) (?: : (?P<seconds>\d\d) (?: [.,] (?P<fraction>\d{1,9}) )? )?
                            | (?P<minute_>\d\d) (?: (?P<seconds_>\d\d) (?: [.,] (?P<fraction_>\d{1,9}) )? )? )
        (?: \s? (?P<half>[AaPp]) \.? [Mm] \b \.? )? )?
    (?: \s? (?P<offset> [-+]\d\d (?: :? \d\d )? ) (?: \s? \[ [\w/+-]+ \] )?
      | \s? \[? (?P<zone> [A-Za-z]{1,5} | [A-Za-z] [\w+-]* (?: / [\w+-]+ )+ ) \]? )?
    """,
    re.ASCII | re.VERBOSE,
)
_UTC_NAMES = frozenset({"z", "utc", "gmt", "etc/utc", "etc/gmt"})


def read_time(text: str) -> datetime | None:
    """Read a time.

    It may be ISO 8601, with a space, slashes or dots in place of its marks; with an offset, `UTC`, or a zone by its
    full name such as `America/New_York`, and in UTC if it names none. A date may also put the year last: with dots the
    day is first, else only a day above 12 tells it from the month. A number is seconds, milliseconds (from 10¹¹ on),
    microseconds (from 10¹⁴) or nanoseconds (from 10¹⁷) since 1970, or the digits of a date and time.

    Returns:
        The time in UTC, exact to the microsecond; `MIN_TIME` or `MAX_TIME` if it is beyond what a calendar holds; None
        if the text is blank.

    Raises:
        ValueError: the text is no time, or may be one of two days.
    """
    written = trim(text)
    if not written:
        return None
    if _NUMBER.fullmatch(written):
        return _read_number(written)
    if infinite := _INFINITE.fullmatch(written):
        return MIN_TIME if infinite.group(1) == "-" else MAX_TIME
    found = _TIME.fullmatch(written)
    if found is None:
        raise _no_time(written)
    try:
        day = _read_day(found, written)
        return _to_utc(day + _read_clock(found), _read_zone(found, written))
    except OverflowError:
        return MIN_TIME if written.startswith("0") else MAX_TIME


def _no_time(written: str) -> ValueError:
    return ValueError(f"{written[:80]!r} is not a time")


def _read_number(written: str) -> datetime:
    if (digits := _DIGITS.fullmatch(written)) is not None:
        # As a number these lie before 1990 or after 2200, where no log is.
        try:
            return datetime(*(int(part or 0) for part in digits.groups()), tzinfo=UTC)  # type: ignore[arg-type, misc]
        except ValueError:
            pass
    size = abs(float(written))
    if size >= _LARGEST_NUMBER:
        return MIN_TIME if written.startswith("-") else MAX_TIME
    unit = next(unit for least, unit in _MICROSECONDS if size >= least)
    try:
        return EPOCH + timedelta(microseconds=round(Decimal(written) * unit))
    except OverflowError:
        return MIN_TIME if written.startswith("-") else MAX_TIME


def _read_day(found: re.Match[str], written: str) -> datetime:
    """Midnight of the day, without a zone."""
    if found["compact"]:
        year, month, day = int(found["compact"][:4]), int(found["compact"][4:6]), int(found["compact"][6:])
    elif found["year"]:
        year, month, day = int(found["year"]), int(found["month"]), int(found["day"])
    else:
        year = int(found["last"])
        month, day = _read_order(int(found["first"]), int(found["second"]), year, found["separator"], written)
    try:
        return datetime(year, month, day)
    except ValueError:
        raise _no_time(written) from None


def _read_order(first: int, second: int, year: int, separator: str, written: str) -> tuple[int, int]:
    """Month and day of a date that ends with its year."""
    if separator == "." or first > 12 or first == second:
        return second, first
    if second > 12:
        return first, second
    days = f"{year:04}-{second:02}-{first:02} or {year:04}-{first:02}-{second:02}"
    raise ValueError(f"{written[:80]!r} may be {days}; write the year first")


def _read_clock(found: re.Match[str]) -> timedelta:
    hour = int(found["hour"] or 0)
    minute = int(found["minute"] or found["minute_"] or 0)
    second = int(found["seconds"] or found["seconds_"] or 0)
    fraction = (found["fraction"] or found["fraction_"] or "0").ljust(9, "0")
    if found["half"]:
        if not 1 <= hour <= 12:
            raise _no_time(found.group())
        hour = hour % 12 + (12 if found["half"] in "Pp" else 0)
    if hour > 23 or minute > 59 or second > 59:
        raise _no_time(found.group())
    return timedelta(hours=hour, minutes=minute, seconds=second, microseconds=int(fraction[:6]))


def _read_zone(found: re.Match[str], written: str) -> tzinfo | timedelta:
    """The zone by name, or how far its clocks are ahead of UTC."""
    if offset := found["offset"]:
        minutes = int(offset[1:3]) * 60 + int(offset[3:].lstrip(":") or 0)
        if minutes > 18 * 60 or int(offset[3:].lstrip(":") or 0) > 59:
            raise _no_time(written)
        return timedelta(minutes=-minutes if offset[0] == "-" else minutes)
    name = found["zone"]
    if not name or name.lower() in _UTC_NAMES:
        return timedelta()
    if "/" not in name:
        raise ValueError(f"{written[:80]!r} is not a time with a known zone; write an offset, such as +01:00")
    return _require_zone(name, written)


@lru_cache(maxsize=64)
def _load_zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def _require_zone(name: str, written: str) -> ZoneInfo:
    try:
        return _load_zone(name)
    except (LookupError, ValueError, OSError):
        raise ValueError(f"{written[:80]!r} is not a time with a known zone; write an offset, such as +01:00") from None


def _to_utc(local: datetime, zone: tzinfo | timedelta) -> datetime:
    """A time in UTC. Where clocks went back, an hour that came twice is the first one."""
    if isinstance(zone, timedelta):
        return local.replace(tzinfo=UTC) - zone
    return local.replace(tzinfo=zone).astimezone(UTC)
