"""EventService: records and lists the events of shoppers."""

import asyncio
from collections import Counter
from dataclasses import replace

import structlog

from portrait.server.admission.charges import add_units
from portrait.server.admission.request_units import history_units
from portrait.server.error_reasons import ErrorReason
from portrait.server.errors import AlreadyExists, FailedPrecondition
from portrait.server.identities import list_ids
from portrait.server.rpc.context import Context
from portrait.server.rpc.contract.validation import find_violations
from portrait.server.rpc.services.messages import (
    EVENT_TYPES,
    datetime_from_message,
    error_to_message,
    event_from_message,
    event_to_message,
    violations_to_message,
)
from portrait.server.rpc.services.page_tokens import EventPageToken, fingerprint
from portrait.server.rpc.services.valid_events import read_valid_event
from portrait.server.storage.event_lists import END, EventPlace, read_latest_events
from portrait.server.storage.histories import MAX_HISTORY_EVENTS, visible_until
from portrait.server.storage.store import EventSelection, Recorded, RecordedEvent, Store
from portrait.server.timestamps import to_microseconds
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
_PAGE = 100
"""Events of a page if the request sets no `page_size`."""
_CONFLICT = "this shopper has another event of the same id; an event that differs needs an id of its own"


class EventService(event_service_pb2_grpc.EventServiceServicer):
    """Stores events, each accepted or rejected on its own, and lists what is stored.

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

    async def ListEvents(  # noqa: N802 - the contract's name
        self, request: event_service_pb2.ListEventsRequest, context: Context
    ) -> event_service_pb2.ListEventsResponse:
        """Return a page of the events of a shopper under all linked ids, the newest first."""
        size, question = request.page_size or _PAGE, _fingerprint(request)
        place = EventPageToken.read(request.page_token, question).place if request.page_token else END
        identities = await self._store.identities([request.shopper_id])
        shopper_ids = list_ids(identities, request.shopper_id)
        if request.HasField("before"):
            place = min(place, EventPlace(to_microseconds(datetime_from_message(request.before)), b"", 0))
        if request.types:  # the events of other types are looked through
            counts = await self._store.count_events(shopper_ids, visible_until(None), MAX_HISTORY_EVENTS)
            await add_units(history_units(sum(counts.values())))
        # One more than the page tells whether there is another one.
        found = await read_latest_events(self._store, shopper_ids, _read_selection(request), place, size + 1)
        page, more = found[:size], len(found) > size
        structlog.contextvars.bind_contextvars(events=len(page))
        return event_service_pb2.ListEventsResponse(
            events=[
                event_service_pb2.ShopperEvent(shopper_id=each.shopper_id, event=event_to_message(each.event))
                for _, each in page
            ],
            next_page_token=str(EventPageToken(page[-1][0], question)) if more else "",
        )


def _read_selection(request: event_service_pb2.ListEventsRequest) -> EventSelection:
    selection = EventSelection()
    if request.types:
        selection = replace(selection, types=frozenset(EVENT_TYPES[kind] for kind in request.types))
    if request.HasField("since"):
        selection = replace(selection, since=to_microseconds(datetime_from_message(request.since)))
    return selection


def _fingerprint(request: event_service_pb2.ListEventsRequest) -> bytes:
    """Hash what a request asks for, whatever page of it."""
    question = event_service_pb2.ListEventsRequest()
    question.CopyFrom(request)
    question.ClearField("page_size")
    question.ClearField("page_token")
    return fingerprint(question)
