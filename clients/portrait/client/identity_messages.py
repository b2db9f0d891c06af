"""Conversion between identities and households and the contract's messages."""

from collections.abc import Iterable
from datetime import UTC, datetime

from portrait.client.messages import build_timestamp
from portrait.client.results import Identity, Link, Membership
from portrait.v1 import identity_service_pb2, link_pb2, membership_pb2


def build_link_request(
    shopper_id: str, anonymous_id: str, source: str, confidence: float, time: datetime | None
) -> identity_service_pb2.LinkShoppersRequest:
    """Build the request that links an anonymous id to a login."""
    return identity_service_pb2.LinkShoppersRequest(
        shopper_id=shopper_id,
        anonymous_id=anonymous_id,
        source=source,
        confidence=confidence,
        time=build_timestamp(time),
    )


def read_links(messages: Iterable[link_pb2.Link]) -> tuple[Link, ...]:
    """Read links."""
    return tuple(
        Link(
            each.anonymous_id,
            each.source,
            each.confidence,
            each.time.ToDatetime(tzinfo=UTC),
            each.recorded_at.ToDatetime(tzinfo=UTC),
        )
        for each in messages
    )


def build_join_request(
    household_id: str, shopper_id: str, source: str, confidence: float, time: datetime | None
) -> identity_service_pb2.JoinHouseholdRequest:
    """Build the request that makes a shopper a member of a household."""
    return identity_service_pb2.JoinHouseholdRequest(
        household_id=household_id,
        shopper_id=shopper_id,
        source=source,
        confidence=confidence,
        time=build_timestamp(time),
    )


def read_membership(message: membership_pb2.Membership) -> Membership:
    """Read a membership in a household."""
    moments = (each.ToDatetime(tzinfo=UTC) for each in (message.time, message.recorded_at))
    return Membership(message.household_id, message.shopper_id, message.source, message.confidence, *moments)


def read_identity(
    message: identity_service_pb2.LinkShoppersResponse
    | identity_service_pb2.UnlinkShoppersResponse
    | identity_service_pb2.GetIdentityResponse
    | identity_service_pb2.JoinHouseholdResponse
    | identity_service_pb2.LeaveHouseholdResponse,
) -> Identity:
    """Read all ids of a shopper."""
    identity = message.identity
    household = read_membership(identity.household) if identity.HasField("household") else None
    return Identity(identity.shopper_id, read_links(identity.links), household)
