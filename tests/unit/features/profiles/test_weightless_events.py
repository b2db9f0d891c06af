"""Profiles of events that no longer count: what is said of them is true."""

from datetime import UTC, datetime, timedelta

import pytest

from portrait.features.events import Event, EventType, Item
from portrait.features.profiles.absence import Absence, AbsenceReason
from portrait.features.profiles.evidence import Evidence
from portrait.features.profiles.interests import compute_interests
from portrait.features.profiles.keywords import compute_keywords
from portrait.features.text.idf import InverseDocumentFrequency

BOUGHT = datetime(2010, 12, 1, tzinfo=UTC)
LAMP = Item("lamp", "Red desk lamp", category_path=("Home", "Lamps"))
PURCHASE = Event("1", EventType.PURCHASE, BOUGHT, "lamp")
REFUND = Event("2", EventType.REFUND, BOUGHT + timedelta(days=1), "lamp")
CENTURIES = timedelta(days=1_000_000)


def absences(history: list[Event], as_of: datetime, item: Item | None = LAMP) -> list[Absence]:
    evidence = Evidence.from_history(history, as_of, lambda event: item)
    found = [compute_interests(evidence, None), compute_keywords(evidence, InverseDocumentFrequency({}, 1.0))]
    return [each for each in found if isinstance(each, Absence)]


@pytest.mark.parametrize(
    ("history", "age"), [([PURCHASE], CENTURIES), ([PURCHASE, REFUND], timedelta(days=2))], ids=["faded", "refunded"]
)
def test_events_that_count_nothing_are_not_said_to_be_missing(history: list[Event], age: timedelta) -> None:
    interests, keywords = absences(history, BOUGHT + age)
    assert interests.reason is keywords.reason is AbsenceReason.TOO_LITTLE_EVIDENCE
    assert "count for nothing: each was too long ago, taken back" in interests.explanation
    assert "count for nothing: each was too long ago, taken back" in keywords.explanation


def test_events_without_a_category_are_said_to_have_none() -> None:
    (interests, keywords) = absences([PURCHASE], BOUGHT, item=None)
    assert interests.explanation == "no event is of an item with a category"
    assert keywords.explanation == "no event carries a word that says something"
