"""Sentences of a summary: what they are made of, how sure they sound, and how names, days and prices read."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any

from portrait.features.profiles.evidence import MAX_EVIDENCE

MAX_NAMES = 3
"""Categories, brands or queries that a sentence names."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence."""

    field: str
    """Field of the profile that it says in words."""
    english: str
    chinese: str
    evidence_event_ids: tuple[str, ...]


class Certainty(IntEnum):
    """Certainty that a sentence may express."""

    NONE = 0
    """It is not said."""
    FAINT = 1
    LIKELY = 2
    SURE = 3


MIN_CONFIDENCE = {Certainty.SURE: 1 / 3, Certainty.LIKELY: 0.15, Certainty.FAINT: 0.05}
"""Confidence from which a statement sounds so sure, where confidence is evidence over itself plus the prior: at 1/3 the
shopper's own evidence is worth half of what is known of all shoppers."""


def rate_certainty(confidence: float) -> Certainty:
    """Choose the certainty that a statement may express.

    Args:
        confidence: evidence over itself plus the prior, 0 to 1.
    """
    return next((level for level, least in MIN_CONFIDENCE.items() if confidence >= least), Certainty.NONE)


def build_sentence(field: str, english: str, chinese: str, said: Sequence[Any]) -> Sentence:
    """A sentence on several statements; each brings its strongest evidence in turn."""
    cited = [each.evidence_event_ids for each in said]
    longest = max(map(len, cited), default=0)
    turns = (ids[turn] for turn in range(longest) for ids in cited if turn < len(ids))
    return Sentence(field, english, chinese, tuple(dict.fromkeys(turns))[:MAX_EVIDENCE])


def short_name(path: Sequence[str]) -> str:
    """The narrowest category with the one above it: alone, many a name says little, or something else."""
    return " › ".join(path[-2:])


def join_english(names: Sequence[str]) -> str:
    """Names as English lists them."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def join_chinese(names: Sequence[str]) -> str:
    """Names as Chinese lists them."""
    return "、".join(names)


def quote_query(query: str) -> str:
    """A query as a sentence cites it."""
    return f"“{query}”"


def format_price(price: float) -> str:
    """A price with cents, or, where it is less, with two digits that say something."""
    return f"{price:,.2f}" if price >= 0.01 else f"{price:.2g}"


def format_date_english(time: datetime) -> str:
    """A day, UTC."""
    return f"{time.astimezone(UTC).day} {time.astimezone(UTC):%B %Y}"


def format_date_chinese(time: datetime) -> str:
    """A day, UTC."""
    day = time.astimezone(UTC)
    return f"{day.year}年{day.month}月{day.day}日"


def days_between(earlier: datetime, later: datetime) -> int:
    """Calendar days, UTC, from one moment to another: 0 of the same day, however many hours lie between."""
    return (later.astimezone(UTC).date() - earlier.astimezone(UTC).date()).days


def format_ago_english(days: int) -> str:
    """Calendar days back from the day of the profile."""
    return {0: "today", 1: "yesterday"}.get(days, f"{days:,} days ago")


def format_ago_chinese(days: int) -> str:
    """Calendar days back from the day of the profile."""
    return {0: "就在今天", 1: "在昨天"}.get(days, f"在{days}天前")
