"""ConsentService: records consents and declared demographics of shoppers, and deletes shoppers."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import structlog

from portrait.server.consent.consents import Consent, Permissions, Purpose
from portrait.server.demographics import Demographics, find_age_band
from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import FailedPrecondition
from portrait.server.identities import Identity
from portrait.server.rpc.context import Context
from portrait.server.rpc.services.messages import (
    datetime_from_message,
    event_to_message,
    link_to_message,
    membership_to_message,
    timestamp_to_message,
)
from portrait.server.rpc.services.profile_messages import demographics_to_message
from portrait.server.rpc.services.review_messages import review_to_message
from portrait.server.storage.store import Store
from portrait.v1 import consent_service_pb2, consent_service_pb2_grpc
from portrait.v1.consent_service_pb2 import ExportShopperResponse

_RECORDS = 1_000
"""Maximum consent records in a response, the newest ones."""
_ALL_RECORDS = 2**31 - 1
_PAGE = 1_000
"""Records or events of one response of an export."""
_PURPOSES = {purpose: f"PURPOSE_{purpose.name}" for purpose in Purpose}
_NUMBERED = {consent_service_pb2.Purpose.Value(name): purpose for purpose, name in _PURPOSES.items()}
_DECISIONS = {
    True: consent_service_pb2.CONSENT_DECISION_GRANTED,
    False: consent_service_pb2.CONSENT_DECISION_WITHDRAWN,
    None: consent_service_pb2.CONSENT_DECISION_UNSPECIFIED,
}


class ConsentService(consent_service_pb2_grpc.ConsentServiceServicer):
    """Records the decisions of shoppers.

    Args:
        store: keeps consents and demographics.
        permissions: derives the allowed purposes from consents and the rules of the operator.
    """

    def __init__(self, store: Store, permissions: Permissions) -> None:
        self._store = store
        self._permissions = permissions

    async def SetConsents(  # noqa: N802 - the contract's name
        self, request: consent_service_pb2.SetConsentsRequest, context: Context
    ) -> consent_service_pb2.SetConsentsResponse:
        """Record consents of a shopper; return the resulting permissions."""
        now = datetime.now(UTC)
        await self._store.record_consents(request.shopper_id, [_consent_of(each, now) for each in request.consents])
        structlog.contextvars.bind_contextvars(consents=len(request.consents))
        return consent_service_pb2.SetConsentsResponse(permissions=await self._permission_messages(request.shopper_id))

    async def GetConsents(  # noqa: N802 - the contract's name
        self, request: consent_service_pb2.GetConsentsRequest, context: Context
    ) -> consent_service_pb2.GetConsentsResponse:
        """Return the permissions of a shopper, and the recorded decisions."""
        records = await self._store.consent_records(request.shopper_id, _RECORDS)
        return consent_service_pb2.GetConsentsResponse(
            permissions=await self._permission_messages(request.shopper_id), records=map(_record_message, records)
        )

    async def SetDemographics(  # noqa: N802 - the contract's name
        self, request: consent_service_pb2.SetDemographicsRequest, context: Context
    ) -> consent_service_pb2.SetDemographicsResponse:
        """Store the demographics that a shopper declares; of the age only the band is kept."""
        declared = Demographics(
            age_band=find_age_band(request.age) if request.HasField("age") else "",
            gender=request.gender,
            region=request.region,
            declared_at=datetime.now(UTC),
            source=request.source,
        )
        allowed = await self._permissions.allows(request.shopper_id, Purpose.DEMOGRAPHICS)
        # The store checks again in its transaction: the shopper may have withdrawn the consent meanwhile.
        if not allowed or not await self._store.set_demographics(request.shopper_id, declared):
            raise FailedPrecondition(
                "the shopper does not allow the purpose `demographics`: set that consent first",
                ErrorReason.CONSENT_MISSING,
                "shopper_id",
            )
        return consent_service_pb2.SetDemographicsResponse(demographics=demographics_to_message(declared))

    async def ExportShopper(  # type: ignore[override] # noqa: N802 - the contract's name; it writes its stream itself
        self, request: consent_service_pb2.ExportShopperRequest, context: Context
    ) -> None:
        """Stream all recorded data of a shopper, under all linked ids."""
        identities = await self._store.identities([request.shopper_id])
        identity = identities.get(request.shopper_id, Identity(request.shopper_id))
        links, events, records = [link_to_message(each) for each in identity.links], 0, 0
        for shopper_id in identity.shopper_ids:
            async for part in self._export_id(shopper_id):
                events, records = events + len(part.events), records + len(part.consents)
                part.links.extend(links)
                links = []
                await context.write(part)
        structlog.contextvars.bind_contextvars(events=events, consents=records)

    async def _export_id(self, shopper_id: str) -> AsyncIterator[ExportShopperResponse]:
        """Yield all that is recorded under one id, at least one response."""
        declared = await self._store.demographics(shopper_id)
        records = await self._store.consent_records(shopper_id, _ALL_RECORDS)
        reviews = await self._store.reviews(shopper_id)
        first = ExportShopperResponse(
            shopper_id=shopper_id,
            consents=map(_record_message, records[:_PAGE]),
            reviews=map(review_to_message, reviews),
        )
        if declared is not None:
            first.demographics.CopyFrom(demographics_to_message(declared))
        for membership in (await self._store.households.memberships([shopper_id])).values():
            first.household.CopyFrom(membership_to_message(membership))
        yield first
        for begin in range(_PAGE, len(records), _PAGE):
            part = map(_record_message, records[begin : begin + _PAGE])
            yield ExportShopperResponse(shopper_id=shopper_id, consents=part)
        position = None
        while found := await self._store.list_events(shopper_id, position, _PAGE):
            yield ExportShopperResponse(shopper_id=shopper_id, events=[event_to_message(event) for _, event in found])
            position = found[-1][0]

    async def ForgetShopper(  # noqa: N802 - the contract's name
        self, request: consent_service_pb2.ForgetShopperRequest, context: Context
    ) -> consent_service_pb2.ForgetShopperResponse:
        """Delete all recorded data of a shopper, under all linked ids."""
        forgotten = await self._store.forget(request.shopper_id, datetime.now(UTC))
        structlog.contextvars.bind_contextvars(events=forgotten.events)
        return consent_service_pb2.ForgetShopperResponse(
            event_count=forgotten.events, forgotten_at=timestamp_to_message(forgotten.at)
        )

    async def _permission_messages(self, shopper_id: str) -> list[consent_service_pb2.Permission]:
        decisions = await self._store.consents(shopper_id)
        allowed = self._permissions.list_allowed(decisions)
        return [
            consent_service_pb2.Permission(
                purpose=name, allowed=purpose in allowed, decision=_DECISIONS[decisions.by_purpose.get(purpose)]
            )
            for purpose, name in _PURPOSES.items()
        ]


def _consent_of(message: consent_service_pb2.Consent, now: datetime) -> Consent:
    time = datetime_from_message(message.time) if message.HasField("time") else now
    granted = message.decision == consent_service_pb2.CONSENT_DECISION_GRANTED
    return Consent(_NUMBERED[message.purpose], granted, time, now, message.notice, message.source)


def _record_message(consent: Consent) -> consent_service_pb2.ConsentRecord:
    said = consent_service_pb2.Consent(
        purpose=_PURPOSES[consent.purpose],
        decision=_DECISIONS[consent.granted],
        time=timestamp_to_message(consent.time),
        notice=consent.notice,
        source=consent.source,
    )
    return consent_service_pb2.ConsentRecord(consent=said, recorded_at=timestamp_to_message(consent.recorded_at))
