"""Recorded calls: the file of a load test, or one like it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf import json_format

from portrait.server.rpc.contract.validation import find_violations
from portrait.v1.recommendation_service_pb2 import GetShelfRequest, RecommendRequest

MAX_CALLS = 100
_SERVICE = "portrait.v1.RecommendationService/"
_REQUESTS: dict[str, type[RecommendRequest] | type[GetShelfRequest]] = {
    f"{_SERVICE}Recommend": RecommendRequest,
    f"{_SERVICE}GetShelf": GetShelfRequest,
}


class CallsError(Exception):
    """A file of calls can't be used; the message names the call, the field and the limit."""


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """A call to which rules apply."""

    number: int
    """Its place in the file, from 1."""
    request: RecommendRequest | GetShelfRequest


@dataclass(frozen=True, slots=True)
class RecordedCalls:
    """The first calls of a file to which rules apply."""

    calls: list[RecordedCall]
    others: int
    """Number of calls to which no rule applies."""
    left_out: int
    """Number of further calls to which rules apply."""


def read_calls(path: Path) -> RecordedCalls:
    """Read `{"calls": [{"method": …, "request": …}, …]}`, as `portrait loadtest` writes it.

    Raises:
        CallsError: the file can't be read, a request breaks the contract, or rules apply to none of the calls.
    """
    listed = [(number, method, request) for number, (method, request) in enumerate(_list_calls(path), start=1)]
    fitting = [(number, method, request) for number, method, request in listed if method in _REQUESTS]
    if not fitting:
        raise CallsError(f"{path}: rules apply to none of its {len(listed)} calls; they do to {', '.join(_REQUESTS)}")
    calls = [
        RecordedCall(number, _read_request(f"{path}: call {number}", method, request))
        for number, method, request in fitting[:MAX_CALLS]
    ]
    return RecordedCalls(calls, len(listed) - len(fitting), len(fitting) - len(calls))


def _list_calls(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield method and request of each call."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CallsError(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise CallsError(f"{path}: is no JSON: {error}") from None
    calls = content.get("calls") if isinstance(content, dict) else None
    if not isinstance(calls, list):
        raise CallsError(f'{path}: has no list "calls"')
    for number, call in enumerate(calls, start=1):
        if not isinstance(call, dict) or not isinstance(call.get("method"), str) or "request" not in call:
            raise CallsError(f'{path}: call {number}: needs "method" and "request"')
        yield call["method"].removeprefix("/"), call["request"]


def _read_request(place: str, method: str, content: Any) -> RecommendRequest | GetShelfRequest:
    request = _REQUESTS[method]()
    try:
        json_format.ParseDict(content, request)
    except (json_format.ParseError, RecursionError) as error:
        raise CallsError(f"{place}: {error}") from None
    except (AttributeError, TypeError) as error:  # of something else than an object
        raise CallsError(f"{place}: request: {error}") from None
    if broken := list(find_violations(request)):
        raise CallsError(f"{place}: {'; '.join(f'{each.field}: {each.description}' for each in broken)}")
    return request
