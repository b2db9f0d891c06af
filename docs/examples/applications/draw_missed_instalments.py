"""The synthetic label of the risk example: missed instalments. No real payments are in it.

    python docs/examples/applications/draw_missed_instalments.py DATA missed_instalments.parquet

DATA is a prepared data set of purchases with prices and times. On the first day of each quarter every shopper who
bought something in the year before owes an instalment, and misses it with the chance

    1 / (1 + exp(2.6 - 0.9 · swings - 0.7 · splurge - 0.8 · new))

where `swings` is the standard deviation of the twelve months' spending over their mean, less 1 and at most 2;
`splurge` is log2 of the last quarter's share of the year's spending over a quarter, between -2 and 2; `new` is 1 for a
shopper whose first purchase is less than half a year old. The draw is a coin for each, seeded: the same data set gives
the same table. A risk team puts its own table, of the same three columns, in its place.
"""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

DAYS, MONTHS = 360, 12


def draw_labels(data: Path, seed: int = 0) -> pl.DataFrame:
    """Draw the table: `shopper_id`, `time`, `value` (1 for a missed instalment) and the `chance` of the draw."""
    events = pl.read_parquet(data / "events.parquet", glob=False, hive_partitioning=False).filter(
        pl.col("type") == "purchase", pl.col("price") > 0
    )
    paid = events.select("shopper_id", "time", spent=pl.col("price") * pl.col("quantity").fill_null(1.0))
    begin, end = paid["time"].min(), paid["time"].max()
    assert isinstance(begin, datetime)
    assert isinstance(end, datetime)
    drawn = [_compute_chances(paid, quarter) for quarter in _list_quarters(begin + timedelta(DAYS), end)]
    table = pl.concat(drawn).sort("time", "shopper_id")
    missed = np.random.default_rng(seed).random(len(table)) < table["chance"].to_numpy()
    return table.with_columns(value=pl.Series(missed.astype(np.int8)))


def _list_quarters(begin: datetime, end: datetime) -> list[datetime]:
    days = [datetime(year, month, 1, tzinfo=UTC) for year in range(begin.year, end.year + 1) for month in (1, 4, 7, 10)]
    return [day for day in days if begin <= day <= end]


def _compute_chances(paid: pl.DataFrame, due: datetime) -> pl.DataFrame:
    age = (pl.lit(due) - pl.col("time")).dt.total_days()
    earlier = paid.with_columns(age=age).filter(pl.col("age") > 0)
    month = [
        pl.col("spent").filter((pl.col("age") * MONTHS // DAYS) == each).sum().alias(f"month {each}")
        for each in range(MONTHS)
    ]
    known = earlier.group_by("shopper_id").agg(pl.col("age").max().alias("since"), *month)
    months = known.select(column.meta.output_name() for column in month).to_numpy()
    known, months = known.filter(months.sum(1) > 0), months[months.sum(1) > 0]
    swings = np.minimum(months.std(1) / months.mean(1), 3.0) - 1.0
    share = np.maximum(months[:, :3].sum(1) / months.sum(1), 1e-9)
    splurge = np.clip(np.log2(share / 0.25), -2.0, 2.0)
    new = (known["since"].to_numpy() < DAYS / 2).astype(float)
    chance = 1.0 / (1.0 + np.exp(2.6 - 0.9 * swings - 0.7 * splurge - 0.8 * new))
    return pl.DataFrame({"shopper_id": known["shopper_id"], "time": due, "chance": chance})


if __name__ == "__main__":
    drawn = draw_labels(Path(sys.argv[1]))
    drawn.write_parquet(sys.argv[2])
    print(f"{len(drawn):,} instalments, {drawn['value'].sum():,} missed")
