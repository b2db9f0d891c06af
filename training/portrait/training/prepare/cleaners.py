"""Places at which the events of a log are cleaned: this process, or the machines of a cluster."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

import duckdb

from portrait.training.prepare.cleanup import SORTED_EVENTS_SQL, CleanupLimits, clean_events
from portrait.training.prepare.engine import copy_to_parquet


class Cleaner(Protocol):
    """Interface of a place where events are cleaned."""

    def opened(self, scratch: Path) -> AbstractContextManager[None]:
        """Be ready while the block runs.

        Args:
            scratch: a folder for temporary files, on the file system of the data set.
        """

    def clean(self, connection: duckdb.DuckDBPyConnection, limits: CleanupLimits) -> None:
        """Give the connection `judged` and `rejected`, as `clean_events` makes them."""

    def write_events(self, connection: duckdb.DuckDBPyConnection, table: Path) -> None:
        """Write what is kept to a new file, or a folder of shards, sorted by shopper and sequence."""


class LocalCleaner:
    """Cleans in this process."""

    @contextmanager
    def opened(self, scratch: Path) -> Iterator[None]:
        """Need nothing."""
        yield

    def clean(self, connection: duckdb.DuckDBPyConnection, limits: CleanupLimits) -> None:
        """See `Cleaner`."""
        clean_events(connection, limits)

    def write_events(self, connection: duckdb.DuckDBPyConnection, table: Path) -> None:
        """See `Cleaner`; one file."""
        copy_to_parquet(connection, SORTED_EVENTS_SQL, table)
