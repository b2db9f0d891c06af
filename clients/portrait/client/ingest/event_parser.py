"""The event of a message, by the rules of logs."""

from portrait.client import files
from portrait.client.ingest.plain_events import read_plain_event
from portrait.client.messages import build_shopper_event
from portrait.v1.event_service_pb2 import RecordEventsRequest, ShopperEvent

_FILE = "stream"
_CURRENCY = ""
"""Nothing stands for it: no price is dropped because other messages name another currency."""
_MAX_BYTES = 8_192
"""More than any event within the limits of the contract has; a thousand of so many fit into a request."""


class EventError(Exception):
    """A message holds no event. The error says why."""


def add_event(request: RecordEventsRequest, payload: bytes) -> None:
    """Add the event of a message to a request.

    Args:
        request: gets one event more, unless an error is raised.
        payload: JSON of one event, as in a line of a log.

    Raises:
        EventError: there is none.
    """
    plain = read_plain_event(payload)
    if plain is None:
        request.events.append(parse_event(payload))
    else:
        request.events.add(**plain)


def parse_event(payload: bytes) -> ShopperEvent:
    """Parse a message, however it is written. See `add_event`."""
    # A line end within a message would make two lines of it: JSON needs none.
    line = payload.replace(b"\n", b" ")
    if not line.lstrip().startswith(b"{"):
        raise EventError("is no JSON object")
    rejected: list[files.RejectedRow] = []
    try:
        read = list(files.read_events([line], _FILE, _CURRENCY, rejected.append))
    except files.FileError as error:
        raise EventError(str(error)) from None
    for row in rejected:
        raise EventError(f"{row.column}: {row.message}" if row.column else row.message)
    event = build_shopper_event(read[0].shopper_id, read[0].event)
    if event.ByteSize() > _MAX_BYTES:
        raise EventError(f"is an event of {event.ByteSize()} bytes; the limit is {_MAX_BYTES}")
    return event
