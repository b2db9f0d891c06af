"""Whatever a log holds, `portrait prepare` and `portrait record` accept the same rows and read the same values."""

import dataclasses
import io
from functools import partial
from itertools import compress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from support.hostile_rows import csv_of, json_of, pools, rows_of

from portrait.client import messages
from portrait.client.files import FileError, RecordedEvent, RejectedRow, find_currency, read_events
from portrait.features.logs.timestamps import EPOCH, MICROSECOND
from portrait.server.rpc.contract.validation import find_violations
from portrait.training.errors import DataError
from portrait.training.prepare import deletions
from portrait.training.prepare.cleanup import CleanupLimits, clean_events
from portrait.training.prepare.engine import open_engine
from portrait.training.prepare.sources import events as source

ROWS = 10_000
CHECKED_REFUSALS = 8
"""Rows that record refuses, of which prepare is asked one by one."""
LIMITS = CleanupLimits(events_per_minute=ROWS, events_per_day=ROWS)


def recorded(content: bytes) -> dict[int, RecordedEvent]:
    """The events by line that a gateway stores when it is told all of a log."""
    rejected: list[RejectedRow] = []
    lines = content.splitlines(keepends=True)
    stored, ids = {}, set()
    for read in read_events(iter(lines), "log", find_currency(iter(lines), "log"), rejected.append):
        [entry] = messages.build_record_request([(read.shopper_id, read.event)]).events
        if not list(find_violations(entry)) and (key := (read.shopper_id, read.event.event_id)) not in ids:
            ids.add(key)
            stored[read.line] = read
    return stored


def prepared(content: bytes, ending: str, folder: Path) -> dict[int, dict[str, Any]]:
    """The events by line that a data set holds."""
    log = folder / f"log.{ending}"
    log.write_bytes(content)
    with open_engine(folder) as connection:
        source.load(connection, log)
        deletions.load_deletions(connection, None)
        clean_events(connection, LIMITS)
        rows = connection.execute("SELECT * REPLACE (epoch_us(time) AS time) FROM judged WHERE reason IS NULL")
        names = [column[0] for column in rows.description or ()]
        return {event["row"]: event for row in rows.fetchall() if (event := dict(zip(names, row, strict=True)))}


def told(read: RecordedEvent) -> dict[str, Any]:
    """Convert an event to the columns of a data set."""
    event = dataclasses.asdict(read.event) | {"shopper_id": read.shopper_id}
    event["catalogue"] = event["catalogue"] or "products"
    event["time"] = (event["time"] - EPOCH) // MICROSECOND
    return {column: None if value == "" else value for column, value in event.items()}


def is_malformed(content: bytes) -> bool:
    """Tell whether `record` refuses a whole log because a value in it is malformed."""
    try:
        list(read_events(io.BytesIO(content), "log", reject=lambda row: None))
    except FileError:
        return True
    return False


@settings(
    max_examples=3, phases=(Phase.explicit, Phase.generate), deadline=None, suppress_health_check=list(HealthCheck)
)
@given(pools, st.integers(0, 2**32), st.sampled_from([("csv", ","), ("csv", ";"), ("jsonl", ""), ("csv", "\t")]))
def test_prepare_and_record_accept_the_same_rows_and_read_the_same_values(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, list[str]], seed: int, form: tuple[str, str]
) -> None:
    folder, (ending, separator) = tmp_path_factory.mktemp("logs"), form
    write = partial(csv_of, separator=separator) if separator else json_of
    rows = rows_of(values, seed, ROWS)
    refused = [is_malformed(write([row])) for row in rows]
    for row in list(compress(rows, refused))[:CHECKED_REFUSALS]:
        with pytest.raises(DataError):
            prepared(write([row]), ending, folder)
    content = write([row for row, bad in zip(rows, refused, strict=True) if not bad])
    ours, theirs = recorded(content), prepared(content, ending, folder)
    lines = content.splitlines()
    differences = [lines[line - 1] for line in ours.keys() ^ theirs.keys()]
    assert not differences
    assert len(ours) > ROWS / 3
    for line, read in ours.items():
        event, other = told(read), theirs[line]
        if other["event_id"] is None:
            event["event_id"] = None
        assert event == {column: other[column] for column in event}, lines[line - 1]
