"""Reviews of people: events that they blocked, by item or by interest, are rejected, as the gateway does not use them.

`portrait review list --json` writes the file, one review a line. As in the gateway, of the reviews of one item or
interest that for the shopper counts before those for segments, and these before that for all; among equals a block
counts, and else the latest. What is kept stays blocked for whom a review of a wider scope blocks it.
"""

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import duckdb

from portrait.features.events import DEFAULT_CATALOGUE, EventType
from portrait.training.dataset.sql import literal
from portrait.training.errors import DataError
from portrait.training.prepare.deletions import SHOPPER_HASH_SQL

T = TypeVar("T")

REASON = "blocked"
_ACTIONS = {"block", "correct", "pin", "keep"}
_TABLE = """
    CREATE TEMP TABLE reviews (
        subject VARCHAR, catalogue VARCHAR, item_id VARCHAR, category VARCHAR[], shopper_sha256 VARCHAR,
        segment_category VARCHAR[], segment_brand VARCHAR, blocks BOOLEAN, keeps BOOLEAN, reviewed_at TIMESTAMPTZ
    )
"""
_REVIEWED_ITEMS = """
    CREATE TEMP TABLE reviewed_items AS
    SELECT DISTINCT subject, catalogue, item_id, false AS is_interest FROM reviews WHERE item_id IS NOT NULL
    UNION ALL
    SELECT DISTINCT subject, raw_items.catalogue, raw_items.item_id, true FROM raw_items
    JOIN (SELECT DISTINCT subject, category FROM reviews WHERE category IS NOT NULL) AS interests
    ON raw_items.category_path[1:len(interests.category)] = interests.category
    WHERE raw_items.item_id IS NOT NULL
"""
_HOLDING = f"""
    CREATE TEMP TABLE holding AS
    WITH segments AS (
        SELECT DISTINCT segment_category, segment_brand FROM reviews WHERE segment_category IS NOT NULL
    ),
    members AS (
        SELECT DISTINCT segment_category, segment_brand, {SHOPPER_HASH_SQL} AS shopper_sha256
        FROM judged JOIN raw_items USING (catalogue, item_id) JOIN segments
        ON raw_items.category_path[1:len(segment_category)] = segment_category
            AND (segment_brand = '' OR lower(raw_items.brand) = lower(segment_brand))
        WHERE reason IS NULL AND type <> {literal(EventType.SEARCH.value)}
    ),
    explicit AS (
        SELECT subject, shopper_sha256, blocks, keeps, reviewed_at, 2 AS rank FROM reviews
        WHERE shopper_sha256 IS NOT NULL
        UNION ALL
        SELECT subject, members.shopper_sha256, blocks, keeps, reviewed_at, 1 FROM reviews
        JOIN members USING (segment_category, segment_brand)
    ),
    of_scopes AS (
        SELECT * FROM explicit QUALIFY row_number() OVER (
            PARTITION BY subject, shopper_sha256, rank ORDER BY blocks DESC, reviewed_at DESC, keeps
        ) = 1
    )
    SELECT subject, shopper_sha256, blocks FROM of_scopes WHERE NOT keeps
    QUALIFY row_number() OVER (PARTITION BY subject, shopper_sha256 ORDER BY rank DESC) = 1
"""
"""The review that counts of each subject for each shopper who has one, by themselves or by a segment."""
_REJECT = f"""
    UPDATE judged SET reason = '{REASON}' FROM (
        SELECT DISTINCT judged.rowid AS id
        FROM judged JOIN reviewed_items USING (catalogue, item_id)
        LEFT JOIN holding ON holding.subject = reviewed_items.subject
            AND holding.shopper_sha256 = sha256(judged.shopper_id)
        LEFT JOIN (
            SELECT DISTINCT subject FROM reviews
            WHERE blocks AND shopper_sha256 IS NULL AND segment_category IS NULL
        ) AS for_all ON for_all.subject = reviewed_items.subject
        WHERE judged.reason IS NULL AND coalesce(holding.blocks, for_all.subject IS NOT NULL)
            AND NOT (is_interest AND type = {literal(EventType.SEARCH.value)})
    ) AS blocked WHERE judged.rowid = blocked.id
"""


class _Row(NamedTuple):
    """A review of an item or an interest."""

    subject: str
    catalogue: str | None
    item_id: str | None
    category: list[str] | None
    shopper_id: str | None
    segment_category: list[str] | None
    segment_brand: str | None
    blocks: bool
    keeps: bool
    reviewed_at: str


def reject_blocked(connection: duckdb.DuckDBPyConnection, file: Path, *, pseudonymous: bool = False) -> None:
    """Reject the rows of `judged` that reviews block.

    Args:
        connection: the engine, with `judged` and `raw_items`.
        file: the reviews.
        pseudonymous: the tables hold pseudonyms, which the ids of the reviews are turned into.

    Raises:
        DataError: the file is missing or malformed.
    """
    rows = read_reviews(file)
    connection.execute(_TABLE)
    hashed = "sha256(pseudonym(sha256(?), 'shopper_id'))" if pseudonymous else "sha256(?)"
    if rows:
        connection.executemany(f"INSERT INTO reviews VALUES (?, ?, ?, ?, {hashed}, ?, ?, ?, ?, ?)", rows)
    for statement in (_REVIEWED_ITEMS, _HOLDING, _REJECT):
        connection.execute(statement)


def read_reviews(file: Path) -> list[_Row]:
    """Read the reviews of items and interests; those of traits and rules say nothing of events.

    Raises:
        DataError: the file is missing, or a line is no review.
    """
    return [row for row in _read_lines(file, _read_row) if row is not None]


class TraitReview(NamedTuple):
    """A review that overrules a trait of one shopper."""

    trait: str
    shopper_id: str
    reviewed_at: float
    """Seconds since 1970."""
    corrected: float | None
    """The probability that it sets, if it corrects the trait; None if it blocks or pins it."""


def read_trait_reviews(file: Path) -> list[TraitReview]:
    """Read the reviews that overrule a trait of one shopper, the latest of each; what is kept is not overruled.

    Raises:
        DataError: the file is missing, or a line is no review.
    """
    found = [review for review in _read_lines(file, _read_trait) if review is not None]
    return [*{each[:2]: each for each in sorted(found, key=lambda each: each.reviewed_at)}.values()]


def _read_lines(file: Path, read: Callable[[dict[str, Any]], T]) -> list[T]:
    try:
        lines = file.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except (OSError, UnicodeError) as error:
        raise DataError(str(file), None, None, f"can't be read: {error}") from None
    if lines == [""]:  # what a failed export leaves
        raise DataError(str(file), None, None, "holds no review; without any, leave --reviews out")
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            review = json.loads(line)
            _require_review(review)
            rows.append(read(review))
        except (ValueError, KeyError, TypeError, RecursionError):
            raise DataError(
                str(file), number, None, "it is no review as `portrait review list --json` prints it"
            ) from None
    return rows


def _require_review(review: dict[str, Any]) -> None:
    target = review["target"]
    scopes = bool(target["shopper_id"]) + bool(target["segment"]) + bool(target["all_shoppers"])
    if review["action"] not in _ACTIONS or scopes != 1:
        raise ValueError("no review")


def _read_trait(review: dict[str, Any]) -> TraitReview | None:
    target, action = review["target"], review["action"]
    trait, shopper_id = str(target["trait"]), str(target["shopper_id"])
    if not trait or not shopper_id or action == "keep":
        return None
    corrected = float(review["value"]) if action == "correct" else None
    if corrected is not None and not 0.0 <= corrected <= 1.0:
        raise ValueError("no probability")
    return TraitReview(trait, shopper_id, datetime.fromisoformat(review["reviewed_at"]).timestamp(), corrected)


def _read_row(review: dict[str, Any]) -> _Row | None:
    target, action = review["target"], review["action"]
    category, item_id, segment = list(map(str, target["interest"])), str(target["item_id"]), target["segment"]
    if not category and not item_id:
        return None
    catalogue = str(target["catalogue"]) or DEFAULT_CATALOGUE
    return _Row(
        json.dumps([category] if category else [catalogue, item_id]),
        catalogue if item_id else None,
        item_id or None,
        category or None,
        str(target["shopper_id"]) or None,
        list(map(str, segment["category"])) if segment else None,
        str(segment["brand"]) if segment else None,
        action == "block",
        action == "keep",
        str(review["reviewed_at"]),
    )
