"""The same two queries in embedded engines, one process each: `python -m benchmarks.audiences.engines`.

Arguments: ENGINE TABLE WORK. Prints one line of JSON: seconds of each question, and the memory of the process at its
highest. DuckDB and Polars read Parquet files of the same columns, written before by `export_parquet`.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.common.gateway import read_peak_memory
from portrait.server.audiences.table import CHUNK_ROWS, AudienceTable

ENGINES = ("numpy", "duckdb", "polars")
_PATHS = (1, 2, 3)
_MIN_WEIGHT, _MIN_TIER, _MIN_SCORE, _TOP = 0.3, 3, 3, 10_000
_RUNS = 5


def export_parquet(table: Path, work: Path) -> None:
    """Write a table as Parquet, a file for each chunk of rows."""
    import polars as pl

    opened = AudienceTable.open(table)
    for number, rows in enumerate(opened.iterate_chunks()):
        columns = {name: np.asarray(opened[name][rows]) for name in _COLUMNS}
        vector = np.asarray(opened["vector"][rows], dtype=np.float32)
        pl.DataFrame({**columns, "vector": vector}).write_parquet(work / f"{number:04}.parquet")


_COLUMNS = ("tier", "recency_score", "interest_path", "interest_weight")


def _open_numpy(table: Path, work: Path) -> tuple[Callable[[], int], Callable[[], int]]:
    opened = AudienceTable.open(table)
    wish = np.asarray(opened["vector"][0], dtype=np.float32)

    def filtered() -> int:
        found = 0
        for rows in opened.iterate_chunks():
            met = (opened["tier"][rows] >= _MIN_TIER) & (opened["recency_score"][rows] >= _MIN_SCORE)
            at = np.isin(opened["interest_path"][rows], _PATHS) & (opened["interest_weight"][rows] >= _MIN_WEIGHT)
            found += int((met & at.any(axis=1)).sum())
        return found

    def alike() -> int:
        parts = [np.asarray(opened["vector"][rows], dtype=np.float32) @ wish for rows in opened.iterate_chunks()]
        return len(np.argpartition(-np.concatenate(parts), _TOP)[:_TOP])

    return filtered, alike


def _open_duckdb(table: Path, work: Path) -> tuple[Callable[[], int], Callable[[], int]]:
    import duckdb

    connection = duckdb.connect()
    files = f"read_parquet('{work}/*.parquet', filename = true, file_row_number = true)"
    dimension = AudienceTable.open(table).description.dimension
    wish = np.asarray(AudienceTable.open(table)["vector"][0], dtype=np.float32).tolist()

    def filtered() -> int:
        [[found]] = connection.execute(
            f"SELECT count(*) FROM {files} WHERE tier >= ? AND recency_score >= ? AND list_bool_or("
            "list_transform(list_zip(interest_path, interest_weight), "
            f"lambda x: x[1] IN {_PATHS} AND x[2] >= {_MIN_WEIGHT}))",
            [_MIN_TIER, _MIN_SCORE],
        ).fetchall()
        return int(found)

    def alike() -> int:
        similarity = f"array_inner_product(vector::FLOAT[{dimension}], {wish}::FLOAT[{dimension}])"
        query = f"SELECT filename, file_row_number FROM {files}"
        return len(connection.execute(f"{query} ORDER BY {similarity} DESC LIMIT {_TOP}").fetchall())

    return filtered, alike


def _open_polars(table: Path, work: Path) -> tuple[Callable[[], int], Callable[[], int]]:
    import polars as pl

    wish = np.asarray(AudienceTable.open(table)["vector"][0], dtype=np.float32)

    def filtered() -> int:
        met = (pl.col("tier") >= _MIN_TIER) & (pl.col("recency_score") >= _MIN_SCORE)
        rows = pl.scan_parquet(work / "*.parquet").filter(met).select("interest_path", "interest_weight")
        return sum(
            int(
                (
                    np.isin(part["interest_path"].to_numpy(), _PATHS)
                    & (part["interest_weight"].to_numpy() >= _MIN_WEIGHT)
                ).any(axis=1).sum()
            )
            for part in rows.collect(engine="streaming").iter_slices(CHUNK_ROWS)
        )  # fmt: skip

    def alike() -> int:
        parts = [
            pl.read_parquet(path, columns=["vector"])["vector"].to_numpy() @ wish
            for path in sorted(work.glob("*.parquet"))
        ]
        return len(np.argpartition(-np.concatenate(parts), _TOP)[:_TOP])

    return filtered, alike


def _time_query(question: Callable[[], int]) -> tuple[float, int]:
    """Time a query; return the median seconds and the number of results."""
    taken = []
    for _ in range(_RUNS):
        begun = time.perf_counter()
        found = question()
        taken.append(time.perf_counter() - begun)
    return sorted(taken)[_RUNS // 2], found


if __name__ == "__main__":
    engine, table, work = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    filtered, alike = {"numpy": _open_numpy, "duckdb": _open_duckdb, "polars": _open_polars}[engine](table, work)
    (filter_seconds, found), (alike_seconds, _) = _time_query(filtered), _time_query(alike)
    print(
        json.dumps(
            {
                "engine": engine,
                "filter_seconds": round(filter_seconds, 3),
                "look_alike_seconds": round(alike_seconds, 3),
                "peak_gib": round(read_peak_memory(os.getpid()) / 2**30, 2),
                "found": found,
            }
        )
    )
