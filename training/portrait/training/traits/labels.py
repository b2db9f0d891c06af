"""Labels: what became of shoppers after a moment, by SQL over the log or by a table of the team's own.

A label's SQL is one SELECT over the views

    past      the events up to the moment
    future    the events after it, up to the horizon
    shoppers  `shopper_id`, `as_of`, `until`: who is a sample at the moment, and the ends of `future`
    items     the catalogue

and gives `shopper_id` and `label`, a boolean or 0 and 1, one row for each shopper. Shoppers without a row, or with a
null, are no samples. The query runs in an engine of its own in memory that reaches no file and takes no statement but
one SELECT; the tables behind the views stand in a schema that no query names by mistake. It works in a process of its
own, within `Limits`.
"""

import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

import duckdb
import numpy as np
from numpy.typing import NDArray

from portrait.features.events import DEFAULT_CATALOGUE, EVENT_TYPES
from portrait.features.histories.history_arrays import SECONDS_PER_DAY
from portrait.features.logs.amounts import read_number
from portrait.features.logs.column_hints import describe_missing
from portrait.features.logs.timestamps import read_time
from portrait.training.dataset.readers import parquet_relation
from portrait.training.dataset.sql import literal
from portrait.training.errors import DataError, TrainingError
from portrait.training.prepare import tables
from portrait.training.prepare.engine import fetch_one, open_engine
from portrait.training.prepare.values import number, record_id, timestamp
from portrait.training.traits.declarations import Declarations, Trait
from portrait.training.traits.isolation import IsolatedProcess, LimitExceededError, start_isolated

_TYPES = ", ".join(literal(kind.value) for kind in EVENT_TYPES)
_ENCODED = f"(item_id IS NULL OR catalogue = {literal(DEFAULT_CATALOGUE)}) AND type IN ({_TYPES})"
"""Events that the corpus holds: who has no other is unknown to the encoders."""
_TABLE_COLUMNS = {"shopper_id", "time", "value"}
_GRACE_SECONDS = 5.0
"""For a query that was interrupted to end, before its process is killed."""

R = TypeVar("R")


@dataclass(frozen=True)
class Limits:
    """Limits on the label of one trait at one cutoff."""

    seconds: float = 600.0
    memory_mib: int = 2_048
    """Limit of the engine's own buffers; the process may take twice that, and is ended beyond."""
    spill_mib: int = 20_480
    """On disk, for what memory does not hold."""

    def __str__(self) -> str:
        return f"{self.seconds:g} s, {self.memory_mib} MiB of memory and {self.spill_mib} MiB of disk"


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True)
class Labels:
    """The labels of one moment."""

    shoppers: NDArray[np.int64]
    """`[samples]`: rows of the corpus' shoppers, ascending."""
    values: NDArray[np.bool_]
    """`[samples]`."""


class Labeller:
    """Evaluates labels over a prepared data set, in another process.

    Args:
        process: evaluates.
        declarations: the traits.
        limits: of one evaluation.
    """

    def __init__(self, process: IsolatedProcess[Labels], declarations: Declarations, limits: Limits) -> None:
        self._process, self._declarations, self._limits = process, declarations, limits

    def labels(self, trait: Trait, as_of: float) -> Labels:
        """Labels of a trait after a moment, seconds since 1970.

        Raises:
            DeclarationError: the label can't be evaluated, or not within the limits.
        """
        try:
            return self._process.ask(trait, as_of, seconds=self._limits.seconds + _GRACE_SECONDS)
        except LimitExceededError as error:
            raise self._declarations.error(trait, _limit_message(self._limits)) from error


class _Evaluator:
    """Evaluates labels.

    Args:
        connection: holds the views, and the tables behind them.
        declarations: the traits.
        limits: of one evaluation.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, declarations: Declarations, limits: Limits) -> None:
        self._connection, self._declarations, self._limits = connection, declarations, limits

    def labels(self, trait: Trait, as_of: float) -> Labels:
        """See `Labeller.labels`."""
        timer = threading.Timer(self._limits.seconds, self._connection.interrupt)
        timer.start()
        try:
            return self._labels(trait, as_of)
        finally:
            timer.cancel()
            timer.join()  # so that it interrupts no later query

    def _labels(self, trait: Trait, as_of: float) -> Labels:
        self._look_from(trait, as_of)
        query = trait.label if trait.label is not None else _table_label_query(self._table(trait))
        self._require_select(trait, query)
        described = self._ran(trait, f"DESCRIBE {query}", duckdb.DuckDBPyConnection.fetchall)
        columns = [row[0].lower() for row in described]
        if sorted(columns) != ["label", "shopper_id"]:
            raise self._declarations.error(
                trait, f"must give the columns shopper_id and label, and gives {', '.join(columns) or 'none'}"
            )
        return self._checked(trait, query)

    def _look_from(self, trait: Trait, as_of: float) -> None:
        """Point the views at a moment."""
        moments = [as_of, as_of + trait.horizon_days * SECONDS_PER_DAY, as_of - trait.window_days * SECONDS_PER_DAY]
        self._connection.execute("DELETE FROM behind.moment")
        self._connection.execute(
            "INSERT INTO behind.moment VALUES (?, ?, ?)", [datetime.fromtimestamp(each, UTC) for each in moments]
        )

    def _require_select(self, trait: Trait, query: str) -> None:
        try:
            statements = self._connection.extract_statements(query)
        except duckdb.Error as error:
            raise self._declarations.error(trait, f"is no SQL: {_first_line(error)}") from error
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise self._declarations.error(trait, "must be one SELECT")

    def _ran(self, trait: Trait, query: str, fetch: Callable[[duckdb.DuckDBPyConnection], R]) -> R:
        try:
            return fetch(self._connection.execute(query))
        except (duckdb.InterruptException, duckdb.OutOfMemoryException, MemoryError) as error:
            raise self._declarations.error(trait, _limit_message(self._limits)) from error
        except duckdb.Error as error:
            raise self._declarations.error(trait, f"can't be evaluated: {_first_line(error)}") from error

    def _checked(self, trait: Trait, query: str) -> Labels:
        """Those of the moment's shoppers, each once, each false or true."""
        found = self._ran(
            trait,
            f"""
            SELECT who.row, max(answer.label::DOUBLE) AS label, count(*) AS rows
            FROM (
                {query.strip().rstrip(";")}
            ) AS answer JOIN shoppers USING (shopper_id)
            JOIN behind.who AS who USING (shopper_id)
            WHERE answer.label IS NOT NULL GROUP BY who.row ORDER BY who.row
            """,
            duckdb.DuckDBPyConnection.fetchnumpy,
        )
        if (found["rows"] > 1).any():
            raise self._declarations.error(trait, "must give one row for each shopper, and gives several for some")
        values = np.asarray(found["label"], dtype=np.float64)
        if not np.isin(values, (0.0, 1.0)).all():
            raise self._declarations.error(trait, "label must be a boolean, or 0 and 1")
        return Labels(np.asarray(found["row"], dtype=np.int64), values > 0.5)

    def _table(self, trait: Trait) -> str:
        return f"behind.labels_{self._declarations.traits.index(trait)}"


@contextmanager
def open_labeller(
    data: Path, shopper_ids: list[str], declarations: Declarations, limits: Limits = DEFAULT_LIMITS
) -> Iterator[Labeller]:
    """Open an engine that holds a prepared data set and the teams' tables, and nothing else.

    Args:
        data: the data set's folder.
        shopper_ids: in the corpus' order.
        declarations: the traits.
        limits: of the label of one trait at one moment.

    Raises:
        DeclarationError: a table of labels can't be read.
        TrainingError: the data set does not fit into the limits.
    """
    with tempfile.TemporaryDirectory(prefix="portrait-traits-") as scratch:
        opened = partial(open_evaluator, data, shopper_ids, declarations, limits, Path(scratch))
        try:
            with start_isolated(opened, 2 * limits.memory_mib << 20) as process:
                yield Labeller(process, declarations, limits)
        except LimitExceededError as error:
            raise TrainingError(
                f"{data} can't be read for labels: the engine {error}; the limit is {limits}"
            ) from error


@contextmanager
def open_evaluator(
    data: Path, shopper_ids: list[str], declarations: Declarations, limits: Limits, scratch: Path
) -> Iterator[Callable[[Trait, float], Labels]]:
    """Yield the function that evaluates labels, inside the isolated process."""
    with open_engine(scratch) as connection:
        connection.execute(f"SET memory_limit = '{limits.memory_mib}MiB'")
        try:
            _create_views(connection, data, shopper_ids, declarations)
            # The limit is on what a label takes beyond the log itself, of which memory may not hold all.
            (spilled,) = fetch_one(connection, "SELECT coalesce(sum(size), 0) >> 20 FROM duckdb_temporary_files()")
            connection.execute(f"SET max_temp_directory_size = '{int(str(spilled)) + limits.spill_mib}MiB'")
        except duckdb.Error as error:
            raise TrainingError(f"{data} can't be read for labels: {_first_line(error)}") from error
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        yield _Evaluator(connection, declarations, limits).labels


def _create_views(
    connection: duckdb.DuckDBPyConnection, data: Path, shopper_ids: list[str], declarations: Declarations
) -> None:
    """Make the views, and the tables behind them."""
    connection.execute("CREATE SCHEMA behind")
    for table, file in (("behind.log", "events.parquet"), ("items", "items.parquet")):
        connection.execute(f"CREATE TABLE {table} AS SELECT * FROM {parquet_relation(data / file)}")
    connection.execute(
        "CREATE TABLE behind.who AS SELECT shopper_id, row - 1 AS row FROM "
        "(SELECT unnest($ids::VARCHAR[]) AS shopper_id, generate_subscripts($ids::VARCHAR[], 1) AS row)",
        {"ids": shopper_ids},
    )
    connection.execute("CREATE TABLE behind.moment (as_of TIMESTAMPTZ, until TIMESTAMPTZ, since TIMESTAMPTZ)")
    for view, chosen, condition in (
        ("past", "log.*", "time <= as_of"),
        ("future", "log.*", "time > as_of AND time <= until"),
        ("shoppers", "DISTINCT shopper_id, as_of, until", f"time > since AND time <= as_of AND {_ENCODED}"),
    ):
        connection.execute(
            f"CREATE VIEW {view} AS SELECT {chosen} FROM behind.log AS log, behind.moment WHERE {condition}"
        )
    for place, trait in enumerate(declarations.traits):
        if trait.table:
            _load_table(connection, declarations, trait, f"behind.labels_{place}")


def _load_table(connection: duckdb.DuckDBPyConnection, declarations: Declarations, trait: Trait, name: str) -> None:
    try:
        rows = _table_rows(connection, trait.table or Path())
        connection.execute(f"CREATE TABLE {name} AS SELECT * FROM ({rows}) WHERE value IS NOT NULL")
    except DataError as error:
        raise declarations.error(trait, f"can't be read: {error}") from error
    except duckdb.Error as error:
        raise declarations.error(trait, f"{trait.table} can't be read: {_first_line(error)}") from error
    known = connection.execute(f"SELECT count(*) FROM {name} JOIN behind.who USING (shopper_id)").fetchone()
    if known is None or not known[0]:
        raise declarations.error(trait, f"{trait.table} names no shopper of the data set")


def _table_rows(connection: duckdb.DuckDBPyConnection, file: Path) -> str:
    """SQL of a table's rows: Parquet as it is typed, CSV by the rules of `portrait prepare`."""
    if file.suffix == ".parquet":
        relation = parquet_relation(file)
        held = {row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()}
        if missing := sorted(_TABLE_COLUMNS - held):
            raise DataError(str(file), None, missing[0], describe_missing(missing, sorted(held)))
        values = ("shopper_id::VARCHAR", "time::TIMESTAMPTZ", "value::DOUBLE")
        return "SELECT {} AS shopper_id, {} AS time, {} AS value FROM ".format(*values) + relation
    connection.execute("DROP TABLE IF EXISTS temp.label_table")
    table = tables.read_table(connection, file, "label_table", only=_TABLE_COLUMNS)
    table.require(*sorted(_TABLE_COLUMNS))
    table.require_readable("time", timestamp("time"), read_time)
    value = number("value", decimal_comma=table.decimal_comma)
    table.require_readable("value", value, partial(read_number, decimal_comma=table.decimal_comma))
    shopper_id, time = record_id("shopper_id"), timestamp("time")
    return f"SELECT {shopper_id} AS shopper_id, {time} AS time, {value} AS value FROM temp.label_table"


def _table_label_query(name: str) -> str:
    """Shoppers with a label in the horizon; of several the highest."""
    return (
        f"SELECT shopper_id, max(value) AS label FROM {name} JOIN shoppers USING (shopper_id) "
        "WHERE time > as_of AND time <= until GROUP BY shopper_id"
    )


def _limit_message(limits: Limits) -> str:
    return f"takes too much at one moment; the limit is {limits}. Join by shopper_id, or let the query read less"


def _first_line(error: duckdb.Error) -> str:
    return str(error).splitlines()[0]
