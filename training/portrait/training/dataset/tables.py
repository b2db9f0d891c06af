"""The tables of a prepared data set: the columns that training reads, each of one type."""

from pathlib import Path

import polars as pl

from portrait.training.dataset import readers
from portrait.training.errors import TrainingError

EVENT_COLUMNS: dict[str, pl.DataType] = {
    "shopper_id": pl.String(),
    "sequence": pl.Int64(),
    "type": pl.String(),
    "time": pl.Datetime("us", "UTC"),
    "item_id": pl.String(),
    "catalogue": pl.String(),
    "query": pl.String(),
    "price": pl.Float64(),
    "quantity": pl.Float64(),
    "rating": pl.Float64(),
    "dwell_seconds": pl.Float64(),
    "position": pl.Float64(),
}
ITEM_COLUMNS: dict[str, pl.DataType] = {
    "item_id": pl.String(),
    "catalogue": pl.String(),
    "title": pl.String(),
    "category_path": pl.List(pl.String()),
    "brand": pl.String(),
    "attributes": pl.List(pl.Struct({"key": pl.String(), "value": pl.String()})),
    "price": pl.Float64(),
}
SHOPPER_COLUMNS: dict[str, pl.DataType] = {
    "shopper_id": pl.String(),
    "age_band": pl.String(),
    "gender": pl.String(),
    "region": pl.String(),
}


READ_ERRORS = (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException)
"""Errors of Polars for a file that is missing, broken or of other columns; the last is no `Exception`."""


def scan_table(folder: Path, name: str, columns: dict[str, pl.DataType]) -> pl.LazyFrame:
    """A table of a prepared data set, not read yet; a column that the file lacks is left out.

    Raises:
        TrainingError: there is no such file, or it is no Parquet file of these columns.
    """
    path = folder / f"{name}.parquet"
    if not path.exists():
        raise not_prepared_error(folder, f"{path} is missing")
    try:
        frame = readers.scan_parquet(path)
        held = frame.collect_schema()
    except READ_ERRORS as error:
        raise not_prepared_error(folder, f"{path}: {error}") from error
    return frame.select(pl.col(column).cast(kind) for column, kind in columns.items() if column in held)


def scan_complete_table(folder: Path, name: str, columns: dict[str, pl.DataType]) -> pl.LazyFrame:
    """A table of a prepared data set, not read yet, with all of these columns.

    Raises:
        TrainingError: the file is missing, is no Parquet file, or lacks a column.
    """
    frame = scan_table(folder, name, columns)
    held = frame.collect_schema().names()
    if missing := [column for column in columns if column not in held]:
        raise not_prepared_error(folder, f"{name}.parquet has no column {missing[0]!r}")
    return frame


def read_table(folder: Path, name: str, columns: dict[str, pl.DataType]) -> pl.DataFrame:
    """All of a table of a prepared data set.

    Raises:
        TrainingError: the file is missing or broken, or lacks a column.
    """
    frame = scan_complete_table(folder, name, columns)
    try:
        return frame.collect()
    except READ_ERRORS as error:
        raise not_prepared_error(folder, f"{name}.parquet: {error}") from error


def not_prepared_error(folder: Path, problem: str) -> TrainingError:
    """The error for a folder that holds no data set, in one line."""
    reason = " ".join(problem.split())
    return TrainingError(f"{folder} is not a prepared data set ({reason}); run `portrait prepare` first")
