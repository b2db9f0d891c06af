"""IdentityService: links anonymous ids of shoppers to their logins."""

from datetime import UTC, datetime

from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import FailedPrecondition, InvalidRequest, Violation
from portrait.server.identities import MAX_LINKS, Identity, Link, LinkOutcome
from portrait.server.rpc.context import Context
from portrait.server.rpc.services.messages import datetime_from_message, link_to_message
from portrait.server.storage.store import Store
from portrait.v1 import identity_service_pb2, identity_service_pb2_grpc

_REFUSALS = {
    LinkOutcome.FORGOTTEN: FailedPrecondition(
        "one of the ids was forgotten after this link", ErrorReason.SHOPPER_FORGOTTEN
    ),
    LinkOutcome.LOGIN_LINKED: FailedPrecondition(
        "is itself linked to a login: link the anonymous id to that one", ErrorReason.IDENTITY_CONFLICT, "shopper_id"
    ),
    LinkOutcome.HAS_LINKS: FailedPrecondition(
        "has ids that are linked to it, so it is a login; two logins are not merged",
        ErrorReason.IDENTITY_CONFLICT,
        "anonymous_id",
    ),
    LinkOutcome.TAKEN: FailedPrecondition(
        "is linked to another login, and two logins are not merged: undo that link first",
        ErrorReason.IDENTITY_CONFLICT,
        "anonymous_id",
    ),
    LinkOutcome.FULL: FailedPrecondition(
        f"has {MAX_LINKS} links, which is the limit: undo one first", ErrorReason.IDENTITY_FULL, "shopper_id"
    ),
}


class IdentityService(identity_service_pb2_grpc.IdentityServiceServicer):
    """Links ids.

    Args:
        store: keeps the links.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def LinkShoppers(  # noqa: N802 - the contract's name
        self, request: identity_service_pb2.LinkShoppersRequest, context: Context
    ) -> identity_service_pb2.LinkShoppersResponse:
        """Link an anonymous id to a login."""
        if request.anonymous_id == request.shopper_id:
            raise InvalidRequest([Violation("anonymous_id", "is the login itself")])
        now = datetime.now(UTC)
        # A time ahead of the clock would let a link that is sent again outlive the deletion of its ids.
        time = min(datetime_from_message(request.time), now) if request.HasField("time") else now
        link = Link(request.anonymous_id, time, now, request.source, request.confidence)
        outcome = await self._store.link(request.shopper_id, link)
        if outcome is not LinkOutcome.LINKED:
            refusal = _REFUSALS[outcome]
            raise FailedPrecondition(refusal.description, refusal.reason, refusal.field)
        return identity_service_pb2.LinkShoppersResponse(identity=await self._identity(request.shopper_id))

    async def UnlinkShoppers(  # noqa: N802 - the contract's name
        self, request: identity_service_pb2.UnlinkShoppersRequest, context: Context
    ) -> identity_service_pb2.UnlinkShoppersResponse:
        """Remove the link of an anonymous id to a login."""
        await self._store.unlink(request.shopper_id, request.anonymous_id)
        return identity_service_pb2.UnlinkShoppersResponse(identity=await self._identity(request.shopper_id))

    async def GetIdentity(  # noqa: N802 - the contract's name
        self, request: identity_service_pb2.GetIdentityRequest, context: Context
    ) -> identity_service_pb2.GetIdentityResponse:
        """Return all ids of a shopper."""
        return identity_service_pb2.GetIdentityResponse(identity=await self._identity(request.shopper_id))

    async def _identity(self, shopper_id: str) -> identity_service_pb2.Identity:
        identities = await self._store.identities([shopper_id])
        identity = identities.get(shopper_id, Identity(shopper_id))
        return identity_service_pb2.Identity(
            shopper_id=identity.login_id, links=[link_to_message(link) for link in identity.links]
        )
