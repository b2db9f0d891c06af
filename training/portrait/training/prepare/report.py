"""Report of a preparation: counts of a source's rows."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from portrait.training.dataset.readers import parquet_relation
from portrait.training.prepare import currencies
from portrait.training.prepare.cleanup import CleanupLimits
from portrait.training.prepare.deletions import REASON
from portrait.training.prepare.engine import fetch_one
from portrait.training.prepare.joins import Joins
from portrait.training.prepare.schema import EVENT_COLUMNS

MAX_UNKNOWN_TYPES = 20
_TYPE_CHARACTERS = 80


@dataclass(frozen=True)
class Report:
    """Counts of one preparation: `read == kept + merged + forgotten + sum(rejected.values())`."""

    source: str
    read: int
    """Rows of the source, or events where a row holds several."""
    kept: int
    merged: int
    """Rows that the source sums up with another one in one event."""
    rejected: dict[str, int]
    """Rows by reason."""
    forgotten: int
    """Rows of shoppers who were forgotten since, which are not kept anywhere."""
    events_by_type: dict[str, int]
    shoppers: int
    items: int
    first_time: str | None
    last_time: str | None
    missing: dict[str, int]
    """Kept events without a value, by column."""
    currencies: dict[str, dict[str, int]]
    """Prices of `events` and `items` by the currency that they name; of each, only those of the first are kept."""
    unknown_types: dict[str, int]
    """Rows by types that are none of Portrait's, the commonest `MAX_UNKNOWN_TYPES` of them."""
    negative_refunds: int
    """Kept refunds that the source writes with a minus."""
    joins: Joins
    limits: CleanupLimits
    identity: str = ""
    """Hash over what training reads of the data set; see `portrait.training.dataset.identity`."""
    pseudonym_key: str | None = None
    """Id of the key by which the ids of shoppers and events are pseudonyms; None if they are those of the log."""
    prepared_at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    def warnings(self) -> list[str]:
        """Warnings for the reader, one sentence each."""
        warnings = [*self.joins.warnings(), *self._currency_warnings()]
        if self.unknown_types:
            named = ", ".join(f"{kind!r} {count:,}" for kind, count in self.unknown_types.items())
            warnings.insert(0, f"{self.rejected['unknown_type']:,} rows have a type that is not known: {named}")
        return warnings

    def _currency_warnings(self) -> Iterator[str]:
        for kind, counts in self.currencies.items():
            if len(counts) > 1:
                prices = ", ".join(f"{count:,} in {currency}" for currency, count in counts.items())
                yield f"{kind} have prices in several currencies: {prices}; only those in {next(iter(counts))} are kept"

    def to_json(self) -> str:
        """The report as JSON text."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False)


def count_rows(
    connection: duckdb.DuckDBPyConnection, source: str, folder: Path, limits: CleanupLimits, joined: Joins
) -> Report:
    """Count what was read, and what the files in the folder hold."""
    events = parquet_relation(folder / "events.parquet")
    read, merged = fetch_one(
        connection, "SELECT coalesce(sum(lines), 0)::BIGINT, coalesce(sum(lines - 1), 0) FROM judged"
    )
    (forgotten,) = fetch_one(connection, f"SELECT count(*) FROM judged WHERE reason = '{REASON}'")
    kept, shoppers, first, last = fetch_one(
        connection, f"SELECT count(*), count(DISTINCT shopper_id), min(time)::VARCHAR, max(time)::VARCHAR FROM {events}"
    )
    (items,) = fetch_one(connection, f"SELECT count(*) FROM {parquet_relation(folder / 'items.parquet')}")
    (negative,) = fetch_one(connection, "SELECT count(*) FROM judged WHERE reason IS NULL AND negative")
    filled = fetch_one(
        connection, "SELECT " + ", ".join(f"count({name})" for name in EVENT_COLUMNS) + f" FROM {events}"
    )
    return Report(
        source=source,
        read=_to_int(read),
        kept=_to_int(kept),
        merged=_to_int(merged),
        rejected=_count_by(connection, "reason", "rejected"),
        forgotten=_to_int(forgotten),
        events_by_type=_count_by(connection, "type", events),
        shoppers=_to_int(shoppers),
        items=_to_int(items),
        first_time=None if first is None else str(first),
        last_time=None if last is None else str(last),
        missing={
            name: _to_int(kept) - _to_int(there)
            for name, there in zip(EVENT_COLUMNS, filled, strict=True)
            if there != kept
        },
        currencies=currencies.count_currencies(connection),
        unknown_types=_count_unknown_types(connection),
        negative_refunds=_to_int(negative),
        joins=joined,
        limits=limits,
    )


def _count_unknown_types(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """The commonest unknown types, as they are written; a blank one is empty."""
    query = (
        f"SELECT left(coalesce(type, ''), {_TYPE_CHARACTERS}), count(*) FROM rejected WHERE reason = 'unknown_type' "
        f"GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {MAX_UNKNOWN_TYPES}"
    )
    return dict(connection.execute(query).fetchall())


def _count_by(connection: duckdb.DuckDBPyConnection, column: str, relation: str) -> dict[str, int]:
    query = f"SELECT {column}, count(*) FROM {relation} GROUP BY 1 ORDER BY 2 DESC, 1"
    return dict(connection.execute(query).fetchall())


def _to_int(value: object) -> int:
    return int(str(value))
