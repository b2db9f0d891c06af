"""The events of a log, read and cleaned in tasks of Spark, by the code that one process runs.

All rules about events look at one row, or at the rows of one shopper. So Spark reads the parts of the log in tasks,
moves the rows of each shopper to one of several shards, and cleans the shards in tasks. Shards hold ranges of shopper
ids, so that one after the other they are the sorted table that one process writes.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import duckdb

from portrait.features.files.path_names import utf8_path
from portrait.features.logs.pseudonym_keys import PseudonymKey
from portrait.training.dataset.readers import list_shards, parquet_relation
from portrait.training.errors import DataError, TrainingError
from portrait.training.prepare import currencies
from portrait.training.prepare.cleanup import CleanupLimits, create_views
from portrait.training.prepare.engine import copy_to_parquet, fetch_one
from portrait.training.prepare.parts import Part
from portrait.training.prepare.sources import events
from portrait.training.prepare.spark.session import open_session
from portrait.training.prepare.spark.tasks import Scratch, clean_shard, read_part
from portrait.training.prepare.unread import add_unread

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_File = TypeVar("_File")
_Result = TypeVar("_Result")
_WILDCARDS = "*?[]{}\\"
_SHARD_ROWS = 1_000_000
"""Rows of a shard, about: a task cleans them in a few hundred MiB."""


class SparkCleaner:
    """Reads and cleans the events of the source `events` on Spark; see `Cleaner`.

    The machines of the cluster find the log, and the folder of the data set, at the same paths as this one, and have
    the same packages.
    """

    _session: "SparkSession"
    _scratch: Scratch

    def __init__(self, path: Path, key: PseudonymKey | None = None) -> None:
        """Clean the log at a path; a key makes pseudonyms of its ids before they leave the task that reads them."""
        self._path, self._key = path, key

    @contextmanager
    def opened(self, scratch: Path) -> Iterator[None]:
        """See `Cleaner`.

        Raises:
            TrainingError: Spark does not start, or fails in the block.
        """
        self._scratch = Scratch(scratch.absolute())
        self._scratch.make()
        with open_session(self._scratch.folder) as self._session:
            yield

    def load(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Read the events into `Scratch.typed`, count their currencies, and make the views of items and shoppers.

        Raises:
            DataError: a file is malformed.
        """
        parts = events.find_log(self._path)
        # Relative paths have no meaning elsewhere.
        absolute = [Part(part.file.absolute(), part.name) for part in parts]
        for part, result in zip(parts, self._run(partial(read_part, key=self._key), absolute), strict=True):
            if isinstance(result, DataError) and result.file == str(part.file.absolute()):
                raise DataError(str(part.file), result.row, result.column, result.message)
            if isinstance(result, TrainingError):
                raise result
            add_unread(connection, result)
        currencies.add_counts(connection, "events", "currency", parquet_relation(self._scratch.typed))
        events.load_lists(connection, self._path)

    def clean(self, connection: duckdb.DuckDBPyConnection, limits: CleanupLimits) -> None:
        """See `Cleaner`. `judged` is a view of files."""
        copy_to_parquet(connection, "SELECT * FROM forgotten", self._scratch.forgotten)
        copy_to_parquet(connection, f"SELECT * FROM {currencies.COUNTS_TABLE}", self._scratch.currencies)
        rows = _count_rows(connection, self._scratch.typed)
        self._shuffle(rows)
        self._run(partial(clean_shard, limits=limits), list_shards(self._scratch.shuffled))
        if (cleaned := _count_rows(connection, self._scratch.judged)) != rows:
            raise TrainingError(f"Spark moved {cleaned:,} of {rows:,} rows, though it told of no error")
        connection.execute(f"CREATE TEMP VIEW judged AS SELECT * FROM {parquet_relation(self._scratch.judged)}")
        create_views(connection)

    def write_events(self, connection: duckdb.DuckDBPyConnection, table: Path) -> None:
        """See `Cleaner`; a folder of shards."""
        self._scratch.events.rename(table)

    def _shuffle(self, rows: int) -> None:
        """Move the rows of each shopper to one shard, and shoppers with lower ids to earlier shards."""
        shards = max(self._session.sparkContext.defaultParallelism, -(-rows // _SHARD_ROWS))
        typed = self._session.read.parquet(_escape_wildcards(_to_uri(self._scratch.typed)))
        typed.repartitionByRange(shards, "shopper_id").write.parquet(_to_uri(self._scratch.shuffled))

    def _run(self, task: Callable[[Scratch, int, _File], _Result], files: Sequence[_File]) -> list[_Result]:
        """Run a task for each file; the task knows its place among them."""
        scratch = self._scratch
        placed = self._session.sparkContext.parallelize(list(enumerate(files)), len(files))
        return placed.map(lambda each: task(scratch, *each)).collect()


def _count_rows(connection: duckdb.DuckDBPyConnection, table: Path) -> int:
    (rows,) = fetch_one(connection, f"SELECT count(*) FROM {parquet_relation(table)}")
    return int(str(rows))


def _to_uri(table: Path) -> str:
    """A path in the file system of the machines, whatever the cluster's own is."""
    return f"file://{utf8_path(table)}"


def _escape_wildcards(uri: str) -> str:
    """A path as a pattern that matches it alone, since Spark reads patterns."""
    return "".join(f"\\{letter}" if letter in _WILDCARDS else letter for letter in uri)
