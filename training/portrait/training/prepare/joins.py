"""Tells how events, items and shoppers meet by their ids, and why they do not."""

from dataclasses import dataclass

import duckdb

from portrait.training.errors import TrainingError
from portrait.training.prepare import deletions
from portrait.training.prepare.engine import fetch_one

MAX_UNLISTED_SHARE = 0.95
"""Above this share of the events' items, the catalogue is that of another shop, or writes ids in another way."""
MAX_EXAMPLES = 3

_SPELLINGS = {
    "a table program wrote whole numbers with a decimal point": r"regexp_replace({}, '^(-?\d+)\.0+$', '\1')",
    "a table program cut leading zeros off": r"regexp_replace({}, '^0+(\d)', '\1')",
    "upper and lower case, or blanks, differ": "lower(trim({}))",
    "punctuation or blanks differ": r"regexp_replace(lower({}), '[^\p{{L}}\p{{N}}]+', '', 'g')",
}
"""Why the same id is written in two ways, and SQL that writes it in one."""


@dataclass(frozen=True)
class Joins:
    """Counts of ids that have no match."""

    items_of_events: int
    items_listed: int
    """0 if the source has no catalogue."""
    unlisted_items: int
    """Items of events that the catalogue does not list."""
    unlisted_examples: list[str]
    events_of_unlisted_items: int
    never_met_items: int
    """Listed items that no event names."""
    never_met_examples: list[str]
    shoppers_declared: int
    unseen_shoppers: int
    """Shoppers who declared something and have no event that is kept."""
    likely_cause: str | None
    """Why ids do not meet that should, if it shows."""

    def warnings(self) -> list[str]:
        """Warnings for the reader, one sentence each."""
        warnings = []
        if self.items_listed and self.unlisted_items:
            warnings.append(
                f"{self.unlisted_items:,} of {self.items_of_events:,} items that events name are not in the catalogue, "
                f"so their ids stand for their titles (e.g. {', '.join(self.unlisted_examples)})"
                + (f"; {self.likely_cause}" if self.likely_cause else "")
            )
        if self.items_listed and self.never_met_items > self.items_listed / 2:
            warnings.append(
                f"{self.never_met_items:,} of {self.items_listed:,} listed items are in no event "
                f"(e.g. {', '.join(self.never_met_examples)})"
            )
        if self.unseen_shoppers:
            warnings.append(
                f"{self.unseen_shoppers:,} of {self.shoppers_declared:,} shoppers that are declared have no event"
            )
        return warnings


def measure_joins(connection: duckdb.DuckDBPyConnection) -> Joins:
    """Count what meets among the kept rows of `judged`, `raw_items` and `raw_shoppers`.

    Raises:
        TrainingError: so few ids meet that it can't be meant.
    """
    _create_tables(connection)
    named, unlisted, lost = fetch_one(
        connection,
        "SELECT count(*), count(*) FILTER (NOT listed), "
        "coalesce(sum(events) FILTER (NOT listed), 0)::BIGINT FROM named_items",
    )
    listed, never_met = fetch_one(connection, "SELECT count(*), count(*) FILTER (NOT met) FROM listed_items")
    declared, unseen = fetch_one(
        connection,
        "SELECT count(*), count(*) FILTER (shopper_id NOT IN (SELECT shopper_id FROM judged WHERE reason IS NULL)) "
        "FROM (SELECT DISTINCT shopper_id FROM raw_shoppers WHERE shopper_id IS NOT NULL "
        f"AND {deletions.SHOPPER_HASH_SQL} NOT IN (SELECT shopper_sha256 FROM forgotten))",
    )
    joins = Joins(
        items_of_events=_to_int(named),
        items_listed=_to_int(listed),
        unlisted_items=_to_int(unlisted) if listed else 0,
        unlisted_examples=_find_examples(connection, "named_items", "NOT listed", "events DESC") if listed else [],
        events_of_unlisted_items=_to_int(lost) if listed else 0,
        never_met_items=_to_int(never_met),
        never_met_examples=_find_examples(connection, "listed_items", "NOT met", "row"),
        shoppers_declared=_to_int(declared),
        unseen_shoppers=_to_int(unseen),
        likely_cause=_find_likely_cause(connection) if listed and unlisted else None,
    )
    _require_matches(joins)
    return joins


def _require_matches(joins: Joins) -> None:
    if joins.items_listed and joins.unlisted_items > MAX_UNLISTED_SHARE * joins.items_of_events:
        listed = joins.never_met_examples or ["none"]
        raise TrainingError(
            f"{joins.unlisted_items:,} of the {joins.items_of_events:,} items that events name are not in the "
            f"catalogue, which can't be meant: events name {', '.join(joins.unlisted_examples)}; "
            f"items list {', '.join(listed)}; "
            + (f"{joins.likely_cause}; " if joins.likely_cause else "")
            + "write the ids alike, or leave the items out"
        )
    if joins.shoppers_declared and joins.unseen_shoppers == joins.shoppers_declared:
        raise TrainingError(
            f"none of the {joins.shoppers_declared:,} shoppers that are declared has an event, which can't be meant: "
            "write their ids as the events do, or leave the shoppers out"
        )


def _create_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """Make `named_items`, the items of kept events, and `listed_items`, those of the catalogue."""
    connection.execute(
        """
        CREATE TEMP TABLE named_items AS
        SELECT catalogue, item_id, count(*) AS events,
            (catalogue, item_id) IN (SELECT (catalogue, item_id) FROM raw_items WHERE item_id IS NOT NULL) AS listed
        FROM judged WHERE reason IS NULL AND item_id IS NOT NULL GROUP BY ALL;
        CREATE TEMP TABLE listed_items AS
        SELECT catalogue, item_id, min(row) AS row,
            (catalogue, item_id) IN (SELECT (catalogue, item_id) FROM named_items) AS met
        FROM raw_items WHERE item_id IS NOT NULL GROUP BY catalogue, item_id
        """
    )


def _find_likely_cause(connection: duckdb.DuckDBPyConnection) -> str | None:
    """The way of writing ids that explains most items that do not meet; None if none explains any."""
    found = []
    for reason, way in _SPELLINGS.items():
        named, listed = way.format("named.item_id"), way.format("listed.item_id")
        alike = f"{named} = {listed} AND {named} <> '' AND named.item_id <> listed.item_id"
        count, event, item = _count_explained(connection, f"{alike} AND named.catalogue = listed.catalogue")
        found.append((count, f"{event!r} in the events is {item!r} in the items: {reason}"))
    elsewhere = "named.item_id = listed.item_id AND named.catalogue <> listed.catalogue"
    count, event, _ = _count_explained(connection, elsewhere)
    found.append((count, f"{event!r} is listed in another catalogue than the one that events name"))
    count, cause = max(found, key=lambda each: each[0])
    return cause if count else None


def _count_explained(connection: duckdb.DuckDBPyConnection, condition: str) -> tuple[int, str, str]:
    """Count the unlisted items that a condition pairs with listed items without events; return one such pair too."""
    count, event, item = fetch_one(
        connection,
        f"""
        SELECT count(DISTINCT named.item_id), min_by(named.item_id, listed.row), min_by(listed.item_id, listed.row)
        FROM named_items AS named JOIN listed_items AS listed ON {condition}
        WHERE NOT named.listed AND NOT listed.met
        """,
    )
    return _to_int(count), str(event), str(item)


def _find_examples(connection: duckdb.DuckDBPyConnection, table: str, condition: str, order: str) -> list[str]:
    query = f"SELECT item_id FROM {table} WHERE {condition} ORDER BY {order}, item_id LIMIT {MAX_EXAMPLES}"
    return [repr(row[0][:80]) for row in connection.execute(query).fetchall()]


def _to_int(value: object) -> int:
    return int(str(value))
