"""What shoppers do, as the calls of a load test repeat it: visits, words of searches, ids of shoppers."""

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

MAX_VISIT = 50
"""Events of a history at most."""
MAX_EVENTS = 500_000
"""Of a log; what comes later is not read."""
_EVENT_COLUMNS = ["shopper_id", "sequence", "type", "item_id", "catalogue"]
_NO_TIME = datetime.max.replace(tzinfo=UTC)

Json = dict[str, Any]
Visit = Callable[[random.Random], list[Json]]


class TrafficError(Exception):
    """What a load test is to repeat can't be read."""


@dataclass(frozen=True)
class Traffic:
    """What a load test repeats; each part may be missing."""

    visit: Visit | None = None
    """Makes the events of a visit."""
    queries: Sequence[str] = ()
    shopper_ids: Sequence[str] = ()
    """Shoppers whom the gateway knows: calls name them, and send no visit."""


def read_traffic(source: Path | None, shopper_ids: Path | None, queries: Path | None) -> Traffic:
    """Read what a load test is to repeat.

    Args:
        source: a log, a model repository or a prepared data set.
        shopper_ids: one a line.
        queries: one a line; they take the place of words of the source's titles.

    Raises:
        TrafficError: the source is none of these, or a file holds nothing.
        FileError: a file is malformed.
        OSError: a file can't be read.
    """
    traffic = Traffic() if source is None else _of_source(source)
    if shopper_ids is not None:
        traffic = replace(traffic, shopper_ids=_lines(shopper_ids))
    if queries is not None:
        traffic = replace(traffic, queries=_lines(queries))
    return traffic


def _lines(path: Path) -> list[str]:
    with path.open("rb") as lines:
        texts = list(read_texts(lines, str(path)))
    if not texts:
        raise TrafficError(f"{path} holds no line")
    return texts


def _of_source(source: Path) -> Traffic:
    if not source.is_dir():
        return _of_log(source)
    if (source / "events.parquet").is_file():
        return _of_data_set(source)
    releases = [int(path.parent.name) for path in source.glob("releases/*/items.jsonl") if path.parent.name.isdigit()]
    if not releases:
        wanted = "a prepared data set (events.parquet) nor a model repository (releases/*/items.jsonl)"
        raise TrafficError(f"{source} is neither {wanted}")
    return _of_release(source / "releases" / str(max(releases)) / "items.jsonl")


def _of_log(path: Path) -> Traffic:
    """Visits of a log's shoppers, each up to a random moment. What they typed is left out."""
    by_shopper: dict[str, list[Event]] = {}
    with path.open("rb") as lines:
        for each in islice(read_events(lines, str(path)), MAX_EVENTS):
            if each.event.type is not EventType.SEARCH and each.event.item_id:
                by_shopper.setdefault(each.shopper_id, []).append(each.event)
    if not by_shopper:
        raise TrafficError(f"{path} holds no event with an item")
    visits = [
        [
            _event(each.type, each.item_id, each.catalogue)
            for each in sorted(events, key=lambda each: each.time or _NO_TIME)
        ]
        for events in by_shopper.values()
    ]
    return Traffic(_up_to_a_moment(visits))


def _of_data_set(data: Path) -> Traffic:
    """Visits of a prepared data set's shoppers, each up to a random moment."""
    import polars as pl

    try:
        events, items = (
            pl.read_parquet(data / f"{name}.parquet", columns=columns, glob=False, hive_partitioning=False)
            for name, columns in (("events", _EVENT_COLUMNS), ("items", ["title"]))
        )
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise TrafficError(f"{data} is no prepared data set: {' '.join(str(error).split())}") from error
    events = events.filter(pl.col("item_id").is_not_null())
    by_shopper = events.sort("shopper_id", "sequence").group_by("shopper_id", maintain_order=True)
    visits = [
        [_event(*event) for event in zip(*columns, strict=True)]
        for _, *columns in by_shopper.agg("type", "item_id", "catalogue").rows()
    ]
    if not visits:
        raise TrafficError(f"{data} holds no event with an item")
    return Traffic(_up_to_a_moment(visits), _words(items["title"].to_list()))


def _of_release(path: Path) -> Traffic:
    """Visits made up over the items of a release."""
    try:
        items = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (ValueError, RecursionError) as error:
        raise TrafficError(f"{path} is no list of items: {error}") from error

    def visit(chance: random.Random) -> list[Json]:
        # Ten events on average, most visits shorter.
        length = min(MAX_VISIT, 1 + int(chance.expovariate(0.1)))
        chosen = chance.choices(items, k=length)
        return [_event(EventType.VIEW, item["item_id"], item["catalogue"]) for item in chosen]

    return Traffic(visit, _words([item["title"] for item in items]))


def _words(titles: Sequence[str]) -> list[str]:
    """The first words of titles, one to four."""
    return [" ".join(title.split()[: 1 + place % 4]) for place, title in enumerate(titles) if title.strip()]


def _up_to_a_moment(visits: Sequence[Sequence[Json]]) -> Visit:
    def visit(chance: random.Random) -> list[Json]:
        whole = chance.choice(visits)
        end = chance.randrange(1, len(whole) + 1)
        return list(whole[max(0, end - MAX_VISIT) : end])

    return visit


def _event(kind: str, item_id: str, catalogue: str) -> Json:
    event = {"type": f"EVENT_TYPE_{kind.upper()}", "item_id": item_id}
    return event | ({"catalogue": catalogue} if catalogue else {})
