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


def add_event(request: RecordEventsRequest, payload: bytes) -> str:
    """Add the event of a message to a request.

    Returns:
        Key that says that the purchase was called off, which counts as one nevertheless; empty if none does.

    Args:
        request: gets one event more, unless an error is raised.
        payload: JSON of one event, as in a line of a log.

    Raises:
        EventError: there is none.
    """
    plain = read_plain_event(payload)
    if plain is None:
        event, called_off_by = parse_event(payload)
        request.events.append(event)
        return called_off_by
    request.events.add(**plain.fields)
    return plain.called_off_by


def parse_event(payload: bytes) -> tuple[ShopperEvent, str]:
    """Parse a message, however it is written, and what `add_event` returns."""
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
    return event, read[0].called_off_by
