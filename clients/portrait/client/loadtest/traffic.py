"""Traffic that a load test repeats: visits, search queries and ids of shoppers."""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from portrait.client.files import read_events, read_texts
from portrait.client.results import Event, EventType

MAX_VISIT_EVENTS = 50
"""Maximum number of events in a history."""
MAX_EVENTS = 500_000
"""Maximum number of events read from a log."""
_EVENT_COLUMNS = ["shopper_id", "sequence", "type", "item_id", "catalogue"]
_NO_TIME = datetime.max.replace(tzinfo=UTC)

Json = dict[str, Any]
Visit = Callable[[random.Random], list[Json]]


class TrafficError(Exception):
    """The traffic of a load test can't be read."""


@dataclass(frozen=True)
class Traffic:
    """The traffic that a load test repeats; each part may be missing."""

    visit: Visit | None = None
    """Draws the events of a visit."""
    queries: Sequence[str] = ()
    shopper_ids: Sequence[str] = ()
    """Shoppers that the gateway knows: calls send their ids instead of visits."""


def read_traffic(source: Path | None, shopper_ids: Path | None, queries: Path | None) -> Traffic:
    """Read the traffic of a load test.

    Args:
        source: a log, a model repository or a prepared data set.
        shopper_ids: file with one id per line.
        queries: file with one query per line; default: the first words of the source's titles.

    Raises:
        TrafficError: the source is none of these, or a file is empty.
        FileError: a file is malformed.
        OSError: a file can't be read.
    """
    traffic = Traffic() if source is None else _read_source(source)
    if shopper_ids is not None:
        traffic = replace(traffic, shopper_ids=_read_lines(shopper_ids))
    if queries is not None:
        traffic = replace(traffic, queries=_read_lines(queries))
    return traffic


def _read_lines(path: Path) -> list[str]:
    with path.open("rb") as lines:
        texts = list(read_texts(lines, str(path)))
    if not texts:
        raise TrafficError(f"{path} is empty")
    return texts


def _read_source(source: Path) -> Traffic:
    if not source.is_dir():
        return _read_log(source)
    if (source / "events.parquet").is_file():
        return _read_data_set(source)
    releases = [int(path.parent.name) for path in source.glob("releases/*/items.jsonl") if path.parent.name.isdigit()]
    if not releases:
        wanted = "a prepared data set (events.parquet) nor a model repository (releases/*/items.jsonl)"
        raise TrafficError(f"{source} is neither {wanted}")
    return _read_release(source / "releases" / str(max(releases)) / "items.jsonl")


def _read_log(path: Path) -> Traffic:
    """Read the visits of a log's shoppers, without their searches; each visit ends at a random event."""
    by_shopper: dict[str, list[Event]] = {}
    with path.open("rb") as lines:
        for each in islice(read_events(lines, str(path)), MAX_EVENTS):
            if each.event.type is not EventType.SEARCH and each.event.item_id:
                by_shopper.setdefault(each.shopper_id, []).append(each.event)
    if not by_shopper:
        raise TrafficError(f"{path} has no event with an item")
    visits = [
        [
            _make_event(each.type, each.item_id, each.catalogue)
            for each in sorted(events, key=lambda each: each.time or _NO_TIME)
        ]
        for events in by_shopper.values()
    ]
    return Traffic(_cut_at_random(visits))


def _read_data_set(data: Path) -> Traffic:
    """Read the visits of a prepared data set's shoppers; each visit ends at a random event."""
    import polars as pl

    try:
        events, items = (
            pl.read_parquet(data / f"{name}.parquet", columns=columns, glob=False, hive_partitioning=False)
            for name, columns in (("events", _EVENT_COLUMNS), ("items", ["title"]))
        )
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise TrafficError(f"{data} is not a prepared data set: {' '.join(str(error).split())}") from error
    events = events.filter(pl.col("item_id").is_not_null())
    by_shopper = events.sort("shopper_id", "sequence").group_by("shopper_id", maintain_order=True)
    visits = [
        [_make_event(*event) for event in zip(*columns, strict=True)]
        for _, *columns in by_shopper.agg("type", "item_id", "catalogue").rows()
    ]
    if not visits:
        raise TrafficError(f"{data} has no event with an item")
    return Traffic(_cut_at_random(visits), _first_words(items["title"].to_list()))


def _read_release(path: Path) -> Traffic:
    """Make random visits over the items of a release."""
    try:
        items = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (ValueError, RecursionError) as error:
        raise TrafficError(f"{path} is not a list of items: {error}") from error

    def visit(chance: random.Random) -> list[Json]:
        # Ten events on average; most visits are shorter.
        length = min(MAX_VISIT_EVENTS, 1 + int(chance.expovariate(0.1)))
        chosen = chance.choices(items, k=length)
        return [_make_event(EventType.VIEW, item["item_id"], item["catalogue"]) for item in chosen]

    return Traffic(visit, _first_words([item["title"] for item in items]))


def _first_words(titles: Sequence[str]) -> list[str]:
    """Take the first one to four words of each title."""
    return [" ".join(title.split()[: 1 + place % 4]) for place, title in enumerate(titles) if title.strip()]


def _cut_at_random(visits: Sequence[Sequence[Json]]) -> Visit:
    def visit(chance: random.Random) -> list[Json]:
        whole = chance.choice(visits)
        end = chance.randrange(1, len(whole) + 1)
        return list(whole[max(0, end - MAX_VISIT_EVENTS) : end])

    return visit


def _make_event(kind: str, item_id: str, catalogue: str) -> Json:
    event = {"type": f"EVENT_TYPE_{kind.upper()}", "item_id": item_id}
    return event | ({"catalogue": catalogue} if catalogue else {})
