"""EventService: records the events of shoppers."""

import asyncio
from collections import Counter

import structlog

from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import AlreadyExists, FailedPrecondition
from portrait.server.rpc.context import Context
from portrait.server.rpc.contract.validation import find_violations
from portrait.server.rpc.services.messages import error_to_message, event_from_message, violations_to_message
from portrait.server.rpc.services.valid_events import read_valid_event
from portrait.server.storage.store import Recorded, RecordedEvent, Store
from portrait.v1 import event_service_pb2, event_service_pb2_grpc
from portrait.v1.event_service_pb2 import (
    RECORD_STATUS_ACCEPTED,
    RECORD_STATUS_DUPLICATE,
    RECORD_STATUS_REJECTED,
)

_STATUSES = {
    Recorded.NEW: RECORD_STATUS_ACCEPTED,
    Recorded.KNOWN: RECORD_STATUS_DUPLICATE,
    Recorded.CONFLICT: RECORD_STATUS_REJECTED,
    Recorded.FORGOTTEN: RECORD_STATUS_REJECTED,
    Recorded.EXPIRED: RECORD_STATUS_REJECTED,
}
_REFUSALS = {
    Recorded.FORGOTTEN: error_to_message(
        FailedPrecondition("the shopper was forgotten after this event", ErrorReason.SHOPPER_FORGOTTEN)
    ),
    Recorded.EXPIRED: error_to_message(
        FailedPrecondition("the event is older than events of its type are kept", ErrorReason.EVENT_EXPIRED)
    ),
}
"""Errors of events whose shopper or age is why they are not stored."""
_TOGETHER = 100
"""Events that are validated before the event loop serves other calls."""
_CONFLICT = "this shopper has another event of the same id; an event that differs needs an id of its own"


class EventService(event_service_pb2_grpc.EventServiceServicer):
    """Stores events; each is accepted or rejected on its own.

    Args:
        store: keeps the events.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def RecordEvents(  # noqa: N802 - the contract's name
        self, request: event_service_pb2.RecordEventsRequest, context: Context
    ) -> event_service_pb2.RecordEventsResponse:
        """Store the valid events in one transaction; report the others."""
        response = event_service_pb2.RecordEventsResponse()
        results, valid = response.results, dict[int, RecordedEvent]()
        for place, sent in enumerate(request.events):
            if place and place % _TOGETHER == 0:
                await asyncio.sleep(0)  # lets the event loop serve other calls
            result = results.add(event_id=sent.event.event_id)
            event = read_valid_event(sent)
            if event is None and (broken := list(find_violations(sent, f"events[{place}]"))):
                result.status = RECORD_STATUS_REJECTED
                result.error.CopyFrom(violations_to_message(broken))
            else:
                # Without violations, its time is no longer too late: the clock has gone on.
                valid[place] = event or RecordedEvent(sent.shopper_id, event_from_message(sent.event, result.event_id))
        stored = await self._store.record(list(valid.values())) if valid else []
        for place, became in zip(valid, stored, strict=True):
            results[place].status = _STATUSES[became]
            if became in _REFUSALS:
                results[place].error.CopyFrom(_REFUSALS[became])
            elif became is Recorded.CONFLICT:
                conflict = AlreadyExists(f"events[{place}].event.event_id", _CONFLICT, ErrorReason.EVENT_ID_TAKEN)
                results[place].error.CopyFrom(error_to_message(conflict))
        counts = Counter(result.status for result in results)
        response.accepted = counts[RECORD_STATUS_ACCEPTED]
        response.duplicates = counts[RECORD_STATUS_DUPLICATE]
        response.rejected = counts[RECORD_STATUS_REJECTED]
        structlog.contextvars.bind_contextvars(
            accepted=response.accepted, duplicates=response.duplicates, rejected=response.rejected
        )
        return response
