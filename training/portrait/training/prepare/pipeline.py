"""The canonical folder: written as a whole or not at all."""

import dataclasses
import tempfile
from collections.abc import Callable
from pathlib import Path

import duckdb

from portrait.features.logs.pseudonym_keys import PseudonymKey
from portrait.features.logs.shopper_hashes import PLAIN, ShopperHasher
from portrait.training.dataset.data_set import REPORT_FILE
from portrait.training.dataset.identity import read_identity
from portrait.training.dataset.readers import parquet_relation
from portrait.training.errors import TrainingError
from portrait.training.prepare import deletions, joins, report
from portrait.training.prepare.cleaners import Cleaner, LocalCleaner
from portrait.training.prepare.cleanup import CleanupLimits
from portrait.training.prepare.engine import copy_to_parquet, open_engine
from portrait.training.prepare.pseudonyms import register_pseudonyms, replace_ids
from portrait.training.prepare.reviews import reject_blocked

DATA_SET_FILES = {"events.parquet", "items.parquet", "shoppers.parquet", "rejected.parquet", REPORT_FILE}


def prepare_data_set(
    source: str,
    load: Callable[[duckdb.DuckDBPyConnection], None],
    output: Path,
    limits: CleanupLimits | None = None,
    without: Path | None = None,
    cleaner: Cleaner | None = None,
    key: PseudonymKey | None = None,
    hasher: ShopperHasher = PLAIN,
    reviews: Path | None = None,
) -> report.Report:
    """Clean a source and write it to a folder; a data set that stands there is replaced.

    Args:
        source: name of the source, for the report.
        load: makes the three views of `schema`, of which the cleaner reads the events.
        output: the folder.
        limits: of cleaning; the defaults if None.
        without: a list of shoppers who were forgotten; see `deletions`.
        cleaner: cleans the events; in this process if None.
        key: makes pseudonyms of the ids of shoppers and events; None leaves the ids as they are. A cleaner that reads
            the events itself has the same.
        hasher: has the keys of `without`.
        reviews: what people blocked; see `reviews`. Only if the cleaner is that of this process.

    Raises:
        DataError: the source is malformed.
        TrainingError: `output` holds something else, or nothing of the source can be kept.
    """
    cleaner = cleaner or LocalCleaner()
    _require_replaceable(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    # Both stand beside the output: a rename stays on one file system, and spilled tables need its room, not /tmp's.
    with (
        tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}-") as staging,
        tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}-spill-") as spill,
    ):
        folder = Path(staging) / "data"
        folder.mkdir()
        try:
            with open_engine(Path(spill)) as connection, cleaner.opened(Path(spill)):
                load(connection)
                if key:
                    register_pseudonyms(connection, key)
                deletions.load_deletions(connection, without, pseudonymous=key is not None, hasher=hasher)
                if key:
                    replace_ids(connection)
                written = _write_tables(connection, source, folder, limits or CleanupLimits(), cleaner, key, reviews)
                if not written.kept:
                    raise TrainingError(f"nothing of the source can be kept: {_describe_rejected(connection)}")
        except (duckdb.Error, OSError) as error:
            raise TrainingError(f"{source} can't be prepared: {str(error).splitlines()[0]}") from error
        if output.exists():
            output.rename(Path(staging) / "replaced")
        folder.rename(output)
    return written


def _describe_rejected(connection: duckdb.DuckDBPyConnection) -> str:
    """Count rejected rows by reason, with the place of the first."""
    counted = connection.execute(
        "SELECT reason, count(*), arg_min(file || ', row ' || row, row) FROM rejected GROUP BY 1 ORDER BY 2 DESC, 1"
    ).fetchall()
    named = (f"{count:,} {reason.replace('_', ' ')}, such as {place}" for reason, count, place in counted)
    return "; ".join(named) or "it holds no rows"


def _require_replaceable(output: Path) -> None:
    if not output.exists():
        return
    if not output.is_dir():
        raise TrainingError(f"{output} is a file; name a new folder")
    held = {path.name for path in output.iterdir()}
    if held and (REPORT_FILE not in held or not held <= DATA_SET_FILES):
        raise TrainingError(f"{output} is not empty and is not a data set; name a new folder")


def _write_tables(
    connection: duckdb.DuckDBPyConnection, source: str, folder: Path, limits: CleanupLimits, cleaner: Cleaner,
    key: PseudonymKey | None, reviews: Path | None,
) -> report.Report:  # fmt: skip
    cleaner.clean(connection, limits)
    if reviews:
        reject_blocked(connection, reviews, pseudonymous=key is not None)
    # Before anything is written: it may refuse.
    joined = joins.measure_joins(connection)
    cleaner.write_events(connection, folder / "events.parquet")
    events = parquet_relation(folder / "events.parquet")
    copy_to_parquet(connection, _items_query(events, limits), folder / "items.parquet")
    copy_to_parquet(connection, _shoppers_query(events), folder / "shoppers.parquet")
    copy_to_parquet(connection, "SELECT * FROM rejected ORDER BY file, row", folder / "rejected.parquet")
    counted = report.count_rows(connection, source, folder, limits, joined)
    written = dataclasses.replace(counted, identity=read_identity(folder), pseudonym_key=key.id if key else None)
    (folder / REPORT_FILE).write_text(written.to_json() + "\n", encoding="utf-8")
    return written


def _items_query(events: str, limits: CleanupLimits) -> str:
    """Items of the source, and those that only events name; a missing price is the median of those paid, as is 0."""
    return f"""
        WITH paid AS (
            SELECT catalogue, item_id, median(price) FILTER (price > 0) AS paid
            FROM {events} WHERE item_id IS NOT NULL GROUP BY ALL
        ),
        listed AS (
            SELECT * FROM raw_items WHERE item_id IS NOT NULL
            QUALIFY row_number() OVER (PARTITION BY catalogue, item_id ORDER BY row) = 1
        )
        SELECT
            item_id,
            catalogue,
            coalesce(nullif(trim(title), ''), category_path[-1], item_id) AS title,
            coalesce(category_path, []::VARCHAR[]) AS category_path,
            nullif(trim(brand), '') AS brand,
            coalesce(list_filter(attributes, lambda pair: coalesce(trim(pair.value), '') <> ''), []) AS attributes,
            coalesce(CASE WHEN price > 0 AND price <= {limits.price} THEN price END, paid) AS price
        FROM listed FULL JOIN paid USING (catalogue, item_id)
        ORDER BY catalogue, item_id
    """


def _shoppers_query(events: str) -> str:
    """Every shopper of the events, with what they declare; who was forgotten has declared nothing since."""
    return f"""
        SELECT shopper_id, age_band, gender, region
        FROM (SELECT DISTINCT shopper_id FROM {events})
        LEFT JOIN (
            SELECT * FROM raw_shoppers WHERE {deletions.SHOPPER_HASH_SQL} NOT IN (SELECT shopper_sha256 FROM forgotten)
            QUALIFY row_number() OVER (PARTITION BY shopper_id ORDER BY row) = 1
        ) USING (shopper_id)
        ORDER BY shopper_id
    """
