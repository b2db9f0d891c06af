"""The audit of calls that touch a shopper's rights: what is not in the audit log is not done."""

import asyncio
import contextlib
from typing import Any

import structlog
from google.protobuf.json_format import MessageToDict

from portrait.features.logs.shopper_hashes import ShopperHasher
from portrait.server.audit.log import REASON_WORDS, AuditError, AuditLog, is_reason
from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import InvalidRequest, PortraitError, Unavailable, Violation
from portrait.server.rpc.context import Context, Handler, Interceptor, Method, Response
from portrait.server.rpc.interceptors.identity import verified_caller
from portrait.v1 import review_pb2, review_service_pb2

REASON = "x-reason"
"""Metadata with which a caller says why it makes the call."""
AUDITED_METHODS = frozenset(
    {
        "portrait.v1.ConsentService/SetConsents",
        "portrait.v1.ConsentService/SetDemographics",
        "portrait.v1.ConsentService/ExportShopper",
        "portrait.v1.ConsentService/ForgetShopper",
        "portrait.v1.EventService/ListEvents",
        "portrait.v1.IdentityService/LinkShoppers",
        "portrait.v1.IdentityService/UnlinkShoppers",
        "portrait.v1.IdentityService/JoinHousehold",
        "portrait.v1.IdentityService/LeaveHousehold",
        "portrait.v1.ReviewService/SetReview",
        "portrait.v1.ReviewService/RemoveReview",
    }
)
_ACTION_PREFIX = "REVIEW_ACTION_"
_RETRY_SECONDS = 5.0


def audit_calls(log: AuditLog, hasher: ShopperHasher) -> Interceptor:
    """Write a line before each call that shows, deletes or changes what is recorded of a shopper, and one after it.

    The first has caller, method, hash of the shopper's id, of a link that of the anonymous id as well, of a membership
    that of the household, and reason; the second the outcome. A call whose first line can't be written is refused. It
    stands inside of `parse_request`: only valid requests are begun.

    Args:
        log: the audit log.
        hasher: hashes the ids.
    """

    def intercept(method: Method, call_next: Handler) -> Handler:
        if method.name not in AUDITED_METHODS:
            return call_next

        async def handle(request: Any, context: Context) -> Response:
            known = structlog.contextvars.get_contextvars()
            number = await _append(
                log,
                caller=known.get("caller") or verified_caller(context),
                method=method.name,
                **_describe_subject(request, hasher),
                reason=_read_reason(context),
                request_id=known.get("request_id", ""),
            )
            outcome = "INTERNAL"
            try:
                response = await call_next(request, context)
                outcome = "OK"
                return response
            except PortraitError as error:
                outcome = error.reason
                raise
            except asyncio.CancelledError:
                outcome = "CANCELLED"
                raise
            finally:
                # Whether the caller waits or not. Without this line, the log still says that the call was begun.
                with contextlib.suppress(Unavailable):
                    await asyncio.shield(_append(log, of=number, outcome=outcome))

        return handle

    return intercept


def _describe_subject(request: Any, hasher: ShopperHasher) -> dict[str, object]:
    """Describe whom and what a call is about, without anything that tells who a shopper is."""
    if isinstance(request, review_service_pb2.SetReviewRequest | review_service_pb2.RemoveReviewRequest):
        return _describe_review(request, hasher)
    named = {each: getattr(request, f"{each}_id", None) for each in ("shopper", "anonymous", "household")}
    return {f"{each}_sha256": hasher.hash(value) for each, value in named.items() if value is not None}


def _describe_review(
    request: review_service_pb2.SetReviewRequest | review_service_pb2.RemoveReviewRequest, hasher: ShopperHasher
) -> dict[str, object]:
    """Describe a review: of one for a single shopper only the kind of its subject, as an interest is theirs."""
    said: dict[str, object] = {}
    if isinstance(request, review_service_pb2.RemoveReviewRequest):
        target = request.target
    else:
        target, said["reviewed_by"] = request.review.target, request.review.reviewed_by
        said["action"] = review_pb2.ReviewAction.Name(request.review.action).removeprefix(_ACTION_PREFIX).lower()
    said["subject"] = target.WhichOneof("subject")
    if target.WhichOneof("scope") == "shopper_id":
        return {"shopper_sha256": hasher.hash(target.shopper_id), **said}
    return {**said, "target": MessageToDict(target, preserving_proto_field_name=True)}


async def _append(log: AuditLog, **fields: object) -> int:
    try:
        return await asyncio.to_thread(log.append, **fields)
    except AuditError as error:
        structlog.get_logger(__name__).error("audit_failed", reason=str(error))
        raise Unavailable("the audit log can't be written", _RETRY_SECONDS, ErrorReason.AUDIT_UNWRITABLE) from error


def _read_reason(context: Context) -> str:
    for key, value in context.invocation_metadata() or ():
        if key == REASON:
            if not isinstance(value, str) or not is_reason(value):
                raise InvalidRequest(
                    [Violation(REASON, f"metadata; the limit is {REASON_WORDS}")],
                    ErrorReason.METADATA_INVALID,
                )
            return value
    return ""
