"""The export of a shopper: one JSON document, or CSV of the events, written while the parts arrive."""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import asdict, fields
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, TextIO

from portrait.client.outputs import to_json
from portrait.client.results import Event
from portrait.client.shopper_records import ShopperRecords


def write_json(shopper_id: str, parts: Iterable[ShopperRecords], file: TextIO) -> None:
    """Write one JSON object, which ends with the events.

    Its fields are `shopper_id`, `exported_at`, `links`, `household`, `demographics`, `reviews`, `consents`, `events`.
    Of a shopper with linked ids, `shopper_id` is the login, and `linked_shoppers` has an object for each of the others.

    Args:
        shopper_id: the shopper, where the parts do not name the ids.
        parts: as `Client.export_shopper` returns them: id by id, consents before events.
        file: gets the document, an event a line.
    """
    exported_at = datetime.now(UTC)
    by_id = groupby(parts, key=lambda part: part.shopper_id or shopper_id)
    for place, (each, of_id) in enumerate(by_id):
        reading = iter(of_id)
        first = next(reading)
        head: dict[str, Any] = {"shopper_id": each}
        if not place:
            head |= {"exported_at": exported_at, "links": [asdict(link) for link in first.links]}
        file.write(("", ',\n"linked_shoppers": [\n', ",\n")[min(place, 2)])
        _write_id(head, first, reading, file)
        file.write("}" if place else "")
    file.write("\n]}\n" if place else "\n}\n")


def _write_id(head: dict[str, Any], first: ShopperRecords, reading: Iterator[ShopperRecords], file: TextIO) -> None:
    """Write what is recorded under one id, without the brace that ends the object."""
    consents, events = [*first.consents], first.events
    while not events:
        part = next(reading, None)
        if part is None:
            break
        consents += part.consents
        events = part.events
    head["household"] = None if first.household is None else asdict(first.household)
    head["demographics"] = None if first.demographics is None else asdict(first.demographics)
    head["reviews"] = [asdict(review) for review in first.reviews]
    head["consents"] = [asdict(record) for record in consents]
    file.write(to_json(head).removesuffix("}") + ',\n"events": [')
    separator = "\n"
    while events:
        for event in events:
            file.write(separator + to_json(event_row(event)))
            separator = ",\n"
        events = next((part.events for part in reading), ())
    file.write("\n]")


def write_csv(shopper_id: str, parts: Iterable[ShopperRecords], file: TextIO) -> None:
    """Write the events as lines of a log, with the names of `docs/data.md`."""
    names = ["shopper_id", *(field.name for field in fields(Event))]
    lines = csv.DictWriter(file, names, lineterminator="\n")
    lines.writeheader()
    for part in parts:
        for event in part.events:
            row = event_row(event)
            lines.writerow(
                {"shopper_id": part.shopper_id or shopper_id, **row, "type": event.type.value, "time": _iso(event.time)}
            )


def event_row(event: Event) -> dict[str, Any]:
    """Return the fields of an event that are set."""
    return {name: value for name, value in asdict(event).items() if value not in (None, "")}


def _iso(time: datetime | None) -> str:
    return "" if time is None else time.isoformat()
