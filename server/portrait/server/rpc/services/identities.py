"""IdentityService: links anonymous ids of shoppers to their logins, and groups shoppers into households."""

from datetime import UTC, datetime

from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import FailedPrecondition, InvalidRequest, Violation
from portrait.server.households import MAX_MEMBERS, JoinOutcome, Membership
from portrait.server.identities import MAX_LINKS, Identity, Link, LinkOutcome
from portrait.server.rpc.context import Context
from portrait.server.rpc.services.messages import datetime_from_message, link_to_message, membership_to_message
from portrait.server.storage.store import Store
from portrait.v1 import identity_service_pb2, identity_service_pb2_grpc

_REFUSALS: dict[LinkOutcome | JoinOutcome, FailedPrecondition] = {
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
    LinkOutcome.MEMBER: FailedPrecondition(
        "is a member of a household, so it is a person's login: end the membership first",
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
    JoinOutcome.FORGOTTEN: FailedPrecondition(
        "the shopper was forgotten after this membership", ErrorReason.SHOPPER_FORGOTTEN
    ),
    JoinOutcome.LINKED: FailedPrecondition(
        "is linked to a login: name that one", ErrorReason.IDENTITY_CONFLICT, "shopper_id"
    ),
    JoinOutcome.TAKEN: FailedPrecondition(
        "is a member of another household: end that membership first", ErrorReason.IDENTITY_CONFLICT, "shopper_id"
    ),
    JoinOutcome.FULL: FailedPrecondition(
        f"has {MAX_MEMBERS} members, which is the limit: end one membership first",
        ErrorReason.IDENTITY_FULL,
        "household_id",
    ),
}


class IdentityService(identity_service_pb2_grpc.IdentityServiceServicer):
    """Links ids, and groups shoppers.

    Args:
        store: keeps links and households.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def LinkShoppers(  # noqa: N802 - the contract's name
        self, request: identity_service_pb2.LinkShoppersRequest, context: Context
    ) -> identity_service_pb2.LinkShoppersResponse:
        """Link an anonymous id to a login."""
        if request.anonymous_id == request.shopper_id:
            raise InvalidRequest([Violation("anonymous_id", "is the login itself")])
        link = Link(request.anonymous_id, *_read_moments(request), request.source, request.confidence)
        _require_done(await self._store.link(request.shopper_id, link))
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

    async def JoinHousehold(  # noqa: N802 - the contract's name
        self, request: identity_service_pb2.JoinHouseholdRequest, context: Context
    ) -> identity_service_pb2.JoinHouseholdResponse:
        """Make a shopper a member of a household."""
        moments = _read_moments(request)
        membership = Membership(request.shopper_id, request.household_id, *moments, request.source, request.confidence)
        _require_done(await self._store.households.join(membership))
        return identity_service_pb2.JoinHouseholdResponse(identity=await self._identity(request.shopper_id))

    async def LeaveHousehold(  # noqa: N802 - the contract's name
        self, request: identity_service_pb2.LeaveHouseholdRequest, context: Context
    ) -> identity_service_pb2.LeaveHouseholdResponse:
        """Remove a membership."""
        await self._store.households.leave(request.household_id, request.shopper_id)
        return identity_service_pb2.LeaveHouseholdResponse(identity=await self._identity(request.shopper_id))

    async def GetHousehold(  # noqa: N802 - the contract's name
        self, request: identity_service_pb2.GetHouseholdRequest, context: Context
    ) -> identity_service_pb2.GetHouseholdResponse:
        """Return the members of a household."""
        members = await self._store.households.members(request.household_id)
        return identity_service_pb2.GetHouseholdResponse(members=map(membership_to_message, members))

    async def _identity(self, shopper_id: str) -> identity_service_pb2.Identity:
        identities = await self._store.identities([shopper_id])
        identity = identities.get(shopper_id, Identity(shopper_id))
        message = identity_service_pb2.Identity(
            shopper_id=identity.login_id, links=[link_to_message(link) for link in identity.links]
        )
        for membership in (await self._store.households.memberships([identity.login_id])).values():
            message.household.CopyFrom(membership_to_message(membership))
        return message


def _read_moments(
    request: identity_service_pb2.LinkShoppersRequest | identity_service_pb2.JoinHouseholdRequest,
) -> tuple[datetime, datetime]:
    """Read when the caller found something out, and when that is recorded: now."""
    now = datetime.now(UTC)
    # A time ahead of the clock would let what is sent again outlive the deletion of its ids.
    return (min(datetime_from_message(request.time), now) if request.HasField("time") else now), now


def _require_done(outcome: LinkOutcome | JoinOutcome) -> None:
    """Require that a link or a membership was recorded.

    Raises:
        FailedPrecondition: it was not.
    """
    if outcome not in (LinkOutcome.LINKED, JoinOutcome.JOINED):
        refusal = _REFUSALS[outcome]
        raise FailedPrecondition(refusal.description, refusal.reason, refusal.field)
