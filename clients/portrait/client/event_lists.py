"""Lists of a shopper's recorded events, as `portrait events` prints them."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from rich.console import Console

from portrait.client.enums import EventType
from portrait.client.exports import event_row
from portrait.client.options import Metadata
from portrait.client.outputs import Rows, print_json
from portrait.client.results import Event
from portrait.client.sync import Client

_MAX_PAGE = 1_000


def read_events(
    client: Client,
    shopper_id: str,
    types: Sequence[EventType],
    since: datetime | None,
    before: datetime | None,
    limit: int,
    metadata: Metadata,
) -> Iterator[tuple[str, Event]]:
    """Yield up to `limit` events of a shopper with their ids, the newest first, page after page.

    Raises:
        PortraitError: a call failed.
    """
    token = ""
    while limit:
        size = min(limit, _MAX_PAGE)
        page = client.list_events(
            shopper_id, types=types, since=since, before=before, page_size=size, page_token=token, metadata=metadata
        )
        yield from page.events
        limit, token = limit - size, page.next_page_token
        if not token:
            return


def print_lines(events: Iterable[tuple[str, Event]]) -> None:
    """Print each event as a line of JSON, as soon as it is read."""
    for shopper_id, event in events:
        print_json({"shopper_id": shopper_id, **event_row(event)})


def print_table(console: Console, events: Iterable[tuple[str, Event]]) -> None:
    """Print events as rows."""
    table = Rows("", "time", "type", "item", "catalogue", "query", "more", "shopper", "event", ids=("shopper", "event"))
    for shopper_id, event in events:
        time = "" if event.time is None else f"{event.time:%Y-%m-%d %H:%M:%S}"
        words = (event.type.value, event.item_id, event.catalogue, event.query)
        table.add(time, *words, _format_numbers(event), shopper_id, event.event_id)
    table.print(console)


def _format_numbers(event: Event) -> str:
    numbers = {
        "price": event.price,
        "quantity": event.quantity,
        "rating": event.rating,
        "dwell seconds": event.dwell_seconds,
        "position": event.position,
    }
    return ", ".join(f"{name} {number:g}" for name, number in numbers.items() if number is not None)
