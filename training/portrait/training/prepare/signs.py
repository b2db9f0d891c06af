"""SQL of the rules of `portrait.features.logs.event_types`: names of types, and what a minus sign says."""

from portrait.features.events import EventType
from portrait.features.logs.event_types import FOLDED_LETTERS, SEPARATOR_PATTERN
from portrait.training.dataset.sql import literal

_PURCHASE, _REFUND = literal(EventType.PURCHASE), literal(EventType.REFUND)


def normalised_type_sql(column: str) -> str:
    """A type's name as `normalise_type_name` writes it."""
    lower = f"translate({column}, {literal(FOLDED_LETTERS)}, {literal(FOLDED_LETTERS.lower())})"
    return f"regexp_replace({lower}, {literal(SEPARATOR_PATTERN)}, '', 'g')"


SIGNED_EVENTS_SQL = f"""
    SELECT * EXCLUDE (gives_back) REPLACE (
        CASE WHEN gives_back THEN {_REFUND} ELSE type END AS type,
        CASE WHEN gives_back THEN abs(price) ELSE price END AS price,
        CASE WHEN gives_back THEN abs(quantity) ELSE quantity END AS quantity
    ), coalesce(gives_back AND (price < 0 OR quantity < 0), false) AS negative
    FROM (
        SELECT *, coalesce(type = {_REFUND} OR (type = {_PURCHASE} AND quantity < 0), false) AS gives_back
        FROM raw_events
    )
"""
"""The rows of `raw_events` as `read_signs` reads them, and `negative`: whether a minus was read."""
