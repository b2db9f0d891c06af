"""Conversion between identities and households and the contract's messages."""

from datetime import datetime

from portrait.client.message_reader import read_message
from portrait.client.messages import build_timestamp
from portrait.client.results import Identity
from portrait.v1 import identity_service_pb2


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


def read_identity(
    message: identity_service_pb2.LinkShoppersResponse
    | identity_service_pb2.UnlinkShoppersResponse
    | identity_service_pb2.GetIdentityResponse
    | identity_service_pb2.JoinHouseholdResponse
    | identity_service_pb2.LeaveHouseholdResponse,
) -> Identity:
    """Read all ids of a shopper."""
    identity: Identity = read_message(message.identity)
    return identity
