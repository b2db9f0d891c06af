"""The tiny data set as the log that a shop would export: what `portrait prepare` makes it of."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from support import tiny_data


@dataclass(frozen=True)
class Shop:
    """A log, the data set that was prepared of it, and a run that was trained on that."""

    log: Path
    data: Path
    run: Path
    options: tuple[object, ...]
    """Options of the training command."""


def write(folder: Path, **options: int) -> Path:
    """Write `events.csv` and `items.csv` into a folder."""
    source = tiny_data.write(folder / "source", **options)
    pl.read_parquet(source / "events.parquet").drop("sequence").with_columns(
        pl.col("time").dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
    ).write_csv(folder / "events.csv")
    pl.read_parquet(source / "items.parquet").select("item_id", "title", "brand", "price").write_csv(
        folder / "items.csv"
    )
    for file in source.iterdir():
        file.unlink()
    source.rmdir()
    return folder


def retitle(folder: Path, item_id: str, title: str) -> None:
    """Give an item of the log another title; counts stay as they are."""
    items = pl.read_csv(folder / "items.csv")
    changed = pl.when(pl.col("item_id") == item_id).then(pl.lit(title)).otherwise("title").alias("title")
    items.with_columns(changed).write_csv(folder / "items.csv")
