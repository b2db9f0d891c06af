"""Statuses and their details as typed errors."""

import pickle

import grpc
import pytest
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from portrait.client import (
    AsyncClient,
    DeadlineExceededError,
    FieldViolation,
    InvalidRequestError,
    NotFoundError,
    PortraitError,
    ServerError,
    UnavailableError,
)

from .conftest import Scripted, failing

DETAILS = "grpc-status-details-bin"
RETRIED = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED}
"""Told at the deadline, up to which the client tries again."""


def packed(*details: Message) -> bytes:
    status = status_pb2.Status()
    for detail in details:
        status.details.append(Any())
        status.details[-1].Pack(detail)
    return status.SerializeToString()


async def raised(scripted: Scripted, code: grpc.StatusCode, *trailing: tuple[str, str | bytes]) -> PortraitError:
    scripted.answers = [failing(code, "told", *trailing)]
    seconds = 1.0 if code in RETRIED else 60.0
    async with AsyncClient(scripted.address) as client:
        with pytest.raises(PortraitError) as caught:
            await client.get_profile("a", timeout=seconds)
    return caught.value


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, InvalidRequestError),
        (grpc.StatusCode.NOT_FOUND, NotFoundError),
        (grpc.StatusCode.DEADLINE_EXCEEDED, DeadlineExceededError),
        (grpc.StatusCode.UNAVAILABLE, UnavailableError),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, UnavailableError),
        (grpc.StatusCode.INTERNAL, ServerError),
        (grpc.StatusCode.UNIMPLEMENTED, ServerError),
    ],
)
async def test_each_status_has_its_error(scripted: Scripted, code: grpc.StatusCode, kind: type[PortraitError]) -> None:
    error = await raised(scripted, code, ("x-request-id", "17"))
    assert type(error) is kind
    late = " (the time limit was 60 s: timeout, --timeout)" if kind is DeadlineExceededError else ""
    assert (str(error), error.code, error.request_id) == (f"{code.name}: told{late}", code, "17")


async def test_details_are_read(scripted: Scripted) -> None:
    violation = error_details_pb2.BadRequest.FieldViolation(field="k", description="too many")
    other = error_details_pb2.ErrorInfo(reason="INVALID_ARGUMENT")
    details = packed(other, error_details_pb2.BadRequest(field_violations=[violation]))
    error = await raised(scripted, grpc.StatusCode.INVALID_ARGUMENT, (DETAILS, details))
    assert error.violations == (FieldViolation("k", "too many"),)
    assert error.retry_after is None

    retry = error_details_pb2.RetryInfo(retry_delay=Duration(seconds=1, nanos=500_000_000))
    error = await raised(scripted, grpc.StatusCode.RESOURCE_EXHAUSTED, (DETAILS, packed(retry)))
    assert error.retry_after == 1.5


async def test_details_that_are_none_hide_nothing(scripted: Scripted) -> None:
    """A proxy on the way may write its own."""
    error = await raised(scripted, grpc.StatusCode.NOT_FOUND, (DETAILS, b"\xff\xff\xff"))
    assert isinstance(error, NotFoundError)
    assert error.violations == ()


def test_an_error_can_go_to_another_process() -> None:
    error = InvalidRequestError(grpc.StatusCode.INVALID_ARGUMENT, "told", "17", [FieldViolation("k", "no")], 2.0)
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), vars(copy)) == (InvalidRequestError, str(error), vars(error))
