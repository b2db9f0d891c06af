"""Report of a preparation: counts of a source's rows."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from portrait.features.logs.column_hints import suggest_column
from portrait.features.logs.order_status import describe_called_off
from portrait.training.dataset.readers import parquet_relation
from portrait.training.prepare import currencies, unread
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
    unread: dict[str, list[str]]
    """Names that are not read: columns of `events` and of `shoppers`, and `files` of the log's folder."""
    called_off: dict[str, int]
    """Purchases that were called off, by the column that says so. It is not read: they count as purchases."""
    reused_event_ids: int
    """Rows rejected as `duplicate_id` that are about another item than the event whose id they have."""
    untitled: bool
    """The source lists items, and none of them has a title or a category."""
    joins: Joins
    limits: CleanupLimits
    identity: str = ""
    """Hash over what training reads of the data set; see `portrait.training.dataset.identity`."""
    pseudonym_key: str | None = None
    """Id of the key by which the ids of shoppers and events are pseudonyms; None if they are those of the log."""
    prepared_at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    def warnings(self) -> list[str]:
        """Warnings for the reader, one sentence each."""
        return [*self._event_warnings(), *self._item_warnings(), *self._currency_warnings()]

    def _event_warnings(self) -> Iterator[str]:
        if self.unknown_types:
            named = ", ".join(f"{kind!r} {count:,}" for kind, count in self.unknown_types.items())
            yield f"{self.rejected['unknown_type']:,} rows have a type that is not known: {named}"
        for column, count in self.called_off.items():
            yield describe_called_off(count, column)
        if self.reused_event_ids:
            yield (
                f"{self.reused_event_ids:,} rows are left out because another event of their shopper, about another "
                "item, has their event_id; the id of an order is none of its lines: leave that column out, or make the "
                "ids differ"
            )
        if timeless := self.missing.get("time", 0):
            yield from self._timeless_warnings(timeless)

    def _timeless_warnings(self, timeless: int) -> Iterator[str]:
        if self.first_time:
            yield f"{timeless:,} of {self.kept:,} events have no time, so they count as older than all others"
        elif column := suggest_column("time", self.unread.get("events", [])):
            yield f"no event has a time; rename the column {column!r} to 'time' if it holds it"

    def _item_warnings(self) -> Iterator[str]:
        yield from self.joins.warnings()
        if self.untitled:
            yield "no listed item has a title or a category, so ids stand for titles; the column is named 'title'"
        if files := self.unread.get("files"):
            yield f"files beside the log are not read: {', '.join(files)}; its tables are events, items and shoppers"

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
    (untitled,) = fetch_one(
        connection, "SELECT count(*) > 0 AND count(title) + count(nullif(category_path, [])) = 0 FROM raw_items"
    )
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
        unread=unread.list_unread(connection),
        called_off=unread.count_called_off(connection),
        reused_event_ids=_count_reused_ids(connection),
        untitled=bool(untitled),
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


def _count_reused_ids(connection: duckdb.DuckDBPyConnection) -> int:
    """Count the duplicates of an event id that are about another item than the event that was kept."""
    query = """
        SELECT count(*) FROM judged AS later JOIN judged AS kept USING (shopper_id, event_id)
        WHERE later.reason = 'duplicate_id' AND kept.reason IS NULL AND later.item_id IS DISTINCT FROM kept.item_id
    """
    (count,) = fetch_one(connection, query)
    return _to_int(count)


def _count_by(connection: duckdb.DuckDBPyConnection, column: str, relation: str) -> dict[str, int]:
    query = f"SELECT {column}, count(*) FROM {relation} GROUP BY 1 ORDER BY 2 DESC, 1"
    return dict(connection.execute(query).fetchall())


def _to_int(value: object) -> int:
    return int(str(value))
