"""Tasks of Spark, which run on any machine: the steps of `portrait prepare`, on a part of a log's events.

A task that Spark runs twice writes the same file twice, each at once: a file is there as a whole or not at all.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from portrait.features.logs.pseudonym_keys import PseudonymKey
from portrait.training.dataset.readers import parquet_relation
from portrait.training.errors import TrainingError
from portrait.training.prepare import currencies
from portrait.training.prepare.cleanup import SORTED_EVENTS_SQL, CleanupLimits, clean_events
from portrait.training.prepare.engine import copy_to_parquet, open_engine
from portrait.training.prepare.parts import Part
from portrait.training.prepare.pseudonyms import register_pseudonyms, replace_ids_sql
from portrait.training.prepare.sources import events
from portrait.training.prepare.unread import Unread


@dataclass(frozen=True)
class Scratch:
    """Folders and files that tasks share, on a file system that all machines have at the same place."""

    folder: Path

    def make(self) -> None:
        """Make the folders that tasks write into."""
        for folder in (self.typed, self.judged, self.events, self._attempts):
            folder.mkdir()

    @property
    def typed(self) -> Path:
        """Events of each part of the log: the view `events_of_part`."""
        return self.folder / "typed.parquet"

    @property
    def shuffled(self) -> Path:
        """The same rows in shards, each with all events of its shoppers."""
        return self.folder / "shuffled.parquet"

    @property
    def judged(self) -> Path:
        """The table `judged` of each shard."""
        return self.folder / "judged.parquet"

    @property
    def events(self) -> Path:
        """Kept events of each shard, as the data set holds them."""
        return self.folder / "events.parquet"

    @property
    def forgotten(self) -> Path:
        """The table `forgotten`."""
        return self.folder / "forgotten.parquet"

    @property
    def currencies(self) -> Path:
        """The table of `currencies`."""
        return self.folder / "currencies.parquet"

    @property
    def _attempts(self) -> Path:
        return self.folder / "attempts"

    @contextmanager
    def attempt(self) -> Iterator[tuple[duckdb.DuckDBPyConnection, Path]]:
        """An engine, and a folder of its own, for one attempt at a task."""
        with (
            tempfile.TemporaryDirectory(dir=self._attempts) as folder,
            open_engine(Path(folder), in_task=True) as connection,
        ):
            yield connection, Path(folder)


def read_part(
    scratch: Scratch, place: int, part: Part, key: PseudonymKey | None = None
) -> TrainingError | list[Unread]:
    """Read a part of the log into `scratch.typed`; return what is not read of it, or why it is malformed.

    Args:
        scratch: what tasks share.
        place: of the part among all.
        part: the part.
        key: makes pseudonyms of the ids, if there is one.
    """
    with scratch.attempt() as (connection, folder):
        try:
            unread = events.write_events_of_part(connection, part, folder / "typed")
        except TrainingError as error:
            return error
        typed = folder / "typed"
        if key:
            register_pseudonyms(connection, key)
            query = f"SELECT {replace_ids_sql('raw_events')} FROM {parquet_relation(typed)}"
            copy_to_parquet(connection, query, folder / "pseudonymous")
            typed = folder / "pseudonymous"
        os.replace(typed, _name_shard(scratch.typed, place))
    return unread


def clean_shard(scratch: Scratch, place: int, shard: Path, limits: CleanupLimits) -> None:
    """Clean a shard of `scratch.shuffled` into `scratch.judged` and `scratch.events`."""
    with scratch.attempt() as (connection, folder):
        for table, file in (("forgotten", scratch.forgotten), (currencies.COUNTS_TABLE, scratch.currencies)):
            connection.execute(f"CREATE TEMP TABLE {table} AS SELECT * FROM {parquet_relation(file)}")
        price = currencies.kept_price("events", "price", "currency")
        connection.execute(
            f"CREATE TEMP VIEW raw_events AS SELECT * EXCLUDE (currency) REPLACE ({price} AS price) "
            f"FROM {parquet_relation(shard)}"
        )
        clean_events(connection, limits)
        copy_to_parquet(connection, "SELECT * FROM judged", folder / "judged")
        copy_to_parquet(connection, SORTED_EVENTS_SQL, folder / "events")
        os.replace(folder / "judged", _name_shard(scratch.judged, place))
        os.replace(folder / "events", _name_shard(scratch.events, place))


def _name_shard(table: Path, place: int) -> Path:
    return table / f"part-{place:05}.parquet"
