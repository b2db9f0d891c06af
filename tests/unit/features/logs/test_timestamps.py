"""Times as logs write them."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portrait.features.logs.timestamps import MAX_TIME, MIN_TIME, read_time

TIME = datetime(2024, 1, 15, 15, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2024-01-15 10:30:00 -0500",
        "2024-01-15T10:30:00-05",
        "20240115T153000Z",
        "20240115 1530",
        "20240115153000",
        "202401151530",
        "2024-01-15 15:30:00 UTC",
        "2024-01-15 15:30:00 GMT",
        "2024-01-15t15:30z",
        "2024/01/15 15:30",
        "2024.1.15 15:30",
        "15/01/2024 15:30",
        "15.01.2024, 15:30",
        "01/15/2024 03:30 PM",
        "1/15/2024 3:30 p.m.",
        "2024-01-15 10:30:00 America/New_York",
        "2024-01-15T10:30:00-05:00[America/New_York]",
        "2024-01-15T16:30:00,000 Europe/Berlin",
        "1705332600",
        "1705332600.0",
        "1.7053326e9",
        "1705332600000",
        "1705332600000000",
        "1705332600000000000",
        "\ufeff2024-01-15 15:30\u00a0",
    ],
)
def test_one_moment_however_it_is_written(text: str) -> None:
    assert read_time(text) == TIME


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("20240115", datetime(2024, 1, 15, tzinfo=UTC)),
        ("03/03/2024", datetime(2024, 3, 3, tzinfo=UTC)),
        ("01.02.2024", datetime(2024, 2, 1, tzinfo=UTC)),
        ("2024-01-15T10:30:00.123456789Z", datetime(2024, 1, 15, 10, 30, 0, 123456, tzinfo=UTC)),
        ("2024-11-03 01:30 America/New_York", datetime(2024, 11, 3, 5, 30, tzinfo=UTC)),
        ("infinity", MAX_TIME),
        ("1e300", MAX_TIME),
        ("-1e300", MIN_TIME),
        ("9999-12-31T23:59:59-05:00", MAX_TIME),
        ("0001-01-01T00:00:00+05:00", MIN_TIME),
        ("", None),
        ("\u200b", None),
    ],
)
def test_other_times(text: str, time: datetime | None) -> None:
    assert read_time(text) == time


def test_a_date_of_two_readings_is_refused_with_both() -> None:
    with pytest.raises(ValueError, match="'01/02/2024' may be 2024-02-01 or 2024-01-02; write the year first"):
        read_time("01/02/2024")


@pytest.mark.parametrize(
    "text", ["2024-01-15 10:30 EST", "2024-01-15 10:30 Mars/Base", "2024-01-15 10:30 America/Argentina"]
)
def test_a_zone_that_is_not_known_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"known zone; write an offset, such as \+01:00"):
        read_time(text)


@pytest.mark.parametrize(
    "text",
    [
        "yesterday",
        "nan",
        "2024-02-30",
        "13:00",
        "2024-01-15T24:00",
        "2024-01-15T10:60",
        "2024-01-15 13:00 PM",
        "２０２４",
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time"):
        read_time(text)


@given(st.datetimes(timezones=st.timezones()))
def test_what_python_writes_is_read_back(time: datetime) -> None:
    offset = time.utcoffset()
    if offset is not None and not offset.seconds % 60:
        read = read_time(time.isoformat())
        assert read in (MIN_TIME, MAX_TIME, time.astimezone(UTC) if 2 < time.year < 9999 else read)


@given(st.text(max_size=30) | st.text("0123456789-/.: TZ+[]eEAPMamp", max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read_time(text)
    except ValueError as error:
        assert "\n" not in str(error)  # noqa: PT017
