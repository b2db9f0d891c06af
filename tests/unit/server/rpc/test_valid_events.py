"""The quick way to read events to record agrees with the limits of the contract."""

from hypothesis import given
from support.request_strategies import requests

from portrait.server.rpc.contract.validation import find_violations
from portrait.server.rpc.services.messages import event_from_message
from portrait.server.rpc.services.valid_events import read_valid_event
from portrait.server.storage.store import RecordedEvent
from portrait.v1 import event_service_pb2

RECORD = event_service_pb2.DESCRIPTOR.services_by_name["EventService"].methods_by_name["RecordEvents"]


@given(requests(RECORD, ["ann", "desk-lamp-red", "products"]))
def test_the_quick_way_reads_what_breaks_no_limit_and_nothing_else(
    request: event_service_pb2.RecordEventsRequest,
) -> None:
    for sent in request.events:
        if any(find_violations(sent)):
            assert read_valid_event(sent) is None
        else:
            event = event_from_message(sent.event, sent.event.event_id)
            assert read_valid_event(sent) == RecordedEvent(sent.shopper_id, event)
