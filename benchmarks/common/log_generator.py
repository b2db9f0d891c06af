"""A generator of logs of shop events, written in pieces so that memory does not grow with the length."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

PIECE = 500_000
SHOPPERS, ITEMS, QUERIES = 400_000, 50_000, 20_000
FIRST_SECOND, SPAN_SECONDS = 1_704_067_200, 180 * 86_400  # half a year from 2024-01-01
TYPES = np.array(["view", "search", "click", "add_to_cart", "purchase", "rate"])
SHARES = (0.55, 0.15, 0.18, 0.07, 0.04, 0.01)
BAD_PRICES, REPEATS, ROBOTS = 0.002, 0.005, 0.002
"""Shares of rows with a negative price, of rows that repeat the one before, and of rows of one robot."""


def write_log(file: Path, events: int, seed: int, shoppers: int = SHOPPERS) -> None:
    """Write a CSV log of `events` rows by so many shoppers at most; the same arguments write the same bytes."""
    with file.open("wb") as log:
        for place, piece in enumerate(_make_pieces(events, seed, shoppers)):
            piece.write_csv(log, include_header=place == 0)


def write_parts(folder: Path, events: int, seed: int, shoppers: int = SHOPPERS) -> None:
    """Write the same rows as Parquet files of `PIECE` rows, the last of fewer."""
    for place, piece in enumerate(_make_pieces(events, seed, shoppers)):
        piece.write_parquet(folder / f"part-{place:05}.parquet")


def _make_pieces(events: int, seed: int, shoppers: int) -> Iterator[pl.DataFrame]:
    generator = np.random.default_rng(seed)
    for start in range(0, events, PIECE):
        yield _make_piece(generator, min(PIECE, events - start), shoppers)


def _make_piece(generator: np.random.Generator, rows: int, shopper_count: int) -> pl.DataFrame:
    """Make rows in random order, heavy-tailed in shoppers, items and queries, with some of each kind of bad row."""
    types = generator.choice(TYPES, rows, p=SHARES)
    shoppers = _draw_heavy_tailed(generator, shopper_count, rows)
    seconds = FIRST_SECOND + generator.uniform(0, SPAN_SECONDS, rows)
    robots = generator.random(rows) < ROBOTS
    shoppers[robots] = shopper_count
    seconds[robots] = FIRST_SECOND + generator.uniform(0, 600, int(robots.sum()))
    prices = np.round(generator.lognormal(3, 1, rows), 2)
    prices[generator.random(rows) < BAD_PRICES] *= -1
    repeated = np.flatnonzero(generator.random(rows) < REPEATS)
    source = np.arange(rows)
    source[repeated] = np.maximum(repeated - 1, 0)
    searched = types == "search"
    frame = pl.DataFrame(
        {
            "shopper_id": shoppers,
            "type": types,
            "time": (seconds * 1e6).astype(np.int64),
            "item_id": _draw_heavy_tailed(generator, ITEMS, rows),
            "query": _draw_heavy_tailed(generator, QUERIES, rows),
            "price": prices,
            "quantity": generator.integers(1, 4, rows),
            "searched": searched,
        }
    )[source]
    bought = ~pl.col("searched")
    return frame.select(
        pl.format("s{}", "shopper_id").alias("shopper_id"),
        "type",
        pl.from_epoch("time", "us").dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").alias("time"),
        pl.when(bought).then(pl.format("item-{}", "item_id")).alias("item_id"),
        pl.when("searched").then(pl.format("words of query {}", "query")).alias("query"),
        pl.when(bought).then("price").alias("price"),
        pl.when(pl.col("type") == "purchase").then("quantity").alias("quantity"),
    )


def _draw_heavy_tailed(generator: np.random.Generator, size: int, rows: int) -> NDArray[np.int64]:
    """Draw numbers below `size` with density 1/√n."""
    return (generator.random(rows) ** 2 * size).astype(np.int64)
