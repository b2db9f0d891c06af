"""The canonical folder: written as a whole or not at all."""

import json
import shutil
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from portrait.training.errors import TrainingError
from portrait.training.prepare.cleaning import Limits, clean
from portrait.training.prepare.engine import engine, literal

REPORT = "report.json"


def prepare(source: str, load: Callable[[duckdb.DuckDBPyConnection], None], output: Path) -> dict[str, Any]:
    """Clean a source and write it to a folder; a data set that stands there is replaced.

    Args:
        source: name of the source, for the report.
        load: makes the views `raw_events`, `raw_items` and `raw_shoppers`.
        output: the folder.

    Returns:
        The report.

    Raises:
        DataError: the source is malformed.
        TrainingError: `output` holds something else, or nothing of the source can be kept.
    """
    if output.exists() and any(output.iterdir()) and not (output / REPORT).exists():
        raise TrainingError(f"{output} is not empty and holds no data set; name a new folder")
    output.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{output.name}-", dir=output.parent))
    try:
        with (
            tempfile.TemporaryDirectory(dir=output.parent, prefix=".spill-") as spill,
            engine(Path(spill)) as connection,
        ):
            load(connection)
            clean(connection, Limits())
            report = {"source": source, "prepared_at": datetime.now(UTC).isoformat(timespec="seconds")}
            report |= _write(connection, temporary)
        if not report["kept"]:
            raise TrainingError(f"nothing of the source can be kept: {report['rejected']}")
        (temporary / REPORT).write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")
        if output.exists():
            shutil.rmtree(output)
        temporary.chmod(0o755)
        temporary.rename(output)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return report


def _write(connection: duckdb.DuckDBPyConnection, folder: Path) -> dict[str, Any]:
    _copy(connection, "SELECT * FROM events ORDER BY shopper_id, sequence", folder / "events.parquet")
    events = f"read_parquet({literal(folder / 'events.parquet')})"
    _copy(connection, _items(events), folder / "items.parquet")
    _copy(
        connection,
        f"""
        SELECT shopper_id, any_value(age_band) AS age_band, any_value(gender) AS gender, any_value(region) AS region
        FROM (SELECT DISTINCT shopper_id FROM {events}) LEFT JOIN raw_shoppers USING (shopper_id)
        GROUP BY shopper_id ORDER BY shopper_id
        """,
        folder / "shoppers.parquet",
    )
    _copy(connection, "SELECT * FROM rejected ORDER BY file, row", folder / "rejected.parquet")
    return _counts(connection, events, folder)


def _items(events: str) -> str:
    """Items of the source, and those that only events name; a missing price is the median of those paid."""
    return f"""
        WITH paid AS (SELECT catalogue, item_id, median(price) AS paid FROM {events} WHERE item_id IS NOT NULL
                      GROUP BY ALL),
        listed AS (SELECT * FROM raw_items QUALIFY row_number() OVER (PARTITION BY catalogue, item_id) = 1)
        SELECT
            item_id,
            catalogue,
            coalesce(nullif(trim(title), ''), category_path[-1], item_id) AS title,
            coalesce(category_path, []::VARCHAR[]) AS category_path,
            nullif(trim(brand), '') AS brand,
            coalesce(attributes, []::STRUCT("key" VARCHAR, "value" VARCHAR)[]) AS attributes,
            coalesce(price, paid) AS price
        FROM listed FULL JOIN paid USING (catalogue, item_id)
        ORDER BY catalogue, item_id
    """


def _copy(connection: duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
    connection.execute(f"COPY ({query}) TO {literal(path)} (FORMAT parquet, COMPRESSION zstd)")


def _counts(connection: duckdb.DuckDBPyConnection, events: str, folder: Path) -> dict[str, Any]:
    def one(query: str) -> tuple[Any, ...]:
        row = connection.execute(query).fetchone()
        assert row is not None
        return row

    (read,) = one("SELECT count(*) FROM judged")
    kept, shoppers, first, last = one(
        f"SELECT count(*), count(DISTINCT shopper_id), min(time)::VARCHAR, max(time)::VARCHAR FROM {events}"
    )
    (items,) = one(f"SELECT count(*) FROM read_parquet({literal(folder / 'items.parquet')})")
    rejected = connection.execute("SELECT reason, count(*) FROM rejected GROUP BY reason ORDER BY 2 DESC").fetchall()
    types = connection.execute(f"SELECT type, count(*) FROM {events} GROUP BY type ORDER BY 2 DESC").fetchall()
    return {
        "read": read,
        "kept": kept,
        "rejected": dict(rejected),
        "events_by_type": dict(types),
        "shoppers": shoppers,
        "items": items,
        "first_time": first,
        "last_time": last,
    }
