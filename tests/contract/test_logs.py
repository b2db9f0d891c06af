"""One definition of a log, in docs/data.md, and two that read it: `portrait prepare` and `portrait record`."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest

from portrait.client.files import read_events, read_items
from portrait.training.prepare.engine import open_engine
from portrait.training.prepare.sources import events as source

LOGS = Path(__file__).parent / "logs"


def prepared(folder: Path, query: str) -> list[dict[str, Any]]:
    """Read a log as `portrait prepare` does before it cleans."""
    with open_engine(folder) as connection:
        source.load(connection, folder)
        rows = connection.execute(query)
        names = [column[0] for column in rows.description or ()]
        return [dict(zip(names, row, strict=True)) for row in rows.fetchall()]


def assert_same(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> None:
    """Compare rows; an empty value of the client is null for the trainer."""
    for mine, other in zip(ours, theirs, strict=True):
        assert {column: value or None for column, value in mine.items()} == {
            column: other[column] or None for column in mine
        }


@pytest.mark.parametrize("name", ["events.csv", "events.jsonl"])
def test_both_read_the_same_events(name: str, tmp_path: Path) -> None:
    shutil.copy(LOGS / name, tmp_path)
    with (LOGS / name).open("rb") as lines:
        read = [{"shopper_id": each.shopper_id} | dataclasses.asdict(each.event) for each in read_events(lines, name)]
    for event in read:
        event["catalogue"] = event["catalogue"] or "products"
        event["time"] = event["time"] and round(event["time"].timestamp() * 1e6)
    assert_same(read, prepared(tmp_path, "SELECT * REPLACE (epoch_us(time) AS time) FROM raw_events ORDER BY row"))


@pytest.mark.parametrize("name", ["items.csv", "items.jsonl"])
def test_both_read_the_same_items(name: str, tmp_path: Path) -> None:
    shutil.copy(LOGS / "events.jsonl", tmp_path)
    shutil.copy(LOGS / name, tmp_path)
    with (LOGS / name).open("rb") as lines:
        read = [
            dataclasses.asdict(each.item) | {"catalogue": each.catalogue or "products"}
            for each in read_items(lines, name)
        ]
    others = prepared(tmp_path, "SELECT * FROM raw_items ORDER BY row")
    for other in others:
        other["attributes"] = {pair["key"]: pair["value"] for pair in other["attributes"] if pair["value"]}
        other["category_path"] = tuple(other["category_path"] or ())
    assert_same(read, others)
