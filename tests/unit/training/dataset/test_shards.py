"""The table of a data set may be a folder of shards: to all who read it, these are one table."""

from pathlib import Path

import duckdb
import polars as pl
import pytest
from support import tiny_data

from portrait.training.dataset.data_set import open_data_set
from portrait.training.dataset.identity import read_identity
from portrait.training.dataset.readers import parquet_relation, read_parquet
from portrait.training.errors import TrainingError


@pytest.fixture
def sharded(tmp_path: Path) -> Path:
    """A data set with events in shards, beside `whole`, the same in one file."""
    whole, data = tiny_data.write(tmp_path / "whole"), tiny_data.write(tmp_path / "data")
    events = pl.read_parquet(whole / "events.parquet")
    table = data / "events.parquet"
    table.unlink()
    table.mkdir()
    for place, start in enumerate(range(0, events.height, 500)):
        events[start : start + 500].write_parquet(table / f"part-{place:05}.parquet")
    events.head(3).write_parquet(table / ".part-00000.parquet")
    events.head(3).write_parquet(table / "_part.parquet")
    (table / "_SUCCESS").touch()
    return data


def test_shards_are_read_as_one_table(sharded: Path, tmp_path: Path) -> None:
    assert len(list((sharded / "events.parquet").glob("part-*"))) > 2
    whole = read_parquet(tmp_path / "whole" / "events.parquet")
    assert read_parquet(sharded / "events.parquet").equals(whole)
    query = f"SELECT shopper_id, sequence, item_id FROM {parquet_relation(sharded / 'events.parquet')}"
    with duckdb.connect() as connection:
        rows = connection.execute(query).fetchall()
    assert rows == whole.select("shopper_id", "sequence", "item_id").rows()
    assert open_data_set(sharded).identity == read_identity(tmp_path / "whole")


def test_a_missing_shard_changes_the_identity(sharded: Path, tmp_path: Path) -> None:
    (sharded / "events.parquet" / "part-00001.parquet").unlink()
    assert read_identity(sharded) != read_identity(tmp_path / "whole")


def test_a_folder_without_shards_is_no_table(sharded: Path) -> None:
    for shard in (sharded / "events.parquet").glob("part-*"):
        shard.unlink()
    with pytest.raises(TrainingError, match="no folder of shards"):
        read_identity(sharded)
