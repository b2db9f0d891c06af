"""Streams of requests: made of entries while they are sent, and made again for another attempt of the call."""

from collections.abc import Iterator
from itertools import islice

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portrait.client.errors import FieldViolation, InvalidRequestError
from portrait.client.request_streams import RequestStream


def stream(entries: Iterator[object], size: int = 3) -> RequestStream:
    return RequestStream(entries, "texts", str, size, list)


@given(st.lists(st.text(max_size=3), max_size=20), st.integers(1, 5), st.integers(0, 8))
def test_another_attempt_sends_the_requests_before_the_first_response_again(
    texts: list[str], size: int, sent: int
) -> None:
    requests = stream(iter(texts), size)
    first = requests.begin()
    assert [text for part in islice(first, sent) for text in part] == texts[: sent * size]
    whole = [text for part in requests.begin() for text in part]
    assert whole == texts
    assert list(first) == [texts[begin : begin + size] for begin in range(sent * size, len(texts), size)]
    assert requests.failure is None


def test_requests_are_not_kept_after_a_response() -> None:
    requests = stream(iter("abcdefgh"))
    sending = requests.begin()
    next(sending)
    requests.record_response()
    assert list(sending) == [["d", "e", "f"], ["g", "h"]]
    assert list(requests.begin()) == []


def test_an_entry_of_another_type_ends_the_stream_and_is_told_by_its_place() -> None:
    requests = stream(iter(["a", "b", "c", "d", 5]))
    assert list(requests.begin()) == [["a", "b", "c"]]
    assert isinstance(requests.failure, TypeError)
    assert str(requests.failure) == "texts[4] takes a str; an int was given"


def test_an_error_of_the_source_ends_the_stream() -> None:
    def broken() -> Iterator[str]:
        yield from "abcd"
        raise OSError("the file is gone")

    requests = stream(broken())
    assert list(requests.begin()) == [["a", "b", "c"]]
    assert isinstance(requests.failure, OSError)


def test_paths_within_the_stream_become_those_of_the_argument() -> None:
    failure = InvalidRequestError(
        grpc.StatusCode.INVALID_ARGUMENT,
        "requests[2].texts[1]: sent 1001 characters; requests[0].texts[0]: sent 0 characters",
        violations=[FieldViolation("requests[2].texts[1]", "sent 1001 characters"), FieldViolation("requests[2]", "")],
    )
    located = stream(iter(())).locate(failure)
    assert isinstance(located, InvalidRequestError)
    assert located.message == "texts[7]: sent 1001 characters; texts[0]: sent 0 characters"
    assert [each.field for each in located.violations] == ["texts[7]", "requests[2]"]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_stream_has_no_empty_request(count: int) -> None:
    assert all(stream(iter("a" * count)).begin())
