"""The tasks of Spark, without Spark: parts and shards of a log are judged as the whole log is."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from support.hostile_rows import COLUMNS, csv_of, json_of, rows_of_shoppers

from portrait.training.dataset.readers import parquet_relation
from portrait.training.errors import DataError
from portrait.training.prepare import currencies, deletions
from portrait.training.prepare.cleanup import SORTED_EVENTS_SQL, CleanupLimits, clean_events
from portrait.training.prepare.engine import copy_to_parquet, open_engine
from portrait.training.prepare.parts import list_parts
from portrait.training.prepare.sources import events
from portrait.training.prepare.spark.tasks import Scratch, clean_shard, read_part

LIMITS = CleanupLimits(events_per_minute=6, events_per_day=9)
_COLUMNS = "* EXCLUDE (lines, part) REPLACE (epoch_us(time) AS time)"
_KEPT = "* REPLACE (epoch_us(time) AS time)"
Rows = list[tuple[object, ...]]


def write_parts(folder: Path, parts: Sequence[Sequence[dict[str, str]]]) -> Path:
    """Write parts by turns as CSV, with a header each, and as JSON lines."""
    log = folder / "log"
    log.mkdir()
    for place, rows in enumerate(parts):
        name, content = (f"{place}.jsonl", json_of(list(rows))) if place % 2 else (f"{place}.csv", csv_of(rows, ","))
        (log / name).write_bytes(content)
    return log


def judge_whole(log: Path, folder: Path) -> tuple[Rows, Rows]:
    with open_engine(folder) as connection:
        events.load(connection, log)
        deletions.load_deletions(connection, None)
        clean_events(connection, LIMITS)
        judged = connection.execute(f"SELECT {_COLUMNS} FROM judged ORDER BY file, row").fetchall()
        kept = connection.execute(f"SELECT {_KEPT} FROM ({SORTED_EVENTS_SQL})")
        return judged, kept.fetchall()


def judge_shards(log: Path, folder: Path, bounds: list[str]) -> tuple[Rows, Rows]:
    """Do by tasks what Spark lets them do; here DuckDB moves the rows, to ranges of shoppers between bounds."""
    scratch = Scratch(folder / "scratch")
    scratch.folder.mkdir()
    scratch.make()
    for place, part in enumerate(list_parts(log)):
        assert not isinstance(read_part(scratch, place, part), DataError)
    with open_engine(folder) as connection:
        typed = parquet_relation(scratch.typed)
        currencies.add_counts(connection, "events", "currency", typed)
        deletions.load_deletions(connection, None)
        copy_to_parquet(connection, "SELECT * FROM forgotten", scratch.forgotten)
        copy_to_parquet(connection, f"SELECT * FROM {currencies.COUNTS_TABLE}", scratch.currencies)
        for place, (low, high) in enumerate(zip(["", *bounds], [*bounds, None], strict=True)):
            shard = scratch.folder / f"shard-{place}"
            below = "true" if high is None else f"coalesce(shopper_id, '') < '{high}'"
            copy_to_parquet(
                connection, f"SELECT * FROM {typed} WHERE coalesce(shopper_id, '') >= '{low}' AND {below}", shard
            )
            clean_shard(scratch, place, shard, LIMITS)
        judged = parquet_relation(scratch.judged)
        rows = connection.execute(f"SELECT {_COLUMNS} FROM {judged} ORDER BY file, row").fetchall()
        # In the order of the shards.
        kept = connection.execute(f"SELECT {_KEPT} FROM {parquet_relation(scratch.events)}")
        return rows, kept.fetchall()


@pytest.mark.slow
@settings(max_examples=6, phases=(Phase.explicit, Phase.generate))
@given(
    st.integers(0, 2**32),
    st.integers(1, 3),
    st.lists(st.sampled_from(["1", "s1", "s15", "s3", "t", "é"]), max_size=3, unique=True).map(sorted),
)
def test_shards_are_judged_as_the_whole_log_is(
    tmp_path_factory: pytest.TempPathFactory, seed: int, parts: int, bounds: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("log")
    rows = rows_of_shoppers(seed, count=600)
    log = write_parts(folder, [rows[place::parts] for place in range(parts)])
    judged, kept = judge_whole(log, folder)
    assert {"burst", "robot", "duplicate_event", "missing_shopper"} < {row[-1] for row in judged}
    in_shards, kept_in_shards = judge_shards(log, folder, bounds)
    assert list(map(repr, in_shards)) == list(map(repr, judged))  # NaN is not equal to itself
    assert list(map(repr, kept_in_shards)) == list(map(repr, kept))
    assert len(kept) > 100


def test_a_malformed_part_is_an_answer_not_a_failure(tmp_path: Path) -> None:
    log = write_parts(tmp_path, [[dict.fromkeys(COLUMNS, "") | {"shopper_id": "s", "type": "view", "time": "soon"}]])
    scratch = Scratch(tmp_path / "scratch")
    scratch.folder.mkdir()
    scratch.make()
    [part] = list_parts(log)
    answer = read_part(scratch, 0, part)
    assert isinstance(answer, DataError)
    assert (answer.file, answer.row, answer.column) == (str(part.file), 2, "time")
    assert not list(scratch.typed.iterdir())
