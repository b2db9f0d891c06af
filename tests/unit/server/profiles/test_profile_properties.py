"""Properties of the profile of any history."""

import random
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from support.example_shop import ITEMS, NOW, find_item, make_release

from portrait.features.events import Event, EventType
from portrait.features.generators import run_to_completion
from portrait.server.profiles.profile import ModelOutputs, Profile, build_profile

PARTS = (
    "interests", "keywords", "price_bands", "aversions", "brands", "discount_sensitivity", "session",
    "recent_queries", "purchase_cycles", "customer_value", "activity_pattern", "summary",
)  # fmt: skip
RELEASE = make_release()


@st.composite
def _events(draw: st.DrawFn) -> list[Event]:
    drawn = draw(
        st.lists(
            st.tuples(
                st.sampled_from(list(EventType)),
                st.integers(0, 40),
                st.sampled_from([*(each.item_id for each in ITEMS), "unknown"]),
                st.none() | st.floats(0.0, 100.0),
                st.none() | st.floats(1.0, 5.0),
                st.none() | st.floats(0.0, 60.0),
                st.sampled_from([None, "red lamp", "coffee  beans", "  "]),
            ),
            max_size=25,
        )
    )
    events = [
        Event(
            f"e{place:02}",
            kind,
            NOW - timedelta(days=days),
            None if kind is EventType.SEARCH else item_id,
            query=query,
            price=price,
            rating=rating,
            dwell_seconds=dwell,
        )
        for place, (kind, days, item_id, price, rating, dwell, query) in enumerate(drawn)
    ]
    return sorted(events, key=lambda event: event.time or NOW)


def profile(history: list[Event], as_of: datetime = NOW) -> Profile:
    return run_to_completion(build_profile(history, as_of, find_item, RELEASE, frozenset(PARTS), ModelOutputs()))


def said(made: Profile) -> list[object]:
    return [getattr(made, name) for name in PARTS] + [sorted(made.absent)]


def statements(made: Profile) -> list[tuple[str, ...]]:
    parts = [getattr(made, name) for name in PARTS]
    each = [one for part in parts if part is not None for one in (part if isinstance(part, list) else [part])]
    return [one.evidence_event_ids for one in each if not isinstance(one, tuple)]


@given(_events(), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_the_order_of_events_of_one_moment_changes_nothing(history: list[Event], shuffler: random.Random) -> None:
    shuffled = history[:]
    shuffler.shuffle(shuffled)
    assert said(profile(sorted(shuffled, key=lambda event: event.time or NOW))) == said(profile(history))


@given(_events(), st.integers(0, 40))
@settings(deadline=None)
def test_later_events_are_never_seen(history: list[Event], days: int) -> None:
    moment = NOW - timedelta(days=days)
    earlier = [event for event in history if event.time is not None and event.time <= moment]
    assert said(profile(history, moment)) == said(profile(earlier, moment))


@given(_events(), st.booleans())
@settings(deadline=None)
def test_evidence_is_of_the_history_and_shares_are_shares(history: list[Event], timed: bool) -> None:
    history = history if timed else [event._replace(time=None) for event in history]
    made = profile(history)
    known = {event.event_id for event in history}
    for ids in statements(made):
        assert set(ids) <= known
        assert len(ids) == len(set(ids)) <= 10
    for name in ("interests", "keywords", "brands", "aversions", "purchase_cycles"):
        for each in getattr(made, name):
            assert len(each.evidence_event_ids) == min(10, each.evidence_count) <= len(history)
    for depth in (1, 2):
        level = [each for each in made.interests if len(each.category_path) == depth]
        for weights in (
            [e.weight for e in level],
            [e.short_term_weight for e in level],
            [e.long_term_weight for e in level],
        ):
            assert sum(weights) <= 1.0 + 1e-9
    shares = [made.session.confidence] if made.session else []
    shares += [
        each.confidence for name in ("interests", "keywords", "brands", "aversions") for each in getattr(made, name)
    ]
    shares += [each.due_probability for each in made.purchase_cycles] + [
        each.trend / 2 + 0.5 for each in made.interests
    ]
    assert all(0.0 <= share <= 1.0 for share in shares)


@given(_events())
@settings(deadline=None)
def test_a_field_that_is_asked_for_is_there_or_says_why_not(history: list[Event]) -> None:
    made = profile(history)
    for name in PARTS:
        if name != "summary":
            assert bool(getattr(made, name)) != (name in made.absent), name
